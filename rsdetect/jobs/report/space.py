"""Page space: the pixels of a grid as the report page shows them, north up where mirroring does it."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array
from rsdetect.grid import Grid, Window


class PageSpace:
    """Page space of a grid: columns to the right, rows down, in pixels of the grid.

    >>> from affine import Affine
    >>> space = PageSpace(Grid("south up", Affine(10, 0, 500, 0, 10, 900), 4, 6))
    >>> space.points(np.array([[520.0, 910.0]])).tolist()
    [[2.0, 3.0]]
    >>> space.grid_window(Window(0, 0, 1, 6))
    Window(row_off=3, col_off=0, height=1, width=6)
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        placed = grid.crs is not None
        self._upside_down = placed and grid.transform.e > 0
        self._left_right = placed and grid.transform.a < 0

    def points(self, xy: Float64Array) -> Float64Array:
        """Columns and rows of the page, (points, 2), of points in units of the grid's CRS."""
        inverse = ~self.grid.transform
        cols = inverse.a * xy[:, 0] + inverse.b * xy[:, 1] + inverse.c
        rows = inverse.d * xy[:, 0] + inverse.e * xy[:, 1] + inverse.f
        return self.from_grid(np.column_stack([cols, rows]))

    def from_grid(self, points: Float64Array) -> Float64Array:
        """Columns and rows of the page, (points, 2), of those of the grid."""
        cols, rows = points.T
        if self._left_right:
            cols = self.grid.width - cols
        if self._upside_down:
            rows = self.grid.height - rows
        return np.column_stack([cols, rows])

    def geometries(self, geometries: NDArray[np.object_]) -> NDArray[np.object_]:
        """Geometries in the page's columns and rows."""
        placed: NDArray[np.object_] = shapely.transform(geometries, self.points)
        return placed

    def grid_window(self, window: Window) -> Window:
        """Window of the grid that a window of the page shows."""
        row = self.grid.height - window.row_end if self._upside_down else window.row_off
        col = self.grid.width - window.col_end if self._left_right else window.col_off
        return Window(row, col, window.height, window.width)

    def turned(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Picture (..., height, width) of the grid as the page shows it."""
        rows = slice(None, None, -1 if self._upside_down else 1)
        cols = slice(None, None, -1 if self._left_right else 1)
        return picture[..., rows, cols]

    def cover(self, cells: tuple[int, int], cell: int) -> tuple[int, int, int, int]:
        """Left, top, width and height on the page of a picture of the whole grid, in cells of some pixels."""
        height, width = (count * cell for count in cells)
        left = self.grid.width - width if self._left_right else 0
        top = self.grid.height - height if self._upside_down else 0
        return left, top, width, height
