"""The one pure function that every worker runs, and what its result is put down as."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from rsdetect.detectors.base import Scorer, Strip, StripScorer
from rsdetect.grid import Window
from rsdetect.pair import Pair, read_tile
from rsdetect.tiles import Float32Array, Tile, TileWindow

NOT_OBSERVED = 255  # percent value of a pixel that was not valid on both dates

_PUSH_ROWS = 128  # of a strip at a time; half as many of a wide one, more where the halo is longer
_WIDE = 3072  # pixels


def score_core(pair: Pair, scorer: Scorer, tile: TileWindow) -> Float32Array:
    """Change probability of the tile's core, (height, width) float32; NaN where not valid on both dates.

    Raises
    ------
    ReadError
        A file broke while it was read; the message names the file.
    """
    if goes_down_strips(scorer):
        return _score_down(pair, scorer, tile)
    pixels = read_tile(pair, tile)
    rows, cols = tile.core.slices_in(tile.read)
    valid = pixels.valid[rows, cols]
    if not valid.any():
        return np.full(tile.core.shape, np.nan, dtype=np.float32)
    probability = pixels.crop_to_core(scorer.score(pixels))
    return np.where(valid, probability, np.float32(np.nan))


def read_windows(scorer: Scorer, tile: TileWindow) -> list[Window]:
    """The windows, in order, that `score_core` reads for a tile."""
    if not goes_down_strips(scorer):
        return [tile.read]
    height = push_height(scorer, tile.read.width)
    # Of a tile that is cut at the edge of the raster no more than its core needs.
    end = tile.core.row_end + scorer.halo
    return [
        Window(row, tile.read.col_off, height, tile.read.width)
        for row in range(tile.read.row_off, end, height)
    ]


def goes_down_strips(scorer: Scorer) -> TypeGuard[StripScorer]:
    """Whether `score_core` reads and scores tiles by bands of rows, and not at once."""
    return isinstance(scorer, StripScorer) and scorer.strips


def push_height(scorer: Scorer, width: int) -> int:
    """Rows at a time of a strip `width` pixels wide: a multiple of the stride, and not below the halo."""
    rows = _PUSH_ROWS if width <= _WIDE else _PUSH_ROWS // 2
    return -(-max(rows, scorer.halo) // scorer.stride) * scorer.stride


def _score_down(pair: Pair, scorer: StripScorer, tile: TileWindow) -> Float32Array:
    """Read and score a tile by bands of rows, leaving out those that nothing valid depends on.

    Where a band, the one above it and the one below hold nothing valid, none of them is scored: a band is not
    thinner than the halo. After a gap the strip begins anew, a band above the first valid pixel.
    """
    width = tile.read.width
    height = push_height(scorer, width)
    probability = np.full(tile.core.shape, np.nan, dtype=np.float32)
    valid = np.zeros(tile.core.shape, dtype=bool)
    strip: Strip | None = None
    for band, wanted in _wanted(_bands(pair, scorer, tile, valid)):
        if not wanted:
            strip = None
            continue
        strip = strip or scorer.strip(height, width)
        scored = band.read.shifted(-strip.late, 0)
        part = scored.intersection(tile.core)
        probability[part.slices_in(tile.core)] = strip.push(band)[part.slices_in(scored)]
    probability[~valid] = np.nan
    return probability


def _bands(pair: Pair, scorer: Scorer, tile: TileWindow, valid: NDArray[np.bool_]) -> Iterator[Tile]:
    """The tile's pixels from the top down, and as they come, in `valid`, where its core is valid."""
    for window in read_windows(scorer, tile):
        band = read_tile(pair, TileWindow(tile.row, tile.col, tile.core, window))
        part = window.intersection(tile.core)
        valid[part.slices_in(tile.core)] = band.valid[part.slices_in(window)]
        yield band


def _wanted(bands: Iterator[Tile]) -> Iterator[tuple[Tile, bool]]:
    """Each band, and whether it or one beside it holds a valid pixel."""
    held: tuple[Tile, bool, bool] | None = None  # a band, whether the one above it is valid, and it itself
    for band in bands:
        is_valid = bool(band.valid.any())
        if held is not None:
            yield held[0], held[1] or held[2] or is_valid
        held = band, held is not None and held[2], is_valid
    if held is not None:
        yield held[0], held[1] or held[2]


def to_percent(probability: Float32Array) -> NDArray[np.uint8]:
    """Probability in [0, 1] as whole percent, 255 for NaN.

    >>> to_percent(np.array([0.0, 0.504, 1.0, np.nan], dtype=np.float32)).tolist()
    [0, 50, 100, 255]
    """
    percent = np.rint(np.nan_to_num(probability, nan=NOT_OBSERVED / 100) * 100)
    return np.asarray(percent, dtype=np.uint8)
