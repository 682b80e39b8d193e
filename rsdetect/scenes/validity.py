"""Validity of a scene's pixels: masks, nodata values, fill.

NaN, infinity and numbers beyond 1e15 are never data. Where a file carries a mask (a mask band inside or
beside it, alpha), the mask alone decides. Else a nodata value does: one that no sensor measures (-9999,
65535, the ends of a signed or float type) hides a pixel wherever one band holds it; any other (0, or 255 of
bytes) hides it where all bands hold it, because near infrared is 0 over deep water.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray

Nodata = float | Literal["auto", "none"]
"""A nodata value; "auto" = what the scene itself declares, "none" = nothing but NaN and infinity."""

_LOWEST = -999.0  # values up to this one are not measurements; programs write -999 and -9999
# From here on no number is a measurement, declared or not: fill of netCDF (9.97e36), of ESRI grids (3.4e38)
# and of Surfer (1.7e38).
NOT_MEASURED = 1e15
_USHORT_MAX = 65535.0


def parse_nodata(item: Any) -> Nodata:
    """Parse a nodata value of a user: a number, "auto" or "none"; TypeError if it is neither.

    >>> parse_nodata("-9999"), parse_nodata("none"), parse_nodata("nan")
    (-9999.0, 'none', 'none')
    """
    if isinstance(item, str) and item.strip().lower() in ("auto", "none"):
        return "auto" if item.strip().lower() == "auto" else "none"
    if item is None:
        return "auto"
    try:
        value = float(item)
    except ValueError:
        raise TypeError(item) from None
    return value if math.isfinite(value) else "none"  # NaN and infinity are never data anyway


@dataclass(frozen=True)
class Validity:
    """Validity rule: mask and numbers by which a pixel of a scene is nodata. Bands are counted from 1."""

    masked: bool = False  # a mask band or an alpha band marks the data
    in_one: tuple[tuple[int, float], ...] = ()  # (band, value): hides a pixel if the band has it
    in_all: tuple[tuple[int, float], ...] = ()  # hides a pixel if all of these bands have theirs
    origin: Literal["file", "option", "edge"] = (
        "file"  # origin of the rule; edge = fill found along the border
    )

    def usable(self, values: NDArray[Any], bands: Sequence[int]) -> BoolArray:
        """Validity of values (bands, height, width): True where no nodata hides a pixel, (height, width)."""
        found = np.ones(values.shape[1:], dtype=bool)
        one, every = dict(self.in_one), dict(self.in_all)
        filled: BoolArray | None = None
        for band, array in zip(bands, values, strict=True):
            if band in one and (value := _in_type(one[band], array.dtype)) is not None:
                found &= array != value
            if band in every and not (filled is not None and not filled.any()):
                value = _in_type(every[band], array.dtype)
                holds = np.zeros(found.shape, bool) if value is None else array == value
                filled = holds if filled is None else filled & holds
        return found if filled is None else found & ~filled

    @property
    def values(self) -> tuple[float, ...]:
        """Distinct nodata values of the validity rule."""
        return tuple(dict.fromkeys(value for _, value in (*self.in_one, *self.in_all)))

    @property
    def is_known(self) -> bool:
        """True if a validity rule is declared."""
        return self.masked or bool(self.values) or self.origin == "option"

    def with_fill(self, fill: float, bands: Sequence[int]) -> Validity:
        """The rule with a value added that hides a pixel where all bands hold it."""
        values = tuple((band, fill) for band in dict.fromkeys(bands))
        return replace(self, in_all=values, origin="edge")


def validity_of(
    declared: Sequence[float | None],
    dtypes: Sequence[str],
    bands: Sequence[int],
    *,
    masked: bool,
    given: Nodata = "auto",
) -> Validity:
    """Validity rule for the chosen bands of a scene.

    Parameters
    ----------
    declared
        Nodata value of every band of the scene; None = none.
    dtypes
        Data type of every band.
    bands
        Numbers of the chosen bands, 1 = first; one may be repeated.
    masked
        The scene carries a mask, or alpha that is not among the bands.
    given
        Value of the user; a number overrides the file's nodata, and the mask still applies.
    """
    if given == "none":
        return Validity(masked, origin="option")
    if given != "auto":
        found = _sorted([(band, float(given)) for band in dict.fromkeys(bands)], dtypes)
        return replace(found, masked=masked, origin="option")
    if masked:
        return Validity(masked=True)
    values = [(band, declared[band - 1]) for band in dict.fromkeys(bands)]
    return _sorted([(band, value) for band, value in values if value is not None], dtypes)


def _sorted(values: Sequence[tuple[int, float]], dtypes: Sequence[str]) -> Validity:
    kept = [(band, value) for band, value in values if math.isfinite(value)]
    in_one = tuple(each for each in kept if cannot_be_data(each[1], dtypes[each[0] - 1]))
    return Validity(in_one=in_one, in_all=tuple(each for each in kept if each not in in_one))


def cannot_be_data(value: float, dtype: str) -> bool:
    """True for a nodata value that cannot be a measurement.

    >>> cannot_be_data(-9999, "float32"), cannot_be_data(65535, "uint16"), cannot_be_data(-32768, "int16")
    (True, True, True)
    >>> cannot_be_data(0, "uint16"), cannot_be_data(255, "uint8"), cannot_be_data(-1, "float32")
    (False, False, False)
    """
    kind = np.dtype(dtype)
    if value <= _LOWEST or value == _USHORT_MAX or abs(value) >= NOT_MEASURED:
        return True
    if kind.kind == "i":
        return value in (np.iinfo(kind).min, np.iinfo(kind).max)
    if kind.kind == "u" and kind.itemsize > 1:
        return value == np.iinfo(kind).max
    return bool(value > 0 and set(f"{value:.15g}") == {"9"} and value >= 9999)


def _in_type(value: float, dtype: np.dtype[Any]) -> Any:
    """Nodata value in `dtype`; None if not representable."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    if dtype.kind == "b":
        return bool(value) if value in (0, 1) else None
    bounds = np.iinfo(dtype)
    return dtype.type(value) if value.is_integer() and bounds.min <= value <= bounds.max else None
