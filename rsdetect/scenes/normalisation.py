"""Normalisation of a pair: AFTER's values mapped onto the radiometry of BEFORE, pixel by pixel.

A map is fitted once for the whole pair (`rsdetect.detectors.normalise`) and applied wherever pixels of the
pair are read, so that it depends on no tile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array

_LARGEST = np.finfo(np.float32).max
NORMALISATIONS = ("percentile", "none", "robust", "irmad", "histogram")


@dataclass(frozen=True)
class PairNormalisation:
    """Normalisation of a pair: a method, and the map of AFTER's values that it gave.

    >>> doubled = PairNormalisation("robust", gains=(2.0,), offsets=(1.0,))
    >>> doubled.apply(np.array([[[3.0, 0.0]]], np.float32), np.array([[True, False]])).tolist()
    [[[7.0, 0.0]]]
    """

    method: str = "percentile"  # one of NORMALISATIONS
    gains: tuple[float, ...] = ()  # one per band; () = values as they are
    offsets: tuple[float, ...] = ()
    # Of `histogram`: points (value of AFTER, value of BEFORE) of each band, increasing, linear between them.
    curves: tuple[tuple[tuple[float, float], ...], ...] = ()

    @property
    def is_shared(self) -> bool:
        """True if values of both dates are on one scale; False if each date is scaled by its percentiles."""
        return self.method != "percentile"

    def apply(self, after: Float32Array, valid: BoolArray) -> Float32Array:
        """Map values of AFTER, (bands, height, width); the array itself where the method maps nothing.

        Parameters
        ----------
        valid
            (height, width); elsewhere values are 0 before and after the map.
        """
        if not (self.gains or self.curves):
            return after
        mapped = np.empty_like(after)
        for number, (band, out) in enumerate(zip(after, mapped, strict=True)):
            if self.gains:
                np.multiply(band, np.float32(self.gains[number]), out=out)
                out += np.float32(self.offsets[number])
            else:
                out[:] = np.interp(band, *np.transpose(self.curves[number]))
        np.clip(mapped, -_LARGEST, _LARGEST, out=mapped)
        mapped[:, ~valid] = 0
        return mapped

    @classmethod
    def of_record(cls, content: Mapping[str, Any] | None) -> Self:
        """Normalisation as `asdict` and JSON gave it; None = of a record without one."""
        if content is None:
            return cls()
        return cls(
            content["method"],
            tuple(content["gains"]),
            tuple(content["offsets"]),
            tuple(tuple((low, high) for low, high in curve) for curve in content["curves"]),
        )


PERCENTILE = PairNormalisation()
