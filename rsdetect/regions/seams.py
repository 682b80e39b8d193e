"""Seams between blocks: pieces that touch a block edge are joined to regions, block by block.

Of the finished blocks, only the pieces along edges to later blocks are kept: one row of the raster and one
column of a block. Each piece is reduced to corners and sums.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

import numpy as np

from rsdetect.arraytypes import Int64Array
from rsdetect.grid import Window
from rsdetect.regions.connected import connected_components
from rsdetect.regions.outlines import Corners
from rsdetect.regions.pieces import NOTHING_LEFT_OUT, BlockPieces, LeftOut, PieceSums

T = TypeVar("T")


class Seams:
    """Seams between blocks: collects the pieces at block edges, in row-major order, and touching pairs."""

    def __init__(self, width: int) -> None:
        """Start the seams of a raster of `width` pixels."""
        self._count = 0
        self._above = np.full(width, -1, np.int64)  # piece of every pixel in the last row of the blocks above
        self._left: Int64Array | None = None  # likewise in the last column of the block to the left
        self._pairs: list[Int64Array] = []  # (2, n)
        self._corners: list[Corners] = []
        self._sums: list[PieceSums] = []
        self.left_out = NOTHING_LEFT_OUT  # regions that were too small once joined

    def add(self, window: Window, block: BlockPieces | None) -> None:
        """Add the pieces at the edges of the next block; None where it has none."""
        above = self._above[window.col_off : window.col_end]
        if window.col_off == 0:
            self._left = None
        if block is None:
            above[:] = -1
            self._left = None
            return
        first = self._count
        self._add_touching_pairs(above, block.top, first)
        if self._left is not None:
            self._add_touching_pairs(self._left, block.left, first)
        above[:] = _offset_pieces(block.bottom, first)
        self._left = _offset_pieces(block.right, first)
        self._corners.append(block.corners.renumbered(block.corners.owner + first))
        self._sums.append(block.sums)
        self._count += block.count

    def _add_touching_pairs(self, known: Int64Array, edge: Int64Array, first: int) -> None:
        """Add the pairs of pieces that touch along a seam."""
        both = (known >= 0) & (edge >= 0)
        pairs = np.stack([known[both], edge[both] + first])
        # Along an edge the same pair repeats from pixel to pixel.
        new = np.ones(pairs.shape[1], np.bool_)
        new[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)
        self._pairs.append(pairs[:, new])

    def joined(self, fewest: int) -> tuple[Corners, PieceSums] | None:
        """Sums of all regions across seams, and corners of those of at least `fewest` pixels, if any."""
        if not self._count:
            return None
        one, other = np.concatenate([np.empty((2, 0), np.int64), *self._pairs], axis=1)
        count, region = connected_components(self._count, one, other)
        sums = PieceSums.joined(self._sums).grouped(region, count)
        large = sums.pixels >= fewest
        self.left_out = LeftOut.of(sums.pixels[~large])
        if not large.any():
            return None
        corners = Corners.joined(self._corners)
        corners = corners.renumbered(region[corners.owner])
        return corners if large.all() else corners[large[corners.owner]], sums


def _offset_pieces(edge: Int64Array, first: int) -> Int64Array:
    """Piece numbers along a seam, offset by `first`; -1 stays."""
    return np.where(edge >= 0, edge + first, -1)


def map_blocks_in_order(
    find: Callable[[Window], T], windows: Iterable[Window], workers: int
) -> Iterator[tuple[Window, T]]:
    """Map `find` over windows of blocks with threads, in the order that seams need; few blocks in flight.

    A single block, as of a small raster, needs no thread, whose start takes longer than tracing it.
    """
    rest = iter(windows)
    first = list(islice(rest, 2))
    if workers == 1 or len(first) < 2:
        yield from ((window, find(window)) for window in chain(first, rest))
        return
    under_way: deque[tuple[Window, Future[T]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for window in chain(first, rest):
                under_way.append((window, pool.submit(find, window)))
                if len(under_way) > 2 * workers:
                    done, future = under_way.popleft()
                    yield done, future.result()
            for done, future in under_way:
                yield done, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
