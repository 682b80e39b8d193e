"""Zones: how much of each polygon of others (parcels, districts) changed and was observed.

Coverage is exact: zones are intersected with the outlines of the regions and of the footprint, so that a
zone smaller than a pixel has its share of the pixel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.regions.areas import measure

_MOST_VERTICES = 256  # of a piece of the footprint; larger ones would be walked for every zone
_ZONES = 4096  # intersected at a time


@dataclass(frozen=True)
class ZoneShares:
    """Shares of n zones that changed and that were observed; of unobserved zones, changes are NaN."""

    area_m2: Float64Array  # NaN without a CRS
    changed_area_m2: Float64Array
    changed_share: Float64Array  # of the zone's area
    observed_share: Float64Array  # likewise
    regions: Int64Array  # that have a part in the zone


def zone_shares(
    zones: NDArray[np.object_],
    changes: NDArray[np.object_],
    footprint: NDArray[np.object_],
    crs: str | None,
) -> ZoneShares:
    """Measure changed and observed ground in zones.

    Parameters
    ----------
    zones, changes, footprint
        Valid polygons in one CRS, (n,), (m,), (k,); neither changes nor parts of the footprint overlap.
    crs
        WKT; None = shares are of plain areas, and areas in m2 are NaN.

    >>> zones = np.array([shapely.box(0, 0, 4, 1), shapely.box(10, 0, 11, 1)])
    >>> change, seen = np.array([shapely.box(3, 0, 6, 1)]), np.array([shapely.box(0, 0, 8, 8)])
    >>> found = zone_shares(zones, change, seen, None)
    >>> found.changed_share, found.observed_share, found.regions
    (array([0.25,  nan]), array([1., 0.]), array([1, 0]))
    """
    area = _ground(zones, crs)
    changed, regions = _covered(zones, changes, crs)
    pieces = np.array([piece for part in footprint for piece in _pieces(part)], dtype=object)
    seen, _ = _covered(zones, pieces, crs)
    observed = np.minimum(seen / area, 1.0)
    changed[seen == 0] = np.nan
    metres = np.nan if crs is None else 1.0
    return ZoneShares(
        area_m2=area * metres,
        changed_area_m2=changed * metres,
        changed_share=np.minimum(changed / area, 1.0),
        observed_share=observed,
        regions=regions,
    )


def _ground(polygons: NDArray[np.object_], crs: str | None) -> Float64Array:
    """Areas on the ground; those of the plane without a CRS."""
    return shapely.area(polygons) if crs is None else measure(polygons, crs)[0]


def _covered(
    zones: NDArray[np.object_], polygons: NDArray[np.object_], crs: str | None
) -> tuple[Float64Array, Int64Array]:
    """Area of each zone under polygons that do not overlap, and the number of polygons with a part of it."""
    area, count = np.zeros(len(zones)), np.zeros(len(zones), np.int64)
    tree = shapely.STRtree(polygons)
    for start in range(0, len(zones), _ZONES):
        some = zones[start : start + _ZONES]
        zone, polygon = tree.query(some, predicate="intersects")
        common = shapely.intersection(some[zone], polygons[polygon])
        parts = _area_of_parts(common, crs)
        np.add.at(area, start + zone, parts)
        np.add.at(count, start + zone, parts > 0)
    return area, count


def _area_of_parts(geometry: NDArray[np.object_], crs: str | None) -> Float64Array:
    """Area of the polygons in geometries of any kind, (n,)."""
    parts, owner = shapely.get_parts(geometry, return_index=True)
    inner, nested = shapely.get_parts(parts, return_index=True)
    is_polygon = shapely.get_type_id(inner) == shapely.GeometryType.POLYGON
    found = _ground(inner[is_polygon], crs)
    return np.bincount(owner[nested[is_polygon]], weights=found, minlength=len(geometry)).astype(np.float64)


def _pieces(polygon: Any) -> Iterator[Any]:
    """Pieces of a polygon with few vertices each, cut along halves of its extent."""
    if shapely.get_num_coordinates(polygon) <= _MOST_VERTICES:
        if shapely.get_type_id(polygon) in (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON):
            yield polygon
        return
    west, south, east, north = shapely.bounds(polygon)
    if east - west > north - south:
        middle = (west + east) / 2
        halves = shapely.box(west, south, middle, north), shapely.box(middle, south, east, north)
    else:
        middle = (south + north) / 2
        halves = shapely.box(west, south, east, middle), shapely.box(west, middle, east, north)
    for half in halves:
        for part in shapely.get_parts(shapely.intersection(polygon, half)):
            yield from _pieces(part)
