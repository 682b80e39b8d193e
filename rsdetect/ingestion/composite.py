"""Composite of scenes: per pixel and band, the median of valid observations, by windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.grid import Window
from rsdetect.scenes.scene import Scene, read_scene


def composite_median(scenes: Sequence[Scene], window: Window, count: int) -> Float32Array:
    """Composite of a window: per pixel and band, the median of the last `count` valid values, else NaN.

    It is taken of fewer where a pixel has fewer. `scenes` come latest first; only those needed are read.
    """
    found: Float32Array | None = None
    filled = np.zeros(window.shape, dtype=np.intp)
    for scene in scenes:
        values, valid = read_scene(scene, window)
        if found is None:
            found = np.full((count, *values.shape), np.nan, dtype=np.float32)
        rows, cols = np.nonzero(valid & (filled < count))
        found[filled[rows, cols], :, rows, cols] = values[:, rows, cols].T
        filled[rows, cols] += 1
        if (filled == count).all():
            break
    assert found is not None
    found = found[: max(1, int(filled.max()))]
    if len(found) == 1:
        return np.asarray(found[0])
    return _packed_nanmedian(found, filled)


def _packed_nanmedian(found: Float32Array, filled: np.ndarray[Any, np.dtype[np.intp]]) -> Float32Array:
    """Median of a composite's observations packed at the start of the first axis, like NumPy's nanmedian."""
    ordered = np.sort(found, axis=0)  # NaN last
    low = np.maximum(filled - 1, 0) // 2
    high = np.minimum(filled // 2, len(found) - 1)
    below = np.take_along_axis(ordered, low[None, None], axis=0)[0]
    above = np.take_along_axis(ordered, high[None, None], axis=0)[0]
    return np.asarray((below + above) / 2, dtype=np.float32)
