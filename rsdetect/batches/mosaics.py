"""Mosaics of a batch: pairs on one pixel grid whose extents meet, and the pair that each pixel is from.

A pixel is from a pair that observed it, and of several from the one whose centre is nearest on the ground; at
equal distance from the earlier one in the list. Pairs on other grids (other UTM zones, other pixel sizes) are
compared by the same rule at the pixel's centre.

A mosaic is never stored: it is read by windows from the rasters of its pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float64Array
from rsdetect.batches.finished_pairs import FinishedPair
from rsdetect.errors import InputError
from rsdetect.grid import Grid, Window
from rsdetect.percent import NOT_OBSERVED, PERCENT
from rsdetect.regions.collected import Regions
from rsdetect.scenes.alignment import moved_places
from rsdetect.scoring.raster import ProbabilityRaster, read_whole_raster

_LIFT = PERCENT + 1  # added to the percent of changed pixels where the pairs have other thresholds
_STEP = 64  # pixels between the places that are projected; those between are interpolated
_SMALL_PIXELS = 2**16  # a raster up to this size is read whole, because its neighbours ask for it as well
_KEPT_RASTERS = 1024

UInt8 = NDArray[np.uint8]


@dataclass(frozen=True)
class MosaicTile:
    """Pair of a mosaic, and its place there."""

    pair: FinishedPair
    number: int  # in the list of the batch
    window: Window  # on the grid of the mosaic

    @cached_property
    def _raster(self) -> ProbabilityRaster:
        raster = ProbabilityRaster(self.pair.raster)
        _require_shape(self.pair, raster.grid.shape)
        return raster

    def read(self, window: Window) -> UInt8:
        """Percent in a window of the mosaic that lies inside of the tile."""
        own = window.shifted(-self.window.row_off, -self.window.col_off)
        if self.window.height * self.window.width > _SMALL_PIXELS:
            return self._raster.read(own)
        return _whole(self.pair)[own.slices_in(self.pair.grid.window)].copy()

    def distances(self, rows: Float64Array, cols: Float64Array, scale: tuple[float, float]) -> Float64Array:
        """Squared distances in m² from the tile's centre, of places in the mosaic's rows and columns."""
        centre = self.window.row_off + self.window.height / 2, self.window.col_off + self.window.width / 2
        found: Float64Array = ((rows - centre[0]) * scale[0]) ** 2 + ((cols - centre[1]) * scale[1]) ** 2
        return found


@lru_cache(maxsize=_KEPT_RASTERS)
def _whole(pair: FinishedPair) -> UInt8:
    """All values of the small raster of a pair."""
    values = read_whole_raster(pair.raster)
    _require_shape(pair, values.shape)
    return values


def _require_shape(pair: FinishedPair, shape: tuple[int, ...]) -> None:
    """Raise InputError if the raster of a pair to join has another size than its grid."""
    if shape != pair.grid.shape:
        raise InputError(f"{pair.raster} is not the raster of {pair.folder}; run the pair again.")


@dataclass(frozen=True)
class Chosen:
    """Pixels of a window, each from one pair."""

    values: UInt8  # (height, width) percent; 255 = observed by none
    distance: Float64Array  # (height, width) squared, m²; infinite = observed by none
    owner: NDArray[np.int64]  # (height, width) number of the pair in the list; -1 = observed by none

    @staticmethod
    def nothing(shape: tuple[int, int]) -> Chosen:
        """Pixels that no pair observed."""
        return Chosen(np.full(shape, NOT_OBSERVED, np.uint8), np.full(shape, np.inf), np.full(shape, -1))

    def offer(self, where: tuple[slice, slice], values: UInt8, distance: Float64Array, number: int) -> None:
        """Take the pixels of a pair where they are observed, and nearer to its centre than those here."""
        held, owner = self.distance[where], self.owner[where]
        nearer = (distance < held) | ((distance == held) & (number < owner))
        takes = (values != NOT_OBSERVED) & nearer
        self.values[where][takes] = values[takes]
        held[takes], owner[takes] = distance[takes], number


@dataclass(frozen=True)
class Mosaic:
    """Pairs of one period on one grid whose extents meet, read as one raster of change probability."""

    grid: Grid
    tiles: tuple[MosaicTile, ...]  # in the order of the list
    scale: tuple[float, float]  # metres per row and column, at its centre
    period: int

    @property
    def level(self) -> int:
        """Value from which a pixel is changed."""
        return _LIFT if self.is_lifted else self.tiles[0].pair.level

    @cached_property
    def is_lifted(self) -> bool:
        """True if changed pixels have percent + 101, because the pairs have other thresholds."""
        return len({tile.pair.level for tile in self.tiles}) > 1

    @cached_property
    def _index(self) -> shapely.STRtree:
        """Index of the windows of the tiles, of which a country has thousands."""
        windows = [tile.window for tile in self.tiles]
        edges = np.array([(each.col_off, each.row_off, each.col_end, each.row_end) for each in windows])
        return shapely.STRtree(shapely.box(*edges.T))

    def near(self, window: Window) -> list[MosaicTile]:
        """Tiles with pixels in a window, in the order of the list."""
        box = shapely.box(window.col_off, window.row_off, window.col_end, window.row_end)
        found = [self.tiles[number] for number in sorted(self._index.query(box))]
        return [tile for tile in found if not tile.window.intersection(window).is_empty]

    def read(self, window: Window) -> UInt8:
        """Values of the mosaic to trace, (height, width); 255 = not observed."""
        near = self.near(window)
        if len(near) == 1 and not self.is_lifted:
            values = np.full(window.shape, NOT_OBSERVED, np.uint8)
            inside = near[0].window.intersection(window)
            values[inside.slices_in(window)] = near[0].read(inside)
            return values
        return self.chosen(window, near).values

    def chosen(self, window: Window, near: list[MosaicTile] | None = None) -> Chosen:
        """Pixels of a window, each from one pair of the mosaic."""
        found = Chosen.nothing(window.shape)
        for tile in self.near(window) if near is None else near:
            inside = tile.window.intersection(window)
            values = tile.read(inside)
            if self.is_lifted:
                changed = (values >= tile.pair.level) & (values != NOT_OBSERVED)
                values[changed] += _LIFT
            rows = np.arange(inside.row_off, inside.row_end, dtype=np.float64)[:, None] + 0.5
            cols = np.arange(inside.col_off, inside.col_end, dtype=np.float64)[None, :] + 0.5
            distance = tile.distances(rows, cols, self.scale)
            found.offer(inside.slices_in(window), values, distance, tile.number)
        return found

    def nearest(self, row: float, col: float) -> MosaicTile:
        """The tile around a place, in rows and columns; of several the one whose centre is nearest."""
        at = np.array(row), np.array(col)
        around = self.near(Window(math.floor(row), math.floor(col), 1, 1))
        return min(around or self.tiles, key=lambda tile: float(tile.distances(*at, self.scale)))

    def probabilities(self, regions: Regions) -> tuple[Float64Array, Float64Array]:
        """Mean and largest probability of traced regions."""
        mean, largest, pixels = regions.probability_mean, regions.probability_max, regions.pixels
        if not self.is_lifted:
            return mean, largest
        total = np.rint(mean * PERCENT * pixels) - _LIFT * pixels
        return total / (PERCENT * pixels), (np.rint(largest * PERCENT) - _LIFT) / PERCENT


@dataclass(frozen=True)
class OwnPixels:
    """The pixels that are from one tile, as a raster to trace: 0, and 255 elsewhere."""

    mosaic: Mosaic
    tile: MosaicTile
    others: tuple[tuple[Mosaic, MosaicTile], ...]  # tiles on other grids that overlap with it

    @property
    def grid(self) -> Grid:
        """Grid of the tile."""
        return self.tile.pair.grid

    def read(self, window: Window) -> UInt8:
        """0 in the pixels of the tile's window that are from it, 255 elsewhere, (height, width)."""
        placed = window.shifted(self.tile.window.row_off, self.tile.window.col_off)
        found = self.mosaic.chosen(placed)
        for mosaic, tile in self.others:
            _offer_from_other_grid(found, placed, self.mosaic.grid, mosaic, tile)
        return np.where(found.owner == self.tile.number, 0, NOT_OBSERVED).astype(np.uint8)


