"""Block by block over a raster, and the pieces of all blocks joined to regions.

Of the blocks behind, only the pieces along the edges that blocks still to come will touch are kept: one
row of the raster and one column of a block. The rest of what is kept is corners and sums.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rsdetect.grid import Grid, Window
from rsdetect.outlines import Corners, Int64Array
from rsdetect.pieces import BlockPieces, Sums

Find = Callable[[Window], BlockPieces | None]


def join_blocks(grid: Grid, find: Find, block_size: int, workers: int) -> tuple[Corners, Sums]:
    """Find the pieces of all blocks of a grid and join those that touch across block edges.

    Parameters
    ----------
    find
        Gives the pieces of one window, None where there is nothing; called from `workers` threads.
    block_size
        Edge of a block in pixels.

    Returns
    -------
    corners
        Of all blocks, each with the number of its region, from 0.
    sums
        Of all regions.
    """
    seams = _Seams(grid.width)
    corners, sums = [], []
    for window, block in _in_order(find, _blocks(grid, block_size), workers):
        first = seams.add(window, block)
        if block is not None:
            corners.append(block.corners.renumbered(block.corners.owner + first))
            sums.append(block.sums)
    if not sums:
        return Corners.none(), Sums.none()
    region, count = seams.regions()
    every_corner = Corners.joined(corners)
    return every_corner.renumbered(region[every_corner.owner]), Sums.joined(sums).grouped(region, count)


class _Seams:
    """Numbers the pieces through, and notes which touch, as blocks come in row-major order."""

    def __init__(self, width: int) -> None:
        self._count = 0
        self._above = np.full(
            width, -1, np.int64
        )  # the piece of every pixel in the last row of the blocks above
        self._left: Int64Array | None = None  # likewise in the last column of the block to the left
        self._pairs = [np.empty((2, 0), np.int64)]

    def add(self, window: Window, block: BlockPieces | None) -> int:
        """Take in the next block; the number of its first piece."""
        first = self._count
        above = self._above[window.col_off : window.col_end]
        if window.col_off == 0:
            self._left = None
        if block is None:
            above[:] = -1
            self._left = None
            return first
        self._note(above, block.top, first)
        if self._left is not None:
            self._note(self._left, block.left, first)
        above[:] = _numbered(block.bottom, first)
        self._left = _numbered(block.right, first)
        self._count += block.count
        return first

    def _note(self, known: Int64Array, edge: Int64Array, first: int) -> None:
        pairs = np.stack([known, _numbered(edge, first)])
        pairs = pairs[:, (pairs >= 0).all(axis=0)]
        # Along an edge the same pair follows itself, pixel after pixel.
        new = np.ones(pairs.shape[1], np.bool_)
        new[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)
        self._pairs.append(pairs[:, new])

    def regions(self) -> tuple[Int64Array, int]:
        """The region of every piece, and how many regions there are."""
        one, other = np.concatenate(self._pairs, axis=1)
        touching = coo_array((np.ones(one.size, np.int8), (one, other)), shape=(self._count, self._count))
        count, region = connected_components(touching, directed=False)
        return region.astype(np.int64), int(count)


def _numbered(edge: Int64Array, first: int) -> NDArray[np.int64]:
    return np.where(edge >= 0, edge + first, -1)


def _blocks(grid: Grid, size: int) -> Iterator[Window]:
    for row in range(0, grid.height, size):
        for col in range(0, grid.width, size):
            yield Window(row, col, size, size).intersection(grid.window)


def _in_order(
    find: Find, windows: Iterable[Window], workers: int
) -> Iterator[tuple[Window, BlockPieces | None]]:
    """What `find` gives for every window, in their order, with a few windows under way at a time."""
    if workers == 1:
        yield from ((window, find(window)) for window in windows)
        return
    under_way: deque[tuple[Window, Future[BlockPieces | None]]] = deque()
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
