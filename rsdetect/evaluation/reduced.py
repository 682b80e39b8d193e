"""Reduced maps for pictures: means over square cells of a raster, added up tile by tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float64Array, Int64Array
from rsdetect.grid import Grid, Window


class ReducedMap:
    """Reduced map of several layers: means over the pixels of each cell that are known.

    >>> from affine import Affine
    >>> reduced = ReducedMap(Grid(None, Affine.identity(), 4, 4), 1, 2)
    >>> reduced.add(Window(0, 0, 4, 4), np.arange(16.0).reshape(1, 4, 4), np.ones((4, 4), bool))
    >>> reduced.means().tolist()
    [[[2.5, 4.5], [10.5, 12.5]]]
    """

    def __init__(self, grid: Grid, layers: int, most_px: int) -> None:
        """Start a map of `layers` whose edges have at most `most_px` cells."""
        self._cell = max(1, -(-max(grid.shape) // most_px))
        height, width = (-(-edge // self._cell) for edge in grid.shape)
        self._sums = np.zeros((layers, height, width))
        self._pixels = np.zeros((height, width))

    @property
    def known(self) -> BoolArray:
        """Cells of the reduced map with a known pixel, (height, width)."""
        return self._pixels > 0

    def add(self, window: Window, values: NDArray[np.generic], known: BoolArray) -> None:
        """Add the known pixels of `values` (layers, height, width) over a window inside the grid."""
        rows, row_starts = self._cells(window.row_off, window.height)
        cols, col_starts = self._cells(window.col_off, window.width)
        place = np.ix_(rows, cols)
        self._pixels[place] += _sums_over(known, row_starts, col_starts)
        for layer, own in zip(self._sums, values, strict=True):
            layer[place] += _sums_over(np.where(known, own, 0), row_starts, col_starts)

    def means(self) -> Float64Array:
        """Means of the reduced map, (layers, height, width); 0 where nothing is known."""
        return self._sums / np.maximum(self._pixels, 1)

    def _cells(self, first: int, length: int) -> tuple[Int64Array, Int64Array]:
        """Cells along an edge of a window, and where in the window each one starts."""
        cell = np.arange(first, first + length) // self._cell
        starts = np.flatnonzero(np.diff(cell, prepend=-1))
        return cell[starts], starts


def _sums_over(values: NDArray[np.generic], rows: Int64Array, cols: Int64Array) -> Float64Array:
    """Sums of a map over the cells that start at these rows and columns."""
    return np.add.reduceat(np.add.reduceat(values, rows, axis=0, dtype=np.float64), cols, axis=1)
