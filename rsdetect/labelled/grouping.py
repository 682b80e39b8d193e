"""Grouping of labelled pairs into places, by distance or by name."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pyproj
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from shapely import affinity

from rsdetect.errors import InputError
from rsdetect.grid import Grid
from rsdetect.labelled.pairs import LabelledPair

ADJOINING_M = 500.0  # footprints within this distance are neighbours, at any pixel size

_DISTANCE = re.compile(r"(\d+(?:\.\d+)?)\s*(m|km)")
_METRES_PER_DEGREE = 111_200.0  # of latitude, to half a percent


@dataclass(frozen=True, kw_only=True)
class GroupBy:
    """Grouping rule of labelled pairs: a part of their names, or footprints within a distance."""

    text: str  # the option as given
    distance_m: float | None = None
    pattern: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, text: str) -> GroupBy:
        """Parse a grouping rule: a distance ("500m", "2 km"), or a regular expression that matches the place.

        Raises
        ------
        InputError
            The text is neither.

        >>> GroupBy.parse("2km").distance_m
        2000.0
        """
        if found := _DISTANCE.fullmatch(text.strip()):
            return cls(text=text, distance_m=float(found[1]) * (1000 if found[2] == "km" else 1))
        try:
            return cls(text=text, pattern=re.compile(text))
        except re.error as error:
            raise InputError(
                f"`group_by` {text!r} is neither a distance like 500m nor a regular expression: {error}."
            ) from error

    def apply(self, pairs: Sequence[LabelledPair], grids: Sequence[Grid]) -> list[LabelledPair]:
        """Apply the grouping to pairs; returns them with new places.

        Raises
        ------
        InputError
            A name does not match, or a pair without georeference is to be grouped by distance.
        """
        if self.pattern is not None:
            return [replace(pair, place=self._place_in(pair.name)) for pair in pairs]
        assert self.distance_m is not None
        for pair, grid in zip(pairs, grids, strict=True):
            if grid.crs is None:
                raise InputError(
                    f"`group_by` {self.text}: {pair.before} has no georeference, so distances to it are "
                    "unknown; a regular expression groups pairs by their names."
                )
        places = group_neighbours([pair.place for pair in pairs], grids, self.distance_m)
        return [replace(pair, place=place) for pair, place in zip(pairs, places, strict=True)]

    def _place_in(self, name: str) -> str:
        assert self.pattern is not None
        found = self.pattern.search(name)
        place = found and (found[1] if self.pattern.groups else found[0])
        if not place:
            raise InputError(f"`group_by` {self.text!r} finds no place in the name {name}.")
        return place


def group_neighbours(places: Sequence[str], grids: Sequence[Grid], distance_m: float) -> list[str]:
    """Group neighbouring pairs: the place of each pair, named after the first place of its group.

    Groups are transitive: of three pairs in a row, each `distance_m` from the next, the ends are in one
    group.
    """
    number = {place: i for i, place in enumerate(sorted(set(places)))}
    edges = [(number[places[i]], number[places[j]]) for i, j in neighbouring_footprints(grids, distance_m)]
    rows, cols = np.array(edges, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (rows, cols)), shape=(len(number), len(number)))
    _, groups = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for place, i in number.items():
        first.setdefault(int(groups[i]), place)
    return [first[int(groups[number[place]])] for place in places]


def adjoining_places(places: Sequence[str], grids: Sequence[Grid]) -> dict[str, set[str]]:
    """Group of adjoining places of each place, within `ADJOINING_M`; none without georeference."""
    found: dict[str, set[str]] = defaultdict(set)
    for i, j in neighbouring_footprints(grids, ADJOINING_M):
        if places[i] != places[j]:
            found[places[i]].add(places[j])
            found[places[j]].add(places[i])
    return dict(found)


def neighbouring_footprints(grids: Sequence[Grid], distance_m: float) -> Iterator[tuple[int, int]]:
    """Index pairs (lower first) of grids whose footprints are within a distance, for grouping."""
    numbers = [i for i, grid in enumerate(grids) if grid.crs is not None]
    footprints = [_footprint_degrees(grids[i]) for i in numbers]
    tree = shapely.STRtree(footprints)
    for a, footprint in enumerate(footprints):
        for turned in (affinity.translate(footprint, turn) for turn in _TURNS):
            for b in tree.query(_buffered_box(turned, distance_m)):
                if b > a and _footprint_distance_m(turned, footprints[b]) <= distance_m:
                    yield numbers[a], numbers[b]


_TURNS = (-360.0, 0.0, 360.0)  # degrees of longitude: footprints across the antimeridian are neighbours


def _footprint_degrees(grid: Grid) -> shapely.Polygon:
    """Footprint for grouping, in degrees of longitude and latitude, continuous across the antimeridian."""
    assert grid.crs is not None
    corners = ((0, 0), (grid.width, 0), (grid.width, grid.height), (0, grid.height))
    xs, ys = zip(*(grid.transform @ corner for corner in corners), strict=True)
    longitudes, latitudes = _to_degrees(grid.crs).transform(xs, ys)
    first = longitudes[0]
    return shapely.Polygon(
        [(first + (x - first + 180) % 360 - 180, y) for x, y in zip(longitudes, latitudes, strict=True)]
    )


@lru_cache(maxsize=64)
def _to_degrees(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def _buffered_box(footprint: shapely.Polygon, distance_m: float) -> shapely.Polygon:
    """Bounding box in degrees of all ground within the grouping distance of a footprint."""
    west, south, east, north = footprint.bounds
    up = 1.01 * distance_m / _METRES_PER_DEGREE
    aside = up / _longitude_scale(max(abs(south), abs(north)) + up)
    return shapely.box(west - aside, south - up, east + aside, north + up)


def _footprint_distance_m(one: shapely.Polygon, other: shapely.Polygon) -> float:
    """Distance of footprints for grouping, on a local plane, accurate to a percent below some tens of km."""
    middle = (one.centroid.y + other.centroid.y) / 2
    scale = np.array([_METRES_PER_DEGREE * _longitude_scale(middle), _METRES_PER_DEGREE])
    flat = [shapely.transform(footprint, lambda xy: xy * scale) for footprint in (one, other)]
    return float(shapely.distance(*flat))


def _longitude_scale(latitude: float) -> float:
    """Length of a degree of longitude relative to latitude for grouping; never 0."""
    return max(math.cos(math.radians(min(abs(latitude), 90.0))), 1e-3)
