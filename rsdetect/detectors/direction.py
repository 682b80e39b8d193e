"""Direction of change: which bands rose and which fell, beside how far, as columns of polygons.

Malila (1980), "Change vector analysis: an approach for detecting forest changes with Landsat": the sector of
the space of bands that a change vector points to, by the signs of its components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array, Float64Array
from rsdetect.jsontypes import JsonObject

_LARGEST = float(np.finfo(np.float32).max)
# Values are clipped to this many standard deviations, so that squares and differences are finite.
_FARTHEST = np.float32(1e9)
_STILL = 0.25  # of the largest component of a vector: smaller ones have no sign


@dataclass(frozen=True)
class Direction:
    """Direction of change on a common radiometric scale: centre and scale of each band of both dates."""

    before_centre: tuple[float, ...]  # one per band, pixel values
    before_scale: tuple[float, ...]
    after_centre: tuple[float, ...]
    after_scale: tuple[float, ...]

    @classmethod
    def of_record(cls, provenance: Mapping[str, Any]) -> Self | None:
        """Direction in the provenance of a scorer; None if it states none."""
        stated = provenance.get("direction")
        return None if stated is None else cls(**{name: tuple(each) for name, each in stated.items()})

    def as_record(self) -> JsonObject:
        """Direction as JSON types, for the provenance of a scorer."""
        return asdict(self)

    def component(self, before: Float32Array, after: Float32Array, band: int) -> Float32Array:
        """Component of the change vectors of pixel values of a band, any shape, in standard deviations."""
        moved = standard(after, self.after_centre[band], self.after_scale[band])
        moved -= standard(before, self.before_centre[band], self.before_scale[band])
        return moved

    def vectors(self, before: Float32Array, after: Float32Array) -> Float32Array:
        """Change vectors of pixels of both dates, (bands, ...)."""
        return np.stack(
            [self.component(*dates, band) for band, dates in enumerate(zip(before, after, strict=True))]
        )


def standard(values: Float32Array, centre: float, scale: float) -> Float32Array:
    """Standardise pixel values of a band for its component of the direction, any shape."""
    with np.errstate(over="ignore"):
        result = (values - np.float32(centre)) * np.float32(min(1.0 / scale, _LARGEST))
        return np.clip(result, -_FARTHEST, _FARTHEST, out=result)


def direction_columns(vectors: Float64Array) -> dict[str, NDArray[Any]]:
    """Columns of polygons for the direction of their mean change vectors, (bands, n); NaN = unknown.

    Returns
    -------
    dict
        `magnitude`, the length of each vector; `sector`, a sign for each band in order: + rose, - fell,
        0 at most a quarter of the band that moved most. None where a band is unknown.

    >>> direction_columns(np.array([[3.0, np.nan], [-4.0, 1.0], [0.5, 1.0]]))["sector"].tolist()
    ['+-0', None]
    """
    strongest = np.abs(vectors).max(axis=0, initial=0)
    signs = np.where(np.abs(vectors) <= _STILL * strongest, "0", np.where(vectors > 0, "+", "-"))
    known = np.isfinite(strongest)
    sectors = ["".join(each) if is_known else None for each, is_known in zip(signs.T, known, strict=True)]
    return {
        "magnitude": np.sqrt((vectors**2).sum(axis=0)),
        "sector": np.array(sectors, dtype=np.object_),
    }
