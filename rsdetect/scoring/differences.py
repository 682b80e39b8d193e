"""Differences of the pixels that changed, put down beside a tile while it is scored.

The polygons tell the mean of after - before over each region. Who scores a tile has these pixels at hand; who
reads the scenes again decodes nearly every block a second time. What is put down is an aid, no result: where
it is missing, damaged or of another level, the scenes say the same.

A file holds a record for each pixel that may have changed, in reading order: its place in the tile's core
(row * width + column) and its differences. Behind them stand the number of records in each row of the core,
what the file is about, and a checksum over everything before it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from os import SEEK_END
from typing import Any, BinaryIO

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.files import atomic_path
from rsdetect.grid import Window
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import Tile, TilePlan, TileWindow

_MARGIN = 0.25  # percent on top of rounding: another worker may score a tile again, in another order of sums
_AT_ONCE = 2**17  # pixels, or records
_CHECKSUM_BYTES = 16
_HEAD = struct.Struct("<6i")  # level in percent, bands, row_off, col_off, height and width of the core
_COUNT = np.dtype("<u4")


class _Writer:
    """The sink of `score_core` that appends to a file what changed."""

    def __init__(self, file: BinaryIO, core: Window, bands: int, level: int) -> None:
        self._file = file
        self._core = core
        self._head = _HEAD.pack(level, *_about(core, bands))
        self._least = np.float32((level - 0.5 - _MARGIN) / 100)  # what rounds to the level, and a little less
        self._record = _record(bands)
        self._in_row = np.zeros(core.height, _COUNT)
        self._checksum = blake2b(digest_size=_CHECKSUM_BYTES)

    def __call__(self, pixels: Tile, window: Window, probability: Float32Array) -> None:
        rows = max(1, _AT_ONCE // window.width)
        for part in window.blocks(rows, window.width):
            self._append(pixels, part, probability[part.slices_in(window)])

    def _append(self, pixels: Tile, window: Window, probability: Float32Array) -> None:
        inside = window.slices_in(pixels.read)
        changed = probability >= self._least
        changed &= pixels.before_valid[inside]
        changed &= pixels.after_valid[inside]
        place = np.flatnonzero(changed)
        if place.size == 0:
            return
        row = place // window.width
        col = place - row * window.width
        down, right = (edge.start for edge in window.slices_in(self._core))
        records = np.empty(place.size, self._record)
        records["place"] = (row + down) * self._core.width + (col + right)
        at = (row + inside[0].start) * pixels.read.width + (col + inside[1].start)
        for band, (before, after) in enumerate(zip(pixels.before, pixels.after, strict=True)):
            records["difference"][:, band] = after.reshape(-1)[at] - before.reshape(-1)[at]
        self._in_row[down : down + window.height] += np.bincount(row, minlength=window.height).astype(_COUNT)
        self._write(records.view(np.uint8).data)

    def finish(self) -> None:
        """All that comes behind the records."""
        self._write(self._in_row.data)
        self._write(self._head)
        self._file.write(self._checksum.digest())

    def _write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._checksum.update(content)


@contextmanager
def putting_down_differences(store: WorkStore, tile: TileWindow, bands: int, level: int) -> Iterator[_Writer]:
    """A sink for `score_core`; what it takes of `tile` is in the store when this ends without an error.

    Parameters
    ----------
    bands
        Of the pair.
    level
        Percent from which on a pixel counts as changed, at least 1. A few pixels below it come along.
    """
    with atomic_path(store.beside(tile), sync=False) as unfinished, unfinished.open("wb") as file:
        writer = _Writer(file, tile.core, bands, level)
        yield writer
        writer.finish()


class KeptDifferences:
    """What was put down in a store while the tiles of `plan` were scored, read by windows from any thread."""

    def __init__(self, store: WorkStore, pair: Pair, plan: TilePlan, level: int) -> None:
        self._store = store
        self._pair = pair
        self._plan = plan
        self._level = level  # percent; every pixel from there on must be known
        self._record = _record(len(pair.bands))
        self._whole: dict[tuple[int, int], bool] = {}  # by tile, once its checksum was looked at

    def read(self, window: Window) -> Float32Array | None:
        """(bands, height, width) after - before where a pixel changed; None = it is not all here.

        Elsewhere NaN stands for what is not known, a pixel that is not valid among it.
        """
        differences = np.full((len(self._pair.bands), *window.shape), np.nan, np.float32)
        for tile in self._plan.under(window):
            # Outside the area of interest nothing is scored, and nothing has changed.
            if self._pair.looks_at(tile.core) and not self._lay(tile, window, differences):
                return None
        return differences

    def _lay(self, tile: TileWindow, window: Window, out: Float32Array) -> bool:
        """What is known of a tile into `out`, which covers `window`; False where it is not all there."""
        place = tile.row, tile.col
        try:
            with self._store.beside(tile).open("rb") as file:
                if place not in self._whole:
                    self._whole[place] = self._is_whole(file, tile.core)
                return self._whole[place] and self._lay_rows(file, tile.core, window, out)
        except OSError:
            return False

    def _is_whole(self, file: BinaryIO, core: Window) -> bool:
        """Whether the file is what was put down, about this core, with all pixels from the level on."""
        left = file.seek(0, SEEK_END) - _CHECKSUM_BYTES
        if left < _COUNT.itemsize * core.height + _HEAD.size:
            return False
        file.seek(left - _HEAD.size)
        level, *about = _HEAD.unpack(file.read(_HEAD.size))
        wanted = file.read()
        if level > self._level or tuple(about) != _about(core, len(self._pair.bands)):
            return False
        file.seek(0)
        checksum = blake2b(digest_size=_CHECKSUM_BYTES)
        while left > 0 and (content := file.read(min(left, _AT_ONCE))):
            checksum.update(content)
            left -= len(content)
        return checksum.digest() == wanted

    def _lay_rows(self, file: BinaryIO, core: Window, window: Window, out: Float32Array) -> bool:
        part = window.intersection(core)
        rows, cols = part.slices_in(core)
        file.seek(-_CHECKSUM_BYTES - _HEAD.size - _COUNT.itemsize * core.height, SEEK_END)
        in_row = np.frombuffer(file.read(_COUNT.itemsize * core.height), _COUNT)
        first, end = int(in_row[: rows.start].sum()), int(in_row[: rows.stop].sum())
        file.seek(first * self._record.itemsize)
        for start in range(first, end, _AT_ONCE):
            wanted = min(_AT_ONCE, end - start) * self._record.itemsize
            if len(content := file.read(wanted)) < wanted:
                return False
            records = np.frombuffer(content, self._record)
            place = records["place"].astype(np.int64)
            row = place // core.width
            col = place - row * core.width
            here = np.flatnonzero((col >= cols.start) & (col < cols.stop))
            down, right = core.row_off - window.row_off, core.col_off - window.col_off
            at = (row[here] + down) * window.width + (col[here] + right)
            for layer, values in zip(out, records["difference"][here].T, strict=True):
                layer.reshape(-1)[at] = values
        return True


def _about(core: Window, bands: int) -> tuple[int, ...]:
    return bands, core.row_off, core.col_off, core.height, core.width


def _record(bands: int) -> np.dtype[Any]:
    return np.dtype([("place", "<u4"), ("difference", "<f4", (bands,))])