def _offer_from_other_grid(
    found: Chosen, window: Window, grid: Grid, mosaic: Mosaic, tile: MosaicTile
) -> None:
    """Offer the pixels of a tile on another grid to a window, by the place of each pixel's centre there."""
    cols, rows = _places(window, grid, mosaic.grid)
    inside = _inside(rows, cols, tile.window)
    if not inside.any():
        return
    row, col = (np.floor(each[inside]).astype(np.int64) for each in (rows, cols))
    part = Window(int(row.min()), int(col.min()), int(np.ptp(row)) + 1, int(np.ptp(col)) + 1).intersection(
        tile.window
    )
    values = np.full(window.shape, NOT_OBSERVED, np.uint8)
    values[inside] = tile.read(part)[row - part.row_off, col - part.col_off]
    whole = slice(0, window.height), slice(0, window.width)
    found.offer(whole, values, tile.distances(rows, cols, mosaic.scale), tile.number)


def _inside(rows: Float64Array, cols: Float64Array, window: Window) -> BoolArray:
    """Mask of the places in a window of a mosaic; infinite ones are in none."""
    inside: BoolArray = (rows >= window.row_off) & (rows < window.row_end)
    inside &= (cols >= window.col_off) & (cols < window.col_end)
    return inside


def _places(window: Window, grid: Grid, other: Grid) -> tuple[Float64Array, Float64Array]:
    """Columns and rows on another grid of the centres of a window's pixels, each (height, width).

    The projection is computed at every 64th pixel; between, it is within a thousandth of a pixel of a plane.
    """
    weights, nodes = zip(*(_lattice(length) for length in window.shape), strict=True)
    cols, rows = np.meshgrid(window.col_off + nodes[1], window.row_off + nodes[0])
    there = moved_places(np.stack([cols.ravel(), rows.ravel()], axis=1), grid, other)
    with np.errstate(invalid="ignore"):  # infinite places
        col, row = (weights[0] @ axis.reshape(cols.shape) @ weights[1].T for axis in there.T)
    return col, row


def _lattice(length: int) -> tuple[Float64Array, Float64Array]:
    """Weights (length, nodes) of lattice nodes for the pixel centres along an axis, and the nodes."""
    nodes = np.append(np.arange(0, length, _STEP), length).astype(np.float64)
    centres = np.arange(length) + 0.5
    left = np.searchsorted(nodes, centres) - 1
    share = (centres - nodes[left]) / (nodes[left + 1] - nodes[left])
    weights = np.zeros((length, len(nodes)))
    weights[np.arange(length), left] = 1 - share
    weights[np.arange(length), left + 1] = share
    return weights, nodes
