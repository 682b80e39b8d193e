"""The blocks of a raster, decoded once for all the windows that need a part of them.

GDAL keeps decoded blocks by open file, and files are opened by thread, so that tiles which share blocks
would decode them once each. Here the windows are known beforehand: of a block is kept what the windows that
are yet to come need of it, until the last of them was read, whichever thread reads it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.grid import Window

# Strips and small blocks are decoded several at a time: to this edge, as long as it is not too much at once.
_EDGE, _PIXELS = 256, 2**20


@dataclass(frozen=True)
class Pixels:
    """Pixels as the file holds them, and which of them count."""

    values: NDArray[np.generic]  # (bands, height, width)
    usable: BoolArray  # (height, width)

    def crop(self, rows: slice, cols: slice) -> Pixels:
        """A part of them, as views."""
        return Pixels(self.values[:, rows, cols], self.usable[rows, cols])

    def copy(self) -> Pixels:
        """The same in memory of their own."""
        return Pixels(self.values.copy(), self.usable.copy())

    @property
    def bytes(self) -> int:
        """Memory that they take."""
        return self.values.nbytes + self.usable.nbytes


@dataclass
class _Block:
    """One block: who is yet to come, and what is kept for them."""

    window: Window
    waiting: list[Window] = field(default_factory=list)
    kept: tuple[Window, Pixels] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class SharedBlocks:
    """Blocks of one raster, shared by the threads of a process.

    Parameters
    ----------
    extent
        The raster, (0, 0, height, width).
    block_shape
        (rows, columns) of its own blocks.
    windows
        The windows that will be read, each once.
    decode
        Reads a window of the raster. Called from the thread that asks.
    most_bytes
        Memory for what is kept; what does not fit is decoded again.
    """

    def __init__(
        self,
        extent: Window,
        block_shape: tuple[int, int],
        windows: Iterable[Window],
        decode: Callable[[Window], Pixels],
        most_bytes: int,
    ) -> None:
        self._extent = extent
        rows, cols = block_shape
        cols *= max(1, min(_EDGE // cols, _PIXELS // (rows * cols)))
        rows *= max(1, min(_EDGE // rows, _PIXELS // (rows * cols)))
        self._shape = rows, cols
        self._decode = decode
        self._most_bytes = most_bytes
        self.kept_bytes = 0  # now
        self._lock = threading.Lock()
        self.decoded: Counter[tuple[int, int]] = Counter()  # how often, by row and column of the block
        self._blocks: dict[tuple[int, int], _Block] = {}
        for window in windows:
            for block in self._under(window):
                block.waiting.append(window)

    @property
    def decoded_again(self) -> int:
        """Blocks decoded beyond their first time."""
        return self.decoded.total() - len(self.decoded)

    def read(self, window: Window) -> Iterator[tuple[Window, Pixels]]:
        """The parts of `window` that lie inside the raster, each with its pixels (not to be written to)."""
        for block in self._under(window):
            yield self._part(block, window)

    def _under(self, window: Window) -> Iterator[_Block]:
        inside = window.intersection(self._extent)
        if inside.is_empty:
            return
        high, wide = self._shape
        for row, col in product(
            range(inside.row_off // high, -(-inside.row_end // high)),
            range(inside.col_off // wide, -(-inside.col_end // wide)),
        ):
            with self._lock:
                if (row, col) not in self._blocks:
                    whole = Window(row * high, col * wide, high, wide)
                    self._blocks[row, col] = _Block(whole.intersection(self._extent))
                block = self._blocks[row, col]
            yield block

    def _part(self, block: _Block, window: Window) -> tuple[Window, Pixels]:
        wanted = window.intersection(block.window)
        with block.lock:
            if block.kept is not None and wanted.intersection(block.kept[0]) == wanted:
                held, pixels = block.kept
            else:
                held, pixels = block.window, self._decode(block.window)
                with self._lock:
                    self.decoded[block.window.row_off, block.window.col_off] += 1
            if window in block.waiting:
                block.waiting.remove(window)
            self._keep(block, held, pixels)
        return wanted, pixels.crop(*wanted.slices_in(held))

    def _keep(self, block: _Block, held: Window, pixels: Pixels) -> None:
        """Of what is at hand, keep what the windows that are yet to come need, and no more."""
        needed = _around([window.intersection(block.window) for window in block.waiting])
        before = 0 if block.kept is None else block.kept[1].bytes
        if block.kept is not None and needed == block.kept[0]:
            return
        block.kept = None
        if not needed.is_empty:
            part = pixels.crop(*needed.slices_in(held))
            with self._lock:
                fits = self.kept_bytes - before + part.bytes <= self._most_bytes
            if fits:
                block.kept = needed, part.copy()
        after = 0 if block.kept is None else block.kept[1].bytes
        with self._lock:
            self.kept_bytes += after - before


def _around(windows: list[Window]) -> Window:
    """The smallest window that holds all of them; an empty one where there are none."""
    if not windows:
        return Window(0, 0, 0, 0)
    row, col = min(w.row_off for w in windows), min(w.col_off for w in windows)
    end_row, end_col = max(w.row_end for w in windows), max(w.col_end for w in windows)
    return Window(row, col, end_row - row, end_col - col)
