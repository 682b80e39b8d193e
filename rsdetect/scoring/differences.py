"""Differences of the changed pixels, stored with a tile while it is scored.

Polygons have the mean of after - before over each region, with a `Direction` the mean change vector, whose
components follow the bands, and with `LandRules` a count of the land classes. These pixels are in memory
while a tile is scored; reading the scenes again would decode nearly every block twice. What is stored is a
cache: if it is missing, damaged or of another level, the scenes are read.

A file has a record for each pixel that may have changed, in reading order: its position in the tile's core
(row * width + column), its differences, and a byte for its land classes on both dates. The number of
records in each row of the core, a header, and a checksum of everything before it follow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from os import SEEK_END
from typing import Any, BinaryIO

import numpy as np

from rsdetect.arraytypes import Float32Array, UInt8Array
from rsdetect.detectors.direction import Direction
from rsdetect.files import atomic_path
from rsdetect.grid import Window
from rsdetect.kinds.rules import LandRules
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import Tile, TilePlan, TileWindow

_MARGIN = (
    0.25  # percent, in addition to rounding: another worker may repeat a tile with another order of sums
)
_AT_ONCE = 2**17  # pixels, or records
_CHECKSUM_BYTES = 16
_HEAD = struct.Struct("<6i")  # level in percent, layers, row_off, col_off, height and width of the core


@dataclass(frozen=True)
class PixelContent:
    """Content of stored differences beside those of the bands."""

    bands: int  # of the pair
    direction: Direction | None = None  # of the scorer
    land: LandRules | None = None

    @property
    def layers(self) -> int:
        """Layers of differences: of the bands, and of the components of a direction."""
        return self.bands if self.direction is None else 2 * self.bands

    @property
    def record_dtype(self) -> np.dtype[Any]:
        """Type of the record of a pixel."""
        coded = [] if self.land is None else [("code", "u1")]
        return np.dtype([("place", "<u4"), ("difference", "<f4", (self.layers,)), *coded])

    def header(self, core: Window) -> tuple[int, ...]:
        """Numbers that identify a file for `core`, beside its level."""
        kind = self.layers if self.land is None else -self.layers
        return kind, core.row_off, core.col_off, core.height, core.width


_COUNT = np.dtype("<u4")


class _Writer:
    """Sink of `score_core` that appends the differences of changed pixels to a file."""

    def __init__(self, file: BinaryIO, core: Window, level: int, content: PixelContent) -> None:
        self._file = file
        self._core = core
        self._content = content
        self._head = _HEAD.pack(level, *content.header(core))
        self._least = np.float32((level - 0.5 - _MARGIN) / 100)  # rounds to the level, with a margin
        self._record_dtype = content.record_dtype
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
        records = np.empty(place.size, self._record_dtype)
        records["place"] = (row + down) * self._core.width + (col + right)
        at = (row + inside[0].start) * pixels.read.width + (col + inside[1].start)
        before, after = (date.reshape(len(date), -1)[:, at] for date in (pixels.before, pixels.after))
        np.subtract(after, before, out=records["difference"].T[: len(before)])
        if self._content.direction is not None:
            records["difference"].T[len(before) :] = self._content.direction.vectors(before, after)
        if self._content.land is not None:
            records["code"] = self._content.land.codes(before, after)
        self._in_row[down : down + window.height] += np.bincount(row, minlength=window.height).astype(_COUNT)
        self._write(records.view(np.uint8).data)

    def finish(self) -> None:
        """Write the rest of a differences file after the records."""
        self._write(self._in_row.data)
        self._write(self._head)
        self._file.write(self._checksum.digest())

    def _write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._checksum.update(content)


@contextmanager
def storing_differences(
    store: WorkStore, tile: TileWindow, level: int, content: PixelContent
) -> Iterator[_Writer]:
    """Sink for `score_core` that stores the differences of `tile` when the context ends without error.

    Parameters
    ----------
    level
        Lowest percent of changed pixels, at least 1. Some pixels slightly below it are included.
    content
        Of each pixel.
    """
    with atomic_path(store.beside(tile), sync=False) as unfinished, unfinished.open("wb") as file:
        writer = _Writer(file, tile.core, level, content)
        yield writer
        writer.finish()


class StoredDifferences:
    """Differences stored while the tiles of `plan` were scored, read by windows from any thread."""

    def __init__(
        self,
        store: WorkStore,
        pair: Pair,
        plan: TilePlan,
        level: int,
        content: PixelContent,
    ) -> None:
        self._store = store
        self._pair = pair
        self._plan = plan
        self._level = level  # percent; every pixel at or above it must be stored
        self._content = content
        self._complete: dict[tuple[int, int], bool] = {}  # by tile, once its checksum was verified

    def read(self, window: Window, codes: UInt8Array | None = None) -> Float32Array | None:
        """Differences (layers, height, width), after - before, of changed pixels; None = incomplete.

        Those of the bands, then the components of a direction. Other pixels, also invalid ones, are NaN.

        Parameters
        ----------
        codes
            (height, width), filled with the codes of land classes of changed pixels, where they are stored.
        """
        differences = np.full((self._content.layers, *window.shape), np.nan, np.float32)
        for tile in self._plan.under(window):
            # Outside the area of interest nothing is scored, and nothing has changed.
            if self._pair.intersects_aoi(tile.core) and not self._copy_tile(tile, window, differences, codes):
                return None
        return differences

    def _copy_tile(
        self, tile: TileWindow, window: Window, out: Float32Array, codes: UInt8Array | None
    ) -> bool:
        """Copy the stored differences of a tile into `out`, which covers `window`; False if incomplete."""
        place = tile.row, tile.col
        try:
            with self._store.beside(tile).open("rb") as file:
                if place not in self._complete:
                    self._complete[place] = self._is_complete(file, tile.core)
                return self._complete[place] and self._copy_rows(file, tile.core, window, out, codes)
        except OSError:
            return False

    def _is_complete(self, file: BinaryIO, core: Window) -> bool:
        """True if a differences file is intact, of this core, and has all pixels from the level on."""
        left = file.seek(0, SEEK_END) - _CHECKSUM_BYTES
        if left < _COUNT.itemsize * core.height + _HEAD.size:
            return False
        file.seek(left - _HEAD.size)
        level, *about = _HEAD.unpack(file.read(_HEAD.size))
        wanted = file.read()
        if level > self._level or tuple(about) != self._content.header(core):
            return False
        file.seek(0)
        checksum = blake2b(digest_size=_CHECKSUM_BYTES)
        while left > 0 and (content := file.read(min(left, _AT_ONCE))):
            checksum.update(content)
            left -= len(content)
        return checksum.digest() == wanted

    def _copy_rows(
        self, file: BinaryIO, core: Window, window: Window, out: Float32Array, codes: UInt8Array | None
    ) -> bool:
        record_dtype = self._content.record_dtype
        part = window.intersection(core)
        rows, cols = part.slices_in(core)
        file.seek(-_CHECKSUM_BYTES - _HEAD.size - _COUNT.itemsize * core.height, SEEK_END)
        in_row = np.frombuffer(file.read(_COUNT.itemsize * core.height), _COUNT)
        first, end = int(in_row[: rows.start].sum()), int(in_row[: rows.stop].sum())
        file.seek(first * record_dtype.itemsize)
        for start in range(first, end, _AT_ONCE):
            wanted = min(_AT_ONCE, end - start) * record_dtype.itemsize
            if len(content := file.read(wanted)) < wanted:
                return False
            records = np.frombuffer(content, record_dtype)
            place = records["place"].astype(np.int64)
            row = place // core.width
            col = place - row * core.width
            here = np.flatnonzero((col >= cols.start) & (col < cols.stop))
            down, right = core.row_off - window.row_off, core.col_off - window.col_off
            at = (row[here] + down) * window.width + (col[here] + right)
            for layer, values in zip(out, records["difference"][here].T, strict=True):
                layer.reshape(-1)[at] = values
            if codes is not None and self._content.land is not None:
                codes.reshape(-1)[at] = records["code"][here]
        return True
