"""Pixel grids of rasters, and windows on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from affine import Affine

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Window:
    """Window of pixels on a grid; it may lie partly or wholly outside the raster.

    >>> Window(0, 0, 4, 6).intersection(Window(2, 3, 4, 6))
    Window(row_off=2, col_off=3, height=2, width=3)
    """

    row_off: int  # first row, counted from the grid's first row; negative above the raster
    col_off: int  # first column, as `row_off`
    height: int  # rows
    width: int  # columns

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the window, (height, width)."""
        return self.height, self.width

    @property
    def row_end(self) -> int:
        """First row after the window."""
        return self.row_off + self.height

    @property
    def col_end(self) -> int:
        """First column after the window."""
        return self.col_off + self.width

    @property
    def is_empty(self) -> bool:
        """True if the window has no pixel."""
        return self.height <= 0 or self.width <= 0

    def intersection(self, other: Window) -> Window:
        """Intersection of two windows on a grid; an empty window (height or width 0) if they are disjoint."""
        row_off = max(self.row_off, other.row_off)
        col_off = max(self.col_off, other.col_off)
        height = min(self.row_end, other.row_end) - row_off
        width = min(self.col_end, other.col_end) - col_off
        return Window(row_off, col_off, max(height, 0), max(width, 0))

    def shifted(self, rows: int, cols: int) -> Window:
        """Window moved down by `rows` and right by `cols` pixels."""
        return Window(self.row_off + rows, self.col_off + cols, self.height, self.width)

    def blocks(self, height: int, width: int | None = None) -> Iterator[Window]:
        """Split the window into blocks of `height` x `width` pixels, row by row; the last may be smaller.

        Blocks are square without a `width`.

        >>> [(block.row_off, block.col_off, *block.shape) for block in Window(5, 0, 3, 4).blocks(2, 4)]
        [(5, 0, 2, 4), (7, 0, 1, 4)]
        """
        width = height if width is None else width
        for row in range(self.row_off, self.row_end, height):
            for col in range(self.col_off, self.col_end, width):
                yield Window(row, col, height, width).intersection(self)

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Row and column slices of this window in an array that covers `outer`."""
        row, col = self.row_off - outer.row_off, self.col_off - outer.col_off
        return slice(row, row + self.height), slice(col, col + self.width)


@dataclass(frozen=True)
class Grid:
    """Grid of a raster: CRS, transform and shape. Two scenes are aligned if their grids are equal.

    >>> grid = Grid(None, Affine(10, 0, 500000, 0, -10, 5300000), height=3, width=2)
    >>> grid.bounds
    (500000.0, 5299970.0, 500020.0, 5300000.0)
    >>> grid.pixel_area
    100.0
    """

    crs: str | None  # WKT; None = a plain pixel grid without georeference
    transform: Affine  # (column, row) of a pixel's upper-left corner -> (x, y) in CRS units
    height: int  # rows
    width: int  # columns

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the grid, (height, width)."""
        return self.height, self.width

    @property
    def window(self) -> Window:
        """Window that covers the whole grid."""
        return Window(0, 0, self.height, self.width)

    @property
    def bounds(self) -> Bounds:
        """Bounds of the grid, (left, bottom, right, top) in CRS units, also of a rotated grid."""
        corners = ((0, 0), (self.width, 0), (0, self.height), (self.width, self.height))
        points = [self.transform @ corner for corner in corners]
        xs = [float(x) for x, _ in points]
        ys = [float(y) for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Pixel size of the grid, (width, height) in CRS units, both positive."""
        t = self.transform
        return float((t.a**2 + t.d**2) ** 0.5), float((t.b**2 + t.e**2) ** 0.5)

    @property
    def pixel_area(self) -> float:
        """Pixel area of the grid in squared CRS units."""
        return float(abs(self.transform.determinant))

    def crop(self, window: Window) -> Grid:
        """Grid of a `window` of this grid."""
        transform = self.transform @ Affine.translation(window.col_off, window.row_off)
        return Grid(self.crs, transform, window.height, window.width)
