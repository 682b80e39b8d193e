"""Blocks of a raster, decoded once for all windows that require a part of them.

GDAL caches decoded blocks per open file, and files are opened per thread, so that tiles which share blocks
would decode them once each. Here the windows are known in advance: the parts of a block that later windows
require are cached until the last of them was read by any thread.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.grid import Window

# Strips and small blocks are decoded several at a time, up to this edge, within a limit of memory.
_EDGE, _PIXELS = 256, 2**20


@dataclass(frozen=True)
class Pixels:
    """Pixels of a block as in the file, and their validity."""

    values: NDArray[np.generic]  # (bands, height, width)
    usable: BoolArray  # (height, width)

    def crop(self, rows: slice, cols: slice) -> Pixels:
        """Crop pixels of a block, as views."""
        return Pixels(self.values[:, rows, cols], self.usable[rows, cols])

    def copy(self) -> Pixels:
        """Copy of the pixels, independent of the block."""
        return Pixels(self.values.copy(), self.usable.copy())

    @property
    def bytes(self) -> int:
        """Memory of the pixels in bytes."""
        return self.values.nbytes + self.usable.nbytes


@dataclass
class _Block:
    """Shared block: pending windows, and the pixels cached for them."""

    window: Window
    waiting: list[Window] = field(default_factory=list)
    kept: tuple[Window, Pixels] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class SharedBlocks:
    """Shared blocks of one raster, for the threads of a process.

    Parameters
    ----------
    extent
        The raster, (0, 0, height, width).
    block_shape
        (rows, columns) of the raster's blocks.
    windows
        Windows that will be read, each once.
    decode
        Reads a window of the raster, in the calling thread.
    most_bytes
        Memory of the cache; other parts are decoded again.
    parts
        Blocks of the files behind a mosaic that a window of it decodes, to count these; None = its own.
    """

    def __init__(
        self,
        extent: Window,
        block_shape: tuple[int, int],
        windows: Iterable[Window],
        decode: Callable[[Window], Pixels],
        most_bytes: int,
        parts: Callable[[Window], Iterable[Hashable]] | None = None,
    ) -> None:
        self._extent = extent
        rows, cols = block_shape
        cols *= max(1, min(_EDGE // cols, _PIXELS // (rows * cols)))
        rows *= max(1, min(_EDGE // rows, _PIXELS // (rows * cols)))
        self._shape = rows, cols
        self._decode = decode
        self._parts = parts or (lambda window: [(window.row_off, window.col_off)])
        self._most_bytes = most_bytes
        self.kept_bytes = 0  # now
        self._lock = threading.Lock()
        self.decoded: Counter[Hashable] = Counter()  # how often, by block; of a mosaic at most
        self._blocks: dict[tuple[int, int], _Block] = {}
        for window in windows:
            for block in self._under(window):
                block.waiting.append(window)

    @property
    def decoded_again(self) -> int:
        """Number of repeated decodings of blocks."""
        return self.decoded.total() - len(self.decoded)

    def read(self, window: Window) -> Iterator[tuple[Window, Pixels]]:
        """Read the parts of `window` inside the raster from shared blocks, each with its read-only pixels."""
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
                    self.decoded.update(self._parts(block.window))
            if window in block.waiting:
                block.waiting.remove(window)
            self._keep(block, held, pixels)
        return wanted, pixels.crop(*wanted.slices_in(held))

    def _keep(self, block: _Block, held: Window, pixels: Pixels) -> None:
        """Cache the parts of decoded blocks that later windows require."""
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
    """Smallest window around windows in a block; empty if there are none."""
    if not windows:
        return Window(0, 0, 0, 0)
    row, col = min(w.row_off for w in windows), min(w.col_off for w in windows)
    end_row, end_col = max(w.row_end for w in windows), max(w.col_end for w in windows)
    return Window(row, col, end_row - row, end_col - col)
