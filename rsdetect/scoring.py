"""The one pure function that every worker runs, and what its result is put down as."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsdetect.detectors.base import Scorer
from rsdetect.pair import Pair, read_tile
from rsdetect.tiles import Float32Array, TileWindow

NOT_OBSERVED = 255  # percent value of a pixel that was not valid on both dates


def score_core(pair: Pair, scorer: Scorer, tile: TileWindow) -> Float32Array:
    """Change probability of the tile's core, (height, width) float32; NaN where not valid on both dates.

    Raises
    ------
    ReadError
        A file broke while it was read; the message names the file.
    """
    pixels = read_tile(pair, tile)
    rows, cols = tile.core.slices_in(tile.read)
    valid = pixels.valid[rows, cols]
    if not valid.any():
        return np.full(tile.core.shape, np.nan, dtype=np.float32)
    probability = pixels.crop_to_core(scorer.score(pixels))
    return np.where(valid, probability, np.float32(np.nan))


def to_percent(probability: Float32Array) -> NDArray[np.uint8]:
    """Probability in [0, 1] as whole percent, 255 for NaN.

    >>> to_percent(np.array([0.0, 0.504, 1.0, np.nan], dtype=np.float32)).tolist()
    [0, 50, 100, 255]
    """
    percent = np.rint(np.nan_to_num(probability, nan=NOT_OBSERVED / 100) * 100)
    return np.asarray(percent, dtype=np.uint8)
