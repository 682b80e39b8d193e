"""Block by block over a raster, and the pieces that touch a block edge joined to regions.

Of the blocks behind, only the pieces along the edges that blocks still to come will touch are looked at: one
row of the raster and one column of a block. What is kept of them is corners and sums.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from rsdetect.arraytypes import Int64Array
from rsdetect.grid import Window
from rsdetect.regions.connected import connected
from rsdetect.regions.outlines import Corners
from rsdetect.regions.pieces import BlockPieces, Sums

T = TypeVar("T")


class Seams:
    """Takes in the pieces at block edges, block by block in row-major order, and notes which touch."""

    def __init__(self, width: int) -> None:
        """For a raster of `width` pixels."""
        self._count = 0
        self._above = np.full(width, -1, np.int64)  # the piece of every pixel in the last row of blocks above
        self._left: Int64Array | None = None  # likewise in the last column of the block to the left
        self._pairs: list[Int64Array] = []  # (2, n)
        self._corners: list[Corners] = []
        self._sums: list[Sums] = []

    def add(self, window: Window, block: BlockPieces | None) -> None:
        """Take in the next block; None where it has no piece at an edge."""
        above = self._above[window.col_off : window.col_end]
        if window.col_off == 0:
            self._left = None
        if block is None:
            above[:] = -1
            self._left = None
            return
        first = self._count
        self._note(above, block.top, first)
        if self._left is not None:
            self._note(self._left, block.left, first)
        above[:] = _numbered(block.bottom, first)
        self._left = _numbered(block.right, first)
        self._corners.append(block.corners.renumbered(block.corners.owner + first))
        self._sums.append(block.sums)
        self._count += block.count

    def _note(self, known: Int64Array, edge: Int64Array, first: int) -> None:
        both = (known >= 0) & (edge >= 0)
        pairs = np.stack([known[both], edge[both] + first])
        # Along an edge the same pair follows itself, pixel after pixel.
        new = np.ones(pairs.shape[1], np.bool_)
        new[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)
        self._pairs.append(pairs[:, new])

    def joined(self, fewest: int) -> tuple[Corners, Sums] | None:
        """The sums of all regions, and the corners of those of at least `fewest` pixels; None without any."""
        if not self._count:
            return None
        one, other = np.concatenate([np.empty((2, 0), np.int64), *self._pairs], axis=1)
        count, region = connected(self._count, one, other)
        sums = Sums.joined(self._sums).grouped(region, count)
        large = sums.pixels >= fewest
        if not large.any():
            return None
        corners = Corners.joined(self._corners)
        corners = corners.renumbered(region[corners.owner])
        return corners if large.all() else corners[large[corners.owner]], sums


def _numbered(edge: Int64Array, first: int) -> Int64Array:
    return np.where(edge >= 0, edge + first, -1)


def in_order(
    find: Callable[[Window], T], windows: Iterable[Window], workers: int
) -> Iterator[tuple[Window, T]]:
    """What `find` gives for every window, in their order, with a few windows under way at a time."""
    if workers == 1:
        yield from ((window, find(window)) for window in windows)
        return
    under_way: deque[tuple[Window, Future[T]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for window in windows:
                under_way.append((window, pool.submit(find, window)))
                if len(under_way) > 2 * workers:
                    done, future = under_way.popleft()
                    yield done, future.result()
            for done, future in under_way:
                yield done, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
