"""Tallies of scores, computed per tile while it is scored, for comparison with the finished files."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.errors import ResultMismatch
from rsdetect.percent import NOT_OBSERVED
from rsdetect.tiles import TileWindow

_FORMAT = struct.Struct("<QQI")


@dataclass(frozen=True)
class TileTally:
    """Tally of the core of one tile."""

    observed: int  # pixels with a probability
    percent: int  # sum over them
    checksum: int  # CRC-32 of the values in rows from the top, 255 = not observed

    SIZE = _FORMAT.size

    @classmethod
    def of(cls, percent: NDArray[np.uint8]) -> TileTally:
        """Count (height, width) percent values."""
        observed = int(np.count_nonzero(percent != NOT_OBSERVED))
        return cls(observed, _sum_of(percent, observed), checksum_of(percent))

    def pack(self) -> bytes:
        """`SIZE` bytes."""
        return _FORMAT.pack(self.observed, self.percent, self.checksum)

    @classmethod
    def unpack(cls, content: bytes) -> Self:
        """What `pack` gave."""
        return cls(*_FORMAT.unpack(content))


@dataclass(frozen=True)
class RasterTally:
    """Tally of a whole raster of integer percent."""

    observed: int  # pixels with a probability
    percent: int  # sum over them


def _sum_of(percent: NDArray[np.uint8], observed: int) -> int:
    """Sum of the percent values, of which all but `observed` are 255."""
    total = int(percent.sum(axis=1, dtype=np.uint32).sum(dtype=np.int64))
    return total - NOT_OBSERVED * (percent.size - observed)


def checksum_of(percent: NDArray[np.uint8]) -> int:
    """CRC-32 of (height, width) percent values, in rows from the top."""
    return zlib.crc32(np.ascontiguousarray(percent).data)


def tally_of_scores(probability: Float32Array, percent: NDArray[np.uint8]) -> TileTally:
    """Tally of a tile's scores; observed pixels are counted before the scores become percentages.

    Parameters
    ----------
    probability
        (height, width), NaN where not valid on both dates.
    percent
        The same in percent.
    """
    observed = probability.size - int(np.count_nonzero(np.isnan(probability)))
    return TileTally(observed, _sum_of(percent, observed), checksum_of(percent))


def require_complete(
    probability: Float32Array, valid: NDArray[np.bool_], tile: TileWindow, detector: str
) -> None:
    """Raise `ResultMismatch` if a scored tile lacks a probability for a pixel that is valid on both dates."""
    missing = np.isnan(probability)
    missing &= valid
    if missing.any():
        row, col = np.argwhere(missing)[0]
        raise ResultMismatch(
            f"score, {place(tile)}: {np.count_nonzero(missing):,} pixels that both dates show have no "
            f"probability, the first at row {tile.core.row_off + row}, column {tile.core.col_off + col}; the "
            f"detector {detector} gave NaN there."
        )


def place(tile: TileWindow) -> str:
    """Position of a tile, for messages about its tally."""
    return f"tile at row {tile.row}, column {tile.col}"
