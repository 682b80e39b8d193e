"""Lazy DataArrays whose chunks count how many of them are alive."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from support.scenes import TEN_METRES, UTM


def random_chunk(seed: list[int], edge: int) -> NDArray[np.uint8]:
    """Independent values, (edge, edge); `seed` is the seed of the scene, then row and column of the chunk."""
    return np.random.default_rng(seed).integers(1, 200, (edge, edge), dtype=np.uint8)


@dataclass
class CountedChunks:
    """How many chunks are alive (`now`), the `most` at a time, and how many were ever made."""

    make: Callable[[list[int], int], NDArray[np.uint8]] = random_chunk
    now: int = 0
    most: int = 0
    ever: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def scene(self, size: int, edge: int, seed: int) -> xr.DataArray:
        """One band of size x size pixels of 10 m in chunks of edge x edge; `size` is a multiple of `edge`."""

        def one(block_id: tuple[int, ...] = (), **_: object) -> NDArray[np.uint8]:
            return self._counted(self.make([seed, *block_id[1:]], edge)[None])

        steps = (edge,) * (size // edge)
        chunks = ((1,), steps, steps)
        pixels = da.map_blocks(one, chunks=chunks, dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
        x = TEN_METRES.c + 10 * (np.arange(size) + 0.5)
        y = TEN_METRES.f - 10 * (np.arange(size) + 0.5)
        made = xr.DataArray(pixels, dims=("band", "y", "x"), coords={"y": y, "x": x})
        return made.assign_coords(spatial_ref=xr.Variable((), 0, attrs={"crs_wkt": UTM}))

    def _counted(self, chunk: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with self._lock:
            self.now, self.ever = self.now + 1, self.ever + 1
            self.most = max(self.most, self.now)
        weakref.finalize(chunk, self._gone)
        return chunk

    def _gone(self) -> None:
        with self._lock:
            self.now -= 1
