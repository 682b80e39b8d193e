"""Scan of a whole pair for detectors: reductions over a separate block grid.

The block grid depends on the pair only, not on the tile size, the number of workers or the order of reading,
so that fitted parameters are equal in every run over the pair.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np

from rsdetect.grid import Window
from rsdetect.scenes.normalisation import PairNormalisation
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.scenes.scene import sharing_blocks
from rsdetect.stats import PixelSample
from rsdetect.tiles import Tile, TileWindow

T = TypeVar("T")

BLOCK = 256  # edge of a block in pixels
MOST_BLOCKS = 256  # most blocks read; of a larger pair, this many, evenly spread
SAMPLED_PIXELS = 500_000  # approximate size of the sample: percentiles to 0.001 of all pixels
_SHARED_BYTES = 64 * 2**20  # cache of decoded blocks that several blocks of the scan share


class Scan:
    """Scan of a pair: global statistics, independent of tiles.

    A pair of up to 256 blocks of 256 x 256 pixels (4096 x 4096) is read completely; of a larger one, a fixed
    set of 256 blocks, spread evenly over its rows and columns.
    """

    def __init__(self, pair: Pair, workers: int = 1, *, whole: bool = False) -> None:
        self.pair = pair
        self._workers = max(1, workers)
        self.blocks = tuple(_all_blocks(pair)) if whole else _spread_blocks(pair)
        self._sample: PixelSample | None = None

    def normalised(self, normalisation: PairNormalisation) -> Scan:
        """Scan of the same blocks with the values of the pair normalised; of a pair that was not."""
        other = Scan(replace(self.pair, normalisation=normalisation), self._workers)
        other.blocks = self.blocks
        sample = self.sample_pixels()
        valid = np.ones((sample.count, 1), bool)
        after = normalisation.apply(sample.after[..., None], valid)[..., 0]
        other._sample = PixelSample(sample.before, after)
        return other

    @property
    def is_complete(self) -> bool:
        """True if the blocks of the scan cover every pixel of the job."""
        return self.blocks == tuple(_all_blocks(self.pair))

    def reduce(self, measure: Callable[[Tile], T], merge: Callable[[T, T], T]) -> T:
        """Reduce the scan: measure every block and merge the results in the order of the blocks.

        `measure` runs in several threads; its tiles have no halo. The first call also collects the pixels of
        `sample_pixels`, because each reading of a large pair takes seconds.
        """
        if self._sample is not None:
            return functools.reduce(merge, self._measured(measure))
        every = self._every
        parts: list[PixelSample] = []

        def measured() -> Iterator[T]:
            for found, part in self._measured(lambda tile: (measure(tile), PixelSample.of(tile, every))):
                parts.append(part)
                yield found

        whole = functools.reduce(merge, measured())
        self._sample = _joined(parts)
        return whole

    def sample_pixels(self) -> PixelSample:
        """Sample about 500 000 pixels of the scan (fewer of a small pair), valid on both dates."""
        if self._sample is None:
            every = self._every
            self._sample = _joined(list(self._measured(lambda tile: PixelSample.of(tile, every))))
        return self._sample

    @property
    def _every(self) -> int:
        seen = sum(block.height * block.width for block in self.blocks)
        every = max(1, seen // SAMPLED_PIXELS)
        # An odd step visits all columns of a block, not only some of them.
        return every + (every > 1 and every % 2 == 0)

    def sample(self, count: int, size: int, seed: int) -> Iterator[Tile]:
        """Sample `count` chips of `size` x `size` pixels at reproducible random places of the pair."""
        rng = np.random.default_rng(seed)
        height, width = self.pair.grid.shape
        for _ in range(count):
            row = int(rng.integers(0, max(height - size, 0) + 1))
            col = int(rng.integers(0, max(width - size, 0) + 1))
            yield self._read(Window(row, col, size, size))

    def _measured(self, measure: Callable[[Tile], T]) -> Iterator[T]:
        def one(block: Window) -> T:
            return measure(self._read(block))

        # Blocks of a file are often larger than those of the scan.
        windows = {scene: list(self.blocks) for scene in (self.pair.before, self.pair.after)}
        with (
            sharing_blocks(windows, _SHARED_BYTES),
            ThreadPoolExecutor(self._workers, thread_name_prefix="scan") as pool,
        ):
            yield from pool.map(one, self.blocks)

    def _read(self, block: Window) -> Tile:
        return read_tile(self.pair, TileWindow(0, 0, block, block))


def _joined(parts: list[PixelSample]) -> PixelSample:
    return PixelSample(
        np.concatenate([part.before for part in parts], axis=1),
        np.concatenate([part.after for part in parts], axis=1),
    )


def _all_blocks(pair: Pair) -> Iterator[Window]:
    return (block for block in pair.grid.window.blocks(BLOCK) if pair.intersects_aoi(block))


def _spread_blocks(pair: Pair) -> tuple[Window, ...]:
    rows, cols = (-(-edge // BLOCK) for edge in pair.grid.shape)
    if rows * cols <= MOST_BLOCKS or pair.aoi is not None:
        blocks = tuple(_all_blocks(pair))
        if len(blocks) <= MOST_BLOCKS:
            return blocks
        chosen = np.linspace(0, len(blocks) - 1, MOST_BLOCKS).round().astype(int)
        return tuple(blocks[i] for i in chosen)
    # Rows and columns in proportion to the scene, so that the blocks are spread in both directions; the first
    # and last ones are always included.
    some_rows = min(rows, MOST_BLOCKS, max(2, round((MOST_BLOCKS * rows / cols) ** 0.5)))
    some_cols = min(cols, max(2, MOST_BLOCKS // some_rows))
    some_rows = min(rows, MOST_BLOCKS // some_cols)
    at_rows = np.linspace(0, rows - 1, some_rows).round().astype(int)
    at_cols = np.linspace(0, cols - 1, some_cols).round().astype(int)
    whole = pair.grid.window
    return tuple(
        Window(int(row) * BLOCK, int(col) * BLOCK, BLOCK, BLOCK).intersection(whole)
        for row in at_rows
        for col in at_cols
    )
