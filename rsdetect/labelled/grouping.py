"""Which pairs lie so near each other that they are of one place."""

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

ADJOINING_M = 500.0  # footprints that lie nearer are neighbours, whatever their pixel size

_DISTANCE = re.compile(r"(\d+(?:\.\d+)?)\s*(m|km)")
_METRES_PER_DEGREE = 111_200.0  # of latitude, to half a percent


@dataclass(frozen=True, kw_only=True)
class GroupBy:
    """What pairs of one place have in common: a part of their names, or ground within a distance."""

    text: str  # as the option was written
    distance_m: float | None = None
    pattern: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, text: str) -> GroupBy:
        """From a distance ("500m", "2 km"), or a regular expression that finds the place in a name.

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
        """The pairs, with the places that they then have.

        Raises
        ------
        InputError
            A name without match, or a distance and a pair without georeference.
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
        places = together([pair.place for pair in pairs], grids, self.distance_m)
        return [replace(pair, place=place) for pair, place in zip(pairs, places, strict=True)]

    def _place_in(self, name: str) -> str:
        assert self.pattern is not None
        found = self.pattern.search(name)
        place = found and (found[1] if self.pattern.groups else found[0])
        if not place:
            raise InputError(f"`group_by` {self.text!r} finds no place in the name {name}.")
        return place


def together(places: Sequence[str], grids: Sequence[Grid], distance_m: float) -> list[str]:
    """The place of each pair once neighbours count as one, named after the first of its members.

    Chains are followed: of three pairs in a row, each `distance_m` from the next, the ends are together too.
    """
    number = {place: i for i, place in enumerate(sorted(set(places)))}
    edges = [(number[places[i]], number[places[j]]) for i, j in neighbours(grids, distance_m)]
    rows, cols = np.array(edges, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (rows, cols)), shape=(len(number), len(number)))
    _, groups = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for place, i in number.items():
        first.setdefault(int(groups[i]), place)
    return [first[int(groups[number[place]])] for place in places]


def adjoining(places: Sequence[str], grids: Sequence[Grid]) -> dict[str, set[str]]:
    """Place -> the other places with ground within `ADJOINING_M`; without georeference there is none."""
    found: dict[str, set[str]] = defaultdict(set)
    for i, j in neighbours(grids, ADJOINING_M):
        if places[i] != places[j]:
            found[places[i]].add(places[j])
            found[places[j]].add(places[i])
    return dict(found)


def neighbours(grids: Sequence[Grid], distance_m: float) -> Iterator[tuple[int, int]]:
    """Pairs of numbers, the first one the lower, of grids whose footprints lie within a distance."""
    numbers = [i for i, grid in enumerate(grids) if grid.crs is not None]
    footprints = [_footprint(grids[i]) for i in numbers]
    tree = shapely.STRtree(footprints)
    for a, footprint in enumerate(footprints):
        for turned in (affinity.translate(footprint, turn) for turn in _TURNS):
            for b in tree.query(_widened(turned, distance_m)):
                if b > a and _distance_m(turned, footprints[b]) <= distance_m:
                    yield numbers[a], numbers[b]


_TURNS = (-360.0, 0.0, 360.0)  # degrees of longitude: what lies on both sides of the antimeridian is near


def _footprint(grid: Grid) -> shapely.Polygon:
    """The corners in degrees of longitude and latitude; across the antimeridian they go on beyond 180."""
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


def _widened(footprint: shapely.Polygon, distance_m: float) -> shapely.Polygon:
    """A box in degrees that holds all that is within the distance."""
    west, south, east, north = footprint.bounds
    up = 1.01 * distance_m / _METRES_PER_DEGREE
    aside = up / _shrink(max(abs(south), abs(north)) + up)
    return shapely.box(west - aside, south - up, east + aside, north + up)


def _distance_m(one: shapely.Polygon, other: shapely.Polygon) -> float:
    """On a plane that fits the ground between the two: exact to a percent below some tens of km."""
    middle = (one.centroid.y + other.centroid.y) / 2
    scale = np.array([_METRES_PER_DEGREE * _shrink(middle), _METRES_PER_DEGREE])
    flat = [shapely.transform(footprint, lambda xy: xy * scale) for footprint in (one, other)]
    return float(shapely.distance(*flat))


def _shrink(latitude: float) -> float:
    """Length of a degree of longitude over that of one of latitude; never 0."""
    return max(math.cos(math.radians(min(abs(latitude), 90.0))), 1e-3)
