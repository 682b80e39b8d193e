"""Tile plan: the pixels that each task reads, and those that it writes.

The plan satisfies three clauses of the tile contract (docs/architecture.md): every read window extends by the
halo beyond its core, starts at a multiple of the stride, and has the same shape, also at the edge of the
raster and beyond it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.grid import Grid, Window


@dataclass(frozen=True)
class TileWindow:
    """Tile of the plan, without its data."""

    row: int  # position in the plan, in tiles
    col: int
    core: Window  # pixels that this tile writes; clipped to the raster
    read: Window  # pixels that it reads; may extend beyond the raster


@dataclass(frozen=True)
class Tile:
    """Tile with the pixels of both dates in its read window."""

    core: Window  # the part of `read` that is written
    read: Window  # the window of the arrays
    before: Float32Array  # (bands, height, width), raw pixel values; 0 where not valid
    after: Float32Array  # (bands, height, width), as `before`
    before_valid: BoolArray  # (height, width); True = usable on the before date
    after_valid: BoolArray  # (height, width); True = usable on the after date

    @property
    def valid(self) -> BoolArray:
        """Validity of the tile, (height, width) bool; True = usable on both dates."""
        return self.before_valid & self.after_valid

    def crop_to_core(self, scored: Float32Array) -> Float32Array:
        """Crop a (height, width) array over the tile's `read` to its `core`. The only place that does so."""
        return scored[self.core.slices_in(self.read)]


@dataclass(frozen=True)
class TilePlan:
    """Tile plan: a partition of the grid into cores, each with its read window."""

    grid: Grid
    tile_shape: tuple[int, int]  # (rows, columns) of a core; multiples of the stride
    halo: int  # pixels read beyond the core on each side; a multiple of the stride
    lead: tuple[int, int] = (0, 0)  # rows and columns of the first cores outside the grid

    @property
    def shape(self) -> tuple[int, int]:
        """Number of tiles in the plan, (rows, columns)."""
        (height, width), (above, left) = self.tile_shape, self.lead
        return -(-(self.grid.height + above) // height), -(-(self.grid.width + left) // width)

    def __len__(self) -> int:
        rows, cols = self.shape
        return rows * cols

    def tile(self, row: int, col: int) -> TileWindow:
        """Tile at (row, col) of the plan."""
        (height, width), halo = self.tile_shape, self.halo
        full = Window(row * height - self.lead[0], col * width - self.lead[1], height, width)
        read = Window(full.row_off - halo, full.col_off - halo, height + 2 * halo, width + 2 * halo)
        return TileWindow(row, col, full.intersection(self.grid.window), read)

    def under(self, window: Window) -> Iterator[TileWindow]:
        """Tiles whose cores intersect `window`, which lies inside the grid, in reading order."""
        (height, width), (above, left) = self.tile_shape, self.lead
        rows = range((window.row_off + above) // height, (window.row_end - 1 + above) // height + 1)
        cols = range((window.col_off + left) // width, (window.col_end - 1 + left) // width + 1)
        return (self.tile(row, col) for row in rows for col in cols)

    def __iter__(self) -> Iterator[TileWindow]:
        rows, cols = self.shape
        return (self.tile(row, col) for row in range(rows) for col in range(cols))


def plan_tiles(
    grid: Grid, tile_size: int | tuple[int, int], halo: int, stride: int, lead: tuple[int, int] = (0, 0)
) -> TilePlan:
    """Partition `grid` into tiles of about `tile_size` pixels.

    Parameters
    ----------
    tile_size
        Target edge of a core in pixels, or its (rows, columns), at least 1; rounded up to multiples of
        `stride`.
    halo
        Radius of the scorer's receptive field in pixels; rounded up to a multiple of `stride`.
    stride
        Total stride of the scorer in pixels; cores and read windows start at its multiples.
    lead
        Rows and columns of the first cores above and left of the grid, less than a core; rounded down to
        multiples of `stride`.

    >>> from affine import Affine
    >>> grid = Grid(None, Affine.identity(), height=100, width=70)
    >>> plan = plan_tiles(grid, tile_size=60, halo=5, stride=8)
    >>> plan.tile_shape, plan.halo, plan.shape
    ((64, 64), 8, (2, 2))
    >>> plan.tile(1, 1).core
    Window(row_off=64, col_off=64, height=36, width=6)
    >>> plan.tile(1, 1).read
    Window(row_off=56, col_off=56, height=80, width=80)
    """
    height, width = (tile_size, tile_size) if isinstance(tile_size, int) else tile_size
    above, left = (edge // stride * stride for edge in lead)
    assert height >= 1 and width >= 1 and halo >= 0 and stride >= 1
    shape = _round_up(height, stride), _round_up(width, stride)
    assert 0 <= above < shape[0] and 0 <= left < shape[1]
    return TilePlan(grid, shape, _round_up(halo, stride), (above, left))


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
