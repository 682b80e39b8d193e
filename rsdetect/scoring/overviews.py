"""Overviews of a raster of integer percent, checked against its pixels."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Int64Array
from rsdetect.grid import Window
from rsdetect.percent import NOT_OBSERVED

CELL = 512  # edge of what is compared, in pixels of an overview
# By how much the mean over a cell may differ, in percent: half for rounding, the rest where an odd edge of
# the raster shifts the pixels of an overview by up to one of those under it.
_MEAN = 2.0


class CellSums:
    """Observed pixels and sums of percent in square cells of a raster, to check its overviews."""

    def __init__(self, shape: tuple[int, int], cell: int) -> None:
        """Create sums for a raster of (rows, columns), in cells of `cell` pixels."""
        self.shape = shape
        self.cell = cell
        cells = -(-shape[0] // cell), -(-shape[1] // cell)
        self.observed: Int64Array = np.zeros(cells, np.int64)
        self.percent: Int64Array = np.zeros(cells, np.int64)

    def add(self, window: Window, values: NDArray[np.uint8]) -> None:
        """Add the pixels of a window to the sums for the overviews, each once."""
        for part in window_cells(window, self.cell):
            inside = values[part.slices_in(window)]
            place = part.row_off // self.cell, part.col_off // self.cell
            observed = int(np.count_nonzero(inside != NOT_OBSERVED))
            total = int(inside.sum(axis=1, dtype=np.uint32).sum(dtype=np.int64))
            self.observed[place] += observed
            self.percent[place] += total - NOT_OBSERVED * (inside.size - observed)

    def first_mismatch(self, overview: CellSums) -> tuple[int, int] | None:
        """(row, column) of the first cell that contradicts an overview of half the size."""
        rows, cols = (slice(0, edge) for edge in np.minimum(self.observed.shape, overview.observed.shape))
        full, seen = self.observed[rows, cols], overview.observed[rows, cols]
        pixels, pixels_over = self._pixels()[rows, cols], overview._pixels()[rows, cols]
        edge = 2 * self.cell  # pixels along two sides
        wrong = (seen > full + edge) | (4 * seen < full - 4 * edge) | ((full > 4 * edge) & (seen == 0))
        whole = full == pixels
        wrong |= whole & (seen != pixels_over)
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = np.abs(self.percent[rows, cols] / full - overview.percent[rows, cols] / seen)
        wrong |= whole & (pixels > edge) & (apart > _MEAN)
        found = np.argwhere(wrong)
        return None if not len(found) else (int(found[0][0]), int(found[0][1]))

    def _pixels(self) -> Int64Array:
        high, wide = (
            np.minimum(edge - np.arange(0, edge, self.cell), self.cell).astype(np.int64)
            for edge in self.shape
        )
        return high[:, None] * wide[None, :]


def window_cells(window: Window, cell: int) -> list[Window]:
    """Divide a window along the multiples of `cell`, the unit of the check of overviews."""
    rows = _cuts(window.row_off, window.row_end, cell)
    cols = _cuts(window.col_off, window.col_end, cell)
    return [
        Window(top, left, bottom - top, right - left)
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(cols)
    ]


def _cuts(start: int, end: int, cell: int) -> list[int]:
    first = (start // cell + 1) * cell
    return [start, *range(first, end, cell), end]
