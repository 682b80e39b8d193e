"""The pixel grid that a pair of scenes shares, and windows on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from affine import Affine

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels; it may lie partly or wholly outside the raster.

    >>> Window(0, 0, 4, 6).intersection(Window(2, 3, 4, 6))
    Window(row_off=2, col_off=3, height=2, width=3)
    """

    row_off: int  # first row, counted from the grid's first row; negative above the raster
    col_off: int  # first column, likewise
    height: int  # rows
    width: int  # columns

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def row_end(self) -> int:
        """The first row after the window."""
        return self.row_off + self.height

    @property
    def col_end(self) -> int:
        """The first column after the window."""
        return self.col_off + self.width

    @property
    def is_empty(self) -> bool:
        """True when the window holds no pixel."""
        return self.height <= 0 or self.width <= 0

    def intersection(self, other: Window) -> Window:
        """The pixels in both windows; an empty window (height or width 0) where there are none."""
        row_off = max(self.row_off, other.row_off)
        col_off = max(self.col_off, other.col_off)
        height = min(self.row_end, other.row_end) - row_off
        width = min(self.col_end, other.col_end) - col_off
        return Window(row_off, col_off, max(height, 0), max(width, 0))

    def shifted(self, rows: int, cols: int) -> Window:
        """The same rectangle, moved down by `rows` and right by `cols` pixels."""
        return Window(self.row_off + rows, self.col_off + cols, self.height, self.width)

    def blocks(self, height: int, width: int | None = None) -> Iterator[Window]:
        """Cut it into blocks of `height` x `width` pixels, row by row; those at its ends may be smaller.

        Squares without a `width`.

        >>> [(block.row_off, block.col_off, *block.shape) for block in Window(5, 0, 3, 4).blocks(2, 4)]
        [(5, 0, 2, 4), (7, 0, 1, 4)]
        """
        width = height if width is None else width
        for row in range(self.row_off, self.row_end, height):
            for col in range(self.col_off, self.col_end, width):
                yield Window(row, col, height, width).intersection(self)

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Row and column slices of this window inside an array that covers `outer`."""
        row, col = self.row_off - outer.row_off, self.col_off - outer.col_off
        return slice(row, row + self.height), slice(col, col + self.width)


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie. Two scenes are aligned when their grids are equal.

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
        """(height, width)."""
        return self.height, self.width

    @property
    def window(self) -> Window:
        """The window that covers the whole grid."""
        return Window(0, 0, self.height, self.width)

    @property
    def bounds(self) -> Bounds:
        """(left, bottom, right, top) in CRS units, of the rotated corners where the grid is rotated."""
        corners = ((0, 0), (self.width, 0), (0, self.height), (self.width, self.height))
        points = [self.transform @ corner for corner in corners]
        xs = [float(x) for x, _ in points]
        ys = [float(y) for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """(width, height) of a pixel in CRS units, both positive."""
        t = self.transform
        return float((t.a**2 + t.d**2) ** 0.5), float((t.b**2 + t.e**2) ** 0.5)

    @property
    def pixel_area(self) -> float:
        """Area of a pixel in squared CRS units."""
        return float(abs(self.transform.determinant))

    def crop(self, window: Window) -> Grid:
        """The grid of `window` alone."""
        transform = self.transform @ Affine.translation(window.col_off, window.row_off)
        return Grid(self.crs, transform, window.height, window.width)
