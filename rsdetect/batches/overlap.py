"""Overlap of the pairs of a batch: how much changed area is counted more than once.

An area is counted twice where polygons of two pairs cover it and both may show the same change: where the
time spans of the pairs overlap, or a date is unknown. Consecutive pairs (2020 to 2021, 2021 to 2022) show
different changes of the same area, and adding them is correct.

For each polygon, the part that polygons of earlier pairs in the list already cover is measured in the CRS of
its own pair, like all areas. The area of a pair minus this part is its contribution to the union, so that an
area covered by three pairs counts as surplus twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.batches.finished_pairs import spans_overlap
from rsdetect.regions.areas import measure

_MOST_VERTICES = 256  # per piece; larger polygons are cut, which bounds the cost of an intersection
_MOST_HALVINGS = 40  # reduces the largest outline to pieces
_CHUNK = 2_000  # pieces per query of the spatial index
_POLYGON = 3  # shapely's type number

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class PlacedChanges:
    """Changes of one pair in the CRS common to all pairs, for the overlap."""

    geometry: Geometries  # (n,) polygons in the common CRS
    crs: str  # WKT of the pair's CRS, in which its areas are measured
    to_own: Callable[[NDArray[Any]], NDArray[Any]]  # (m, 2) from the common CRS to `crs`, the same for all
    span: tuple[np.datetime64, np.datetime64]  # dates; NaT = unknown


def area_counted_twice(pairs: Sequence[PlacedChanges]) -> list[float]:
    """Area in m2 of each pair that overlaps changes of earlier pairs in the list."""
    whole = np.concatenate([np.empty(0, dtype=object), *(pair.geometry for pair in pairs)])
    owner = np.repeat(np.arange(len(pairs)), [len(pair.geometry) for pair in pairs])
    pieces, owner = _cut_polygons(whole, owner)
    spans = np.array([pair.span for pair in pairs], "datetime64[D]").reshape(-1, 2)
    tree = shapely.STRtree(pieces)
    twice = np.zeros(len(pairs))
    for start in range(0, len(pieces), _CHUNK):
        later, earlier = tree.query(pieces[start : start + _CHUNK], predicate="intersects")
        later = later + start
        wanted = owner[earlier] < owner[later]
        later, earlier = later[wanted], earlier[wanted]
        wanted = spans_overlap(spans[owner[later]], spans[owner[earlier]])
        later, earlier = later[wanted], earlier[wanted]
        shared = shapely.intersection(pieces[later], pieces[earlier])
        twice += _shared_areas(shared, later, owner, pairs)
    return [float(area) for area in twice]


def _shared_areas(
    shared: Geometries, later: Int64Array, owner: Int64Array, pairs: Sequence[PlacedChanges]
) -> Float64Array:
    """Area in m2, (pairs,), of the overlap of later pieces, once even if several earlier ones cover it."""
    order = np.argsort(later, kind="stable")
    shared, later = shared[order], later[order]
    starts = np.flatnonzero(np.diff(later, prepend=-1))
    several = np.split(shared, starts[1:]) if len(starts) else []
    once = np.array(
        [each[0] if len(each) == 1 else shapely.union_all(each) for each in several], dtype=object
    )
    parts, owner = _polygon_parts(once, owner[later[starts]])
    own_crs = np.array([pairs[number].crs for number in owner], dtype=object)
    found = np.zeros(len(pairs))
    for crs in set(own_crs):
        here = own_crs == crs
        own = shapely.transform(parts[here], pairs[owner[here][0]].to_own)
        found += np.bincount(owner[here], weights=measure(own, crs)[0], minlength=len(pairs))
    return found


def _cut_polygons(polygons: Geometries, owner: Int64Array) -> tuple[Geometries, Int64Array]:
    """Make polygons valid and cut them until none has many vertices; pieces of one polygon do not overlap.

    Parameters
    ----------
    polygons, owner
        (n,) each, and the pair of each.

    Returns
    -------
    pieces, owner
        As given.
    """
    broken = ~shapely.is_valid(polygons)
    polygons = polygons.copy()
    polygons[broken] = shapely.make_valid(polygons[broken])
    large, whose = _polygon_parts(polygons, owner)
    small, owners = [large[:0]], [whose[:0]]
    for halvings in range(_MOST_HALVINGS + 1):
        done = (shapely.get_num_coordinates(large) <= _MOST_VERTICES) | (halvings == _MOST_HALVINGS)
        small.append(large[done])
        owners.append(whose[done])
        if done.all():
            break
        halves = np.concatenate([_polygon_halves(polygon) for polygon in large[~done]])
        large, whose = _polygon_parts(halves, np.repeat(whose[~done], 2))
    return np.concatenate(small), np.concatenate(owners)


def _polygon_halves(polygon: Any) -> Geometries:
    """Halves of a polygon for the overlap, cut across its longer side."""
    left, bottom, right, top = shapely.bounds(polygon)
    if right - left > top - bottom:
        middle = (left + right) / 2
        boxes = [shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)]
    else:
        middle = (bottom + top) / 2
        boxes = [shapely.box(left, bottom, right, middle), shapely.box(left, middle, right, top)]
    halves: Geometries = shapely.intersection(polygon, boxes)
    return halves


def _polygon_parts(geometry: Geometries, owner: Int64Array) -> tuple[Geometries, Int64Array]:
    """Polygons among the parts of overlap geometries, and their owners; lines and points have no area."""
    for _ in range(2):  # collections have multipolygons
        geometry, index = shapely.get_parts(geometry, return_index=True)
        owner = owner[index]
    is_polygon = shapely.get_type_id(geometry) == _POLYGON
    return geometry[is_polygon], owner[is_polygon]
