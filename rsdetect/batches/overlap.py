"""How much changed area a batch counts more than once, because pairs overlap.

Ground counts twice where polygons of two pairs cover it and one change can be in both: where the time spans
of the pairs overlap, or a date is unknown. Pairs that follow each other in time (2020 to 2021, 2021 to 2022)
show different changes of one ground, and adding their areas up is right.

Of each polygon the part is measured that polygons of pairs earlier in the list cover already, as areas are
measured elsewhere: in the CRS of its own pair. A pair's area less this is what it adds to the ground that
changed, so that ground under three pairs counts as surplus twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.regions.areas import measure

_MOST_VERTICES = 256  # of a piece; larger polygons are cut, so that no intersection is a large one
_MOST_HALVINGS = 40  # by which the longest outline is in pieces
_CHUNK = 2_000  # pieces whose neighbours are sought at a time
_POLYGON = 3  # shapely's type number

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class PlacedChanges:
    """The changes of one pair on the ground that all pairs share."""

    geometry: Geometries  # (n,) polygons in the common CRS
    crs: str  # WKT of the pair's own CRS, in which its areas were measured
    to_own: Callable[[NDArray[Any]], NDArray[Any]]  # (m, 2) of the common CRS to (m, 2) of the pair's own
    span: tuple[np.datetime64, np.datetime64]  # dates; NaT = unknown


def counted_twice(pairs: Sequence[PlacedChanges]) -> list[float]:
    """Of each pair, the area in m2 that pairs before it in the list count already."""
    cut = [_pieces(pair.geometry) for pair in pairs]
    pieces = np.concatenate([np.empty(0, dtype=object), *cut])
    owner = np.repeat(np.arange(len(pairs)), [len(each) for each in cut])
    may_share = np.array([[_may_share(one.span, other.span) for other in pairs] for one in pairs], dtype=bool)
    tree = shapely.STRtree(pieces)
    twice = np.zeros(len(pairs))
    for start in range(0, len(pieces), _CHUNK):
        later, earlier = tree.query(pieces[start : start + _CHUNK], predicate="intersects")
        later = later + start
        wanted = owner[earlier] < owner[later]
        wanted &= may_share[owner[later], owner[earlier]] if len(pairs) else False
        later, earlier = later[wanted], earlier[wanted]
        shared = shapely.intersection(pieces[later], pieces[earlier])
        for number, area in _areas(shared, later, owner, pairs):
            twice[number] += area
    return [float(area) for area in twice]


def _areas(
    shared: Geometries, later: NDArray[np.intp], owner: NDArray[np.intp], pairs: Sequence[PlacedChanges]
) -> list[tuple[int, float]]:
    """(pair, m2) of the ground shared by each later piece, once however many earlier pieces cover it."""
    order = np.argsort(later, kind="stable")
    shared, later = shared[order], later[order]
    starts = np.flatnonzero(np.diff(later, prepend=-1))
    several = np.split(shared, starts[1:]) if len(starts) else []
    once = np.array(
        [each[0] if len(each) == 1 else shapely.union_all(each) for each in several], dtype=object
    )
    owners = owner[later[starts]]
    found = []
    for number in np.unique(owners):
        own = _polygons(shapely.transform(once[owners == number], pairs[number].to_own))
        found.append((int(number), float(measure(own, pairs[number].crs)[0].sum())))
    return found


def _may_share(one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    """Whether one change can lie in both spans; a day on which one ends and the other begins is no time."""
    if np.isnat(np.array([*one, *other])).any():
        return True
    return bool(max(min(one), min(other)) < min(max(one), max(other)))


def _pieces(polygons: Geometries) -> Geometries:
    """The polygons, valid and cut until none has many vertices; pieces of one polygon do not overlap."""
    broken = ~shapely.is_valid(polygons)
    polygons = np.concatenate([polygons[~broken], shapely.make_valid(polygons[broken])])
    small, large = [], _polygons(polygons)
    for halvings in range(_MOST_HALVINGS + 1):
        done = (shapely.get_num_coordinates(large) <= _MOST_VERTICES) | (halvings == _MOST_HALVINGS)
        small.append(large[done])
        large = _polygons(np.concatenate([np.empty(0, dtype=object), *map(_halves, large[~done])]))
    return np.concatenate([np.empty(0, dtype=object), *small])


def _halves(polygon: Any) -> Geometries:
    """Both halves of a polygon, cut across its longer side."""
    left, bottom, right, top = shapely.bounds(polygon)
    if right - left > top - bottom:
        middle = (left + right) / 2
        boxes = [shapely.box(left, bottom, middle, top), shapely.box(middle, bottom, right, top)]
    else:
        middle = (bottom + top) / 2
        boxes = [shapely.box(left, bottom, right, middle), shapely.box(left, middle, right, top)]
    halves: Geometries = shapely.intersection(polygon, boxes)
    return halves


def _polygons(geometry: Geometries) -> Geometries:
    """The polygons among the parts of any geometries; lines and points have no area."""
    parts = shapely.get_parts(shapely.get_parts(geometry))
    polygons: Geometries = parts[shapely.get_type_id(parts) == _POLYGON]
    return polygons
