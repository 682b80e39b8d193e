"""Covered polygons: the columns of joined changes, from the pairs' own polygons that each of them covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.batches.pair_layers import DATES, Columns, PairLayer

_DIFFERENCE = "difference_"


@dataclass(frozen=True)
class CoveredPolygons:
    """Polygons of pairs that joined regions cover, sorted by region, the largest part first."""

    count: int  # number of regions
    region: Int64Array  # (n,)
    polygon: Int64Array  # (n,)
    shared_area: Float64Array  # (n,) in squared CRS units, above 0

    @classmethod
    def of(cls, regions: NDArray[np.object_], polygons: NDArray[np.object_]) -> CoveredPolygons:
        """Polygons that regions in the same CRS cover."""
        region, polygon = shapely.STRtree(polygons).query(regions, predicate="intersects")
        area = shapely.area(shapely.intersection(regions[region], polygons[polygon]))
        order = np.lexsort((polygon, -area, region))
        order = order[area[order] > 0]
        return cls(len(regions), region[order], polygon[order], area[order])

    @property
    def starts(self) -> Int64Array:
        """Index of the first covered polygon of each region that covers any."""
        return np.flatnonzero(np.diff(self.region, prepend=-1))

    def largest(self) -> Int64Array:
        """Polygon with the largest part of each region, (count,); -1 = it covers none."""
        found = np.full(self.count, -1, np.int64)
        found[self.region[self.starts]] = self.polygon[self.starts]
        return found

    def mean(self, values: Float64Array) -> Float64Array:
        """Mean over the covered polygons weighted by area, (count,); NaN where none is known."""
        known = ~np.isnan(values[self.polygon])
        region, weight = self.region[known], self.shared_area[known]
        total = np.bincount(region, weights=weight * values[self.polygon[known]], minlength=self.count)
        single = np.bincount(self.region, minlength=self.count) == 1  # exactly as it was
        with np.errstate(invalid="ignore"):
            mean = total / np.bincount(region, weights=weight, minlength=self.count)
        mean[single] = values[self.largest()[single]]
        return mean

    def extreme_dates(self, days: NDArray[np.datetime64], ufunc: np.ufunc) -> NDArray[np.datetime64]:
        """Earliest or latest date over the covered polygons, (count,); NaT where one is unknown."""
        found = np.full(self.count, np.datetime64("NaT", "D"))
        if self.starts.size:
            found[self.region[self.starts]] = ufunc.reduceat(days[self.polygon], self.starts)
        return found

    def names(self, names: NDArray[np.object_]) -> NDArray[np.object_]:
        """Names of the pairs of the covered polygons, with commas, the largest part first, (count,)."""
        found = np.full(self.count, None, dtype=object)
        starts = self.starts
        for start, end in zip(starts, [*starts[1:], len(self.region)], strict=True):
            found[self.region[start]] = ",".join(dict.fromkeys(names[self.polygon[start:end]]))
        return found


def attributes_of(regions: NDArray[np.object_], polygons: PairLayer, own: Columns) -> Columns:
    """Columns of joined changes that tracing does not give, from the pairs' own polygons.

    Differences of the bands are means weighted by area, dates the earliest and the latest; the others are
    those of the polygon with the largest part. A region that covers no polygon, because all its parts were
    dropped as too small by their pairs, has none, and 0 as `pair_change_id`.

    Parameters
    ----------
    regions
        (n,) in the CRS of the polygons.
    own
        Columns that the regions have already.
    """
    covered = CoveredPolygons.of(regions, polygons.geometry)
    largest = covered.largest()
    found = {
        name: covered.mean(values.astype(np.float64))
        if name.startswith(_DIFFERENCE)
        else _taken(values, largest)
        for name, values in polygons.columns.items()
        if name not in (*own, *DATES)
    }
    for name, ufunc in zip(DATES, (np.minimum, np.maximum), strict=True):
        found[name] = covered.extreme_dates(polygons.dates(name), ufunc)
    found["pairs"] = covered.names(polygons.columns["pair"])
    found["pair_change_id"] = np.nan_to_num(_taken(polygons.columns["change_id"], largest)).astype(np.int64)
    return found


def _taken(values: NDArray[Any], chosen: Int64Array) -> NDArray[Any]:
    """Values of the chosen polygons; those of -1 are missing: None of text, NaN of numbers."""
    missing = chosen < 0
    if not missing.any():
        return values[chosen]
    if not len(values):
        return np.full(len(chosen), None if values.dtype == np.object_ else np.nan)
    taken = values[chosen]
    if taken.dtype == np.object_:
        taken[missing] = None
        return taken
    return np.where(missing, np.nan, taken)
