"""Overview of both scenes of a pair for pictures: means over cells, of pixels that scoring reads anyway.

While a tile is scored, some of the pixels of each cell are added up and stored beside the tile. Overviews are
pictures only: of a tile without a stored one, or with a damaged one, the scenes are read again.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array, Int64Array
from rsdetect.files import atomic_path
from rsdetect.grid import Window
from rsdetect.pages.pictures import colour_bands
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.scenes.scene import sharing_blocks
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import Tile, TileWindow

_T = TypeVar("_T")
_MOST_CELLS = 1280  # along an edge; what a page shows
_QUICKLY_READ = 2**22  # pixels of local scenes
_SAMPLES = 3  # pixels of a cell along an edge that are averaged
_BLOCK = (512, 4096)  # rows and columns that are read at a time
_SHARED_BYTES = 128 * 2**20  # of decoded blocks, while scenes are read again


@dataclass(frozen=True)
class Lattice:
    """Lattice of square cells over the grid of a pair, and the pixels of each cell that are averaged."""

    shape: tuple[int, int]  # of the grid, in pixels
    bands: tuple[int, ...]  # of the pair, counted from 0: red, green and blue, or one

    @classmethod
    def of(cls, pair: Pair) -> Lattice:
        """Lattice of a pair: at most 1280 cells along an edge, in the colours of its bands."""
        return cls(pair.grid.shape, tuple(dict.fromkeys(colour_bands(pair.bands))))

    @classmethod
    def to_store(cls, pair: Pair) -> Lattice | None:
        """Lattice of the overviews to store while a pair is scored; None = reading it again takes no time."""
        is_local = pair.before.version is not None and pair.after.version is not None
        return cls.of(pair) if not is_local or pair.grid.height * pair.grid.width > _QUICKLY_READ else None

    @cached_property
    def cell(self) -> int:
        """Edge of a cell in pixels."""
        return max(1, -(-max(self.shape) // _MOST_CELLS))

    @property
    def cells(self) -> Window:
        """Window of all cells."""
        return self.cells_under(Window(0, 0, *self.shape))

    def cells_under(self, window: Window) -> Window:
        """Cells that a window of the grid touches."""
        row, col = window.row_off // self.cell, window.col_off // self.cell
        height, width = (-(-end // self.cell) for end in (window.row_end, window.col_end))
        return Window(row, col, height - row, width - col)

    def sampled(self, first: int, length: int) -> tuple[Int64Array, Int64Array]:
        """Sampled pixels along an edge of a window, counted on the grid, and the cell of each.

        >>> lattice = Lattice((2560, 2560), (0,))
        >>> [part.tolist() for part in lattice.sampled(1, 4)]
        [[1, 2, 3, 4], [0, 1, 1, 2]]
        """
        count = min(self.cell, _SAMPLES)
        cells = np.arange(first // self.cell, -(-(first + length) // self.cell))
        inside = (2 * np.arange(count) + 1) * self.cell // (2 * count)
        pixels = (cells[:, None] * self.cell + inside).reshape(-1)
        cells = np.repeat(cells, count)
        kept = (pixels >= first) & (pixels < first + length)
        return pixels[kept], cells[kept]


class SceneOverview:
    """Overview of both dates over the cells of a lattice, added up window by window."""

    def __init__(self, lattice: Lattice, cells: Window | None = None) -> None:
        """Start an empty overview of all cells, or of some."""
        self.lattice = lattice
        self.cells = lattice.cells if cells is None else cells
        self._sums = np.zeros((2, len(lattice.bands), *self.cells.shape), np.float32)
        self._counts = np.zeros((2, *self.cells.shape), np.float32)

    def add(self, pixels: Tile, window: Window) -> None:
        """Add the sampled pixels of a window, which lies in the tile's read window and in the grid."""
        rows, row_cells = self.lattice.sampled(window.row_off, window.height)
        cols, col_cells = self.lattice.sampled(window.col_off, window.width)
        if not rows.size or not cols.size:
            return
        at = rows - pixels.read.row_off, cols - pixels.read.col_off
        starts = _starts(row_cells), _starts(col_cells)
        place = np.ix_(row_cells[starts[0]] - self.cells.row_off, col_cells[starts[1]] - self.cells.col_off)
        dates = ((pixels.before, pixels.before_valid), (pixels.after, pixels.after_valid))
        for sums, counts, (values, valid) in zip(self._sums, self._counts, dates, strict=True):
            known = valid[at[0]][:, at[1]]
            counts[place] += _summed(known, *starts)
            for layer, band in zip(sums, self.lattice.bands, strict=True):
                layer[place] += _summed(np.where(known, values[band][at[0]][:, at[1]], 0), *starts)

    def merge(self, other: SceneOverview) -> None:
        """Add an overview of some of these cells."""
        rows, cols = other.cells.slices_in(self.cells)
        self._sums[..., rows, cols] += other._sums
        self._counts[..., rows, cols] += other._counts

    @property
    def known(self) -> BoolArray:
        """Cells of each date with a valid pixel, (2, height, width)."""
        return self._counts > 0

    def means(self) -> Float32Array:
        """Means of both dates, (2, bands, height, width); 0 where nothing is known."""
        return np.asarray(self._sums / np.maximum(self._counts, 1)[:, None], np.float32)

    def save(self, path: Path) -> None:
        """Write the overview of a tile into a file; its parts have checksums."""
        with atomic_path(path, sync=False) as unfinished, unfinished.open("wb") as file:
            np.savez(file, sums=self._sums, counts=self._counts.astype(np.uint8))

    def load(self, path: Path) -> bool:
        """Read an overview of the same cells from a file; False if it is missing, damaged or of others."""
        try:
            with np.load(path) as content:
                sums, counts = content["sums"], content["counts"]
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return False
        if (sums.shape, counts.shape) != (self._sums.shape, self._counts.shape):
            return False
        self._sums, self._counts = sums, counts
        return True


