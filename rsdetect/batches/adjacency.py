"""Adjacency of the pairs of a batch: which of them form one mosaic, and which overlap on other grids."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from rsdetect.arraytypes import Int64Array
from rsdetect.batches.finished_pairs import FinishedPair, periods_of
from rsdetect.batches.mosaics import Mosaic, MosaicTile
from rsdetect.errors import NothingToCompare
from rsdetect.grid import Grid, Window
from rsdetect.regions.areas import metres_per_unit
from rsdetect.regions.connected import connected_components
from rsdetect.scenes.alignment import offset_between, window_of

_EDGE_PLACES = 9  # along each side of an extent, for its bounds in longitude and latitude


def mosaics_of(pairs: Sequence[FinishedPair]) -> tuple[list[Mosaic], list[tuple[int, int, int, int]]]:
    """Mosaics of the pairs, and overlaps of their tiles with those of other mosaics.

    Pairs form a mosaic if their pixels coincide, their extents meet (or are nearer than `merge_gap`), their
    changes belong to one period, and their polygons have the same options.

    Returns
    -------
    mosaics, overlaps
        Mosaics in the order of their first pairs; (mosaic, tile, other mosaic, other tile) of each tile whose
        extent overlaps with one of another mosaic of the same period, in both directions.
    """
    periods = periods_of([pair.span for pair in pairs])
    one, other = _near(pairs, periods)
    meets = [_meet(pairs[a], pairs[b]) for a, b in zip(one, other, strict=True)]
    joined = np.array(meets, dtype=bool)
    _, member = connected_components(len(pairs), one[joined], other[joined])
    mosaics = [
        _mosaic([(number, pairs[number]) for number in numbers], periods[numbers[0]])
        for numbers in np.split(
            np.argsort(member, kind="stable"), np.flatnonzero(np.diff(np.sort(member))) + 1
        )
        if len(numbers)
    ]
    place = {tile.number: (at, nth) for at, each in enumerate(mosaics) for nth, tile in enumerate(each.tiles)}
    overlaps = [
        (*place[a], *place[b])
        for first, second in zip(one[~joined], other[~joined], strict=True)
        if member[first] != member[second] and _overlap(pairs[first].grid, pairs[second].grid)
        for a, b in ((first, second), (second, first))
    ]
    return mosaics, overlaps


def _near(pairs: Sequence[FinishedPair], periods: Sequence[int]) -> tuple[Int64Array, Int64Array]:
    """Numbers of pairs of one period whose bounding boxes meet, the lower ones first."""
    if not pairs:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    is_one_crs = len({pair.grid.crs for pair in pairs}) == 1
    boxes, owner = [], []
    for number, pair in enumerate(pairs):
        reach = (_reach_px(pair) + 1) * max(pair.grid.pixel_size)
        for box in [_widened(pair.grid, reach)] if is_one_crs else _boxes_in_degrees(pair):
            boxes.append(box)
            owner.append(number)
    tree = shapely.STRtree(boxes)
    found = np.array(owner)[tree.query(boxes, predicate="intersects")]
    found = np.unique(found[:, found[0] < found[1]], axis=1)
    one, other = found[:, np.array(periods)[found[0]] == np.array(periods)[found[1]]]
    return one.astype(np.int64), other.astype(np.int64)


def _reach_px(pair: FinishedPair) -> int:
    """Pixels beyond a pair's extent within which regions may be merged with its own."""
    grid = pair.grid
    scale = _metres_per_pixel(grid)
    return math.ceil(pair.outlines.merge_gap / min(scale))


@lru_cache(maxsize=64)
def _metres_per_pixel(grid: Grid) -> tuple[float, float]:
    """Metres on the ground per row and column of a grid, at its centre."""
    east, north = metres_per_unit(grid.crs, *(grid.transform @ (grid.width / 2, grid.height / 2)))
    t = grid.transform
    return math.hypot(t.b * east, t.e * north), math.hypot(t.a * east, t.d * north)


def _widened(grid: Grid, reach: float) -> shapely.Polygon:
    left, bottom, right, top = grid.bounds
    return shapely.box(left - reach, bottom - reach, right + reach, top + reach)


def _boxes_in_degrees(pair: FinishedPair) -> Iterator[shapely.Polygon]:
    """Bounding boxes of a pair in longitude and latitude, two across 180 degrees; the Earth if unknown."""
    grid, reach = pair.grid, _reach_px(pair) + 1
    cols, rows = np.meshgrid(
        np.linspace(-reach, grid.width + reach, _EDGE_PLACES),
        np.linspace(-reach, grid.height + reach, _EDGE_PLACES),
    )
    xs, ys = grid.transform @ np.array([cols.ravel(), rows.ravel()])
    try:
        lon, lat = _to_degrees(pair.grid.crs).transform(xs, ys)
    except ProjError:
        lon = lat = np.array([np.inf])
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        yield shapely.box(-180, -90, 180, 90)
    elif np.ptp(lon) > 180:
        yield shapely.box(lon[lon > 0].min(), lat.min(), 180, lat.max())
        yield shapely.box(-180, lat.min(), lon[lon <= 0].max(), lat.max())
    else:
        yield shapely.box(lon.min(), lat.min(), lon.max(), lat.max())


@lru_cache(maxsize=64)
def _to_degrees(crs: str | None) -> Transformer:
    """Transformer from the CRS of a pair, as WKT, to longitude and latitude."""
    return Transformer.from_crs(CRS(crs), CRS.from_epsg(4326), always_xy=True)


def _meet(one: FinishedPair, other: FinishedPair) -> bool:
    """True if two pairs form a mosaic."""
    if one.outlines != other.outlines or not _same_directions(one.grid, other.grid):
        return False
    offset = offset_between(one.grid, other.grid)
    if offset is None:
        return False
    reach = 1 + _reach_px(one)
    around = Window(-reach, -reach, one.grid.height + 2 * reach, one.grid.width + 2 * reach)
    return not other.grid.window.shifted(-offset[0], -offset[1]).intersection(around).is_empty


def _same_directions(one: Grid, other: Grid) -> bool:
    """True if rows and columns of two grids run in the same directions."""
    t, u = one.transform, other.transform
    return t.a * u.a + t.d * u.d > 0 and t.b * u.b + t.e * u.e > 0


def _overlap(one: Grid, other: Grid) -> bool:
    """True if the extents of two grids overlap."""
    try:
        return not window_of(other, one).is_empty
    except NothingToCompare:
        return False


def _mosaic(members: list[tuple[int, FinishedPair]], period: int) -> Mosaic:
    """Mosaic of pairs on one grid, each with its number in the list."""
    first = members[0][1].grid
    places = [(~first.transform @ pair.grid.transform @ (0, 0)) for _, pair in members]
    windows = [
        Window(round(row), round(col), *pair.grid.shape)
        for (col, row), (_, pair) in zip(places, members, strict=True)
    ]
    top, left = min(each.row_off for each in windows), min(each.col_off for each in windows)
    bottom, right = max(each.row_end for each in windows), max(each.col_end for each in windows)
    grid = first.crop(Window(top, left, bottom - top, right - left))
    tiles = tuple(
        MosaicTile(pair, number, window.shifted(-top, -left))
        for window, (number, pair) in zip(windows, members, strict=True)
    )
    return Mosaic(grid, tiles, _metres_per_pixel(grid), period)
