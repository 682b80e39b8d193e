"""Integer percent, the encoding of change probabilities in rasters: 0 to 100, and 255 = not observed."""

from __future__ import annotations

import math

import numpy as np

from rsdetect.arraytypes import Float32Array, UInt8Array

PERCENT = 100  # steps between no change and certain change
NOT_OBSERVED = 255  # value of pixels that are not valid on both dates; the raster's nodata value

_ROWS = 128  # at a time


def to_percent(probability: Float32Array) -> UInt8Array:
    """Convert probability in [0, 1] to integer percent, 255 for NaN.

    >>> to_percent(np.array([0.0, 0.504, 1.0, np.nan], dtype=np.float32)).tolist()
    [0, 50, 100, 255]
    """
    percent = np.empty(probability.shape, dtype=np.uint8)
    # A few rows at a time, because temporaries would take three times the memory of a tile.
    for top in range(0, len(percent), _ROWS):
        rows = slice(top, top + _ROWS)
        percent[rows] = np.rint(np.nan_to_num(probability[rows], nan=NOT_OBSERVED / PERCENT) * PERCENT)
    return percent


def from_percent(percent: UInt8Array) -> Float32Array:
    """Convert integer percent to probability, NaN where not observed.

    >>> from_percent(np.array([0, 50, 255], dtype=np.uint8)).tolist()
    [0.0, 0.5, nan]
    """
    return np.where(percent == NOT_OBSERVED, np.float32(np.nan), percent / np.float32(PERCENT))


def level_of(threshold: float) -> int:
    """Lowest percent value at or above a threshold in [0, 1]; at least 1.

    >>> level_of(0.3), level_of(0.425), level_of(0.57)
    (30, 43, 57)
    """
    return max(1, math.ceil(round(threshold * PERCENT, 6)))