@contextmanager
def storing_overview(
    store: WorkStore, tile: TileWindow, lattice: Lattice
) -> Iterator[Callable[[Tile], None]]:
    """Receiver of the pixels of a tile for `score_core`, which stores their overview without an error."""
    overview = SceneOverview(lattice, lattice.cells_under(tile.core))

    def receive(pixels: Tile) -> None:
        overview.add(pixels, pixels.read.intersection(tile.core))

    yield receive
    overview.save(store.overview(tile))


def collect_overview(
    pair: Pair, lattice: Lattice, store: WorkStore, tiles: Sequence[TileWindow], workers: int
) -> SceneOverview:
    """Overview of a pair from what was stored with its tiles; the others are read again."""
    overview = SceneOverview(lattice)
    missing = []
    for tile in tiles:
        part = SceneOverview(lattice, lattice.cells_under(tile.core))
        if part.load(store.overview(tile)):
            overview.merge(part)
        else:
            missing.append(tile.core)
    _read_into(overview, pair, missing, workers)
    return overview


def read_overview(pair: Pair, lattice: Lattice, workers: int) -> SceneOverview:
    """Overview of a pair, read from its scenes.

    Raises
    ------
    ReadError, SourceUnavailable
        A scene is damaged, or its server went away.
    """
    overview = SceneOverview(lattice)
    _read_into(overview, pair, [pair.grid.window], workers)
    return overview


def _read_into(overview: SceneOverview, pair: Pair, windows: Sequence[Window], workers: int) -> None:
    pictured = in_bands(pair, overview.lattice.bands)
    whole = replace(overview.lattice, bands=tuple(range(len(pictured.bands))))
    blocks = [block for window in windows for block in window.blocks(*_BLOCK) if pair.intersects_aoi(block)]

    def read(block: Window) -> SceneOverview:
        part = SceneOverview(whole, whole.cells_under(block))
        part.add(read_tile(pictured, TileWindow(0, 0, block, block)), block)
        return part

    wanted = {pictured.before: blocks, pictured.after: blocks}
    with (
        sharing_blocks(wanted, _SHARED_BYTES),
        ThreadPoolExecutor(workers, thread_name_prefix="overview") as pool,
    ):
        for number in range(0, len(blocks), 2 * workers):  # a few at a time, so that memory stays bounded
            for part in pool.map(read, blocks[number : number + 2 * workers]):
                overview.merge(part)


def in_bands(pair: Pair, bands: Sequence[int]) -> Pair:
    """The pair with some of its bands only, counted from 0."""

    def of(values: tuple[_T, ...]) -> tuple[_T, ...]:
        return tuple(values[band] for band in bands) if values else ()

    fit = pair.normalisation
    return replace(
        pair,
        before=pair.before.in_bands(bands),
        after=pair.after.in_bands(bands),
        bands=of(pair.bands),
        slots=(),
        normalisation=replace(fit, gains=of(fit.gains), offsets=of(fit.offsets), curves=of(fit.curves)),
    )


def _starts(cells: Int64Array) -> Int64Array:
    return np.flatnonzero(np.diff(cells, prepend=-1))


def _summed(values: NDArray[Any], rows: Int64Array, cols: Int64Array) -> Float32Array:
    """Sums of a map over the cells of a lattice that start at these rows and columns."""
    if rows.size == values.shape[0] and cols.size == values.shape[1]:
        return values.astype(np.float32, copy=False)
    found: Float32Array = np.add.reduceat(
        np.add.reduceat(values, rows, axis=0, dtype=np.float32), cols, axis=1
    )
    return found
