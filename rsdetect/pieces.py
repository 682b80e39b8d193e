"""What one block of a raster holds of the regions: its connected pieces, their sums and their corners.

A block knows nothing of its neighbours. What it emits is made so that blocks can be put together
without looking at pixels again: corners on a shared block edge cancel or complete each other
(`rsdetect.outlines`), and the pieces along the four edges say which pieces are one region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from rsdetect.grid import Window
from rsdetect.outlines import (
    LOWER_LEFT,
    LOWER_RIGHT,
    UPPER_LEFT,
    UPPER_RIGHT,
    Corners,
    Float64Array,
    Int64Array,
)


@dataclass(frozen=True)
class Sums:
    """Per piece or per region, what adds up. Integers, so that the order of adding does not matter."""

    pixels: Int64Array  # (n,)
    value_sum: Int64Array  # (n,)
    value_max: Int64Array  # (n,)
    bands: tuple[str, ...]  # names of the bands of difference
    band_sum: Float64Array  # (bands, n) sum of the known differences
    band_pixels: Int64Array  # (bands, n) number of pixels where the difference is known

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Sums:
        return Sums(
            pixels=self.pixels[chosen],
            value_sum=self.value_sum[chosen],
            value_max=self.value_max[chosen],
            bands=self.bands,
            band_sum=self.band_sum[:, chosen],
            band_pixels=self.band_pixels[:, chosen],
        )

    def grouped(self, group: Int64Array, count: int) -> Sums:
        """Add up the entries that have the same number in `group` (n,), giving `count` entries."""
        largest = np.zeros(count, np.int64)
        np.maximum.at(largest, group, self.value_max)
        return Sums(
            pixels=_add_up(group, self.pixels, count),
            value_sum=_add_up(group, self.value_sum, count),
            value_max=largest,
            bands=self.bands,
            band_sum=_add_up_rows(group, self.band_sum, count),
            band_pixels=_add_up_rows(group, self.band_pixels, count).astype(np.int64),
        )

    @staticmethod
    def none() -> Sums:
        """Of no region."""
        empty = np.empty(0, np.int64)
        return Sums(empty, empty, empty, (), np.empty((0, 0)), np.empty((0, 0), np.int64))

    @staticmethod
    def joined(parts: Sequence[Sums]) -> Sums:
        """One after the other; at least one, and all with the same bands."""
        return Sums(
            pixels=np.concatenate([part.pixels for part in parts]),
            value_sum=np.concatenate([part.value_sum for part in parts]),
            value_max=np.concatenate([part.value_max for part in parts]),
            bands=parts[0].bands,
            band_sum=np.concatenate([part.band_sum for part in parts], axis=1),
            band_pixels=np.concatenate([part.band_pixels for part in parts], axis=1),
        )


@dataclass(frozen=True)
class BlockPieces:
    """The pieces of one block, numbered from 0. Along an edge, -1 stands for a pixel outside."""

    count: int
    corners: Corners
    sums: Sums
    top: Int64Array  # (width,) the piece of every pixel in the first row
    bottom: Int64Array  # (width,)
    left: Int64Array  # (height,)
    right: Int64Array  # (height,)

    def without_small(self, pixels: int) -> BlockPieces:
        """Leave out pieces of fewer pixels, unless they touch an edge and another block may add to them."""
        edges = (self.top, self.bottom, self.left, self.right)
        keep = self.sums.pixels >= pixels
        for edge in edges:
            keep[edge[edge >= 0]] = True
        number = np.cumsum(keep) - 1
        corners = self.corners[keep[self.corners.owner]]
        return BlockPieces(
            int(np.count_nonzero(keep)),
            corners.renumbered(number[corners.owner]),
            self.sums[keep],
            *(np.where(edge >= 0, number[edge], -1) for edge in edges),
        )


@dataclass(frozen=True)
class _Runs:
    """Stretches of inside pixels within a row, as positions in rows of `stride` grid points."""

    start: Int64Array  # (n,) row * stride + column of the point left of the first pixel
    end: Int64Array  # (n,) likewise right of the last one
    stride: int  # width of the block + 1


def find_pieces(
    values: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    window: Window,
    differences: tuple[tuple[str, ...], NDArray[np.float32]],
) -> BlockPieces | None:
    """Label the 4-connected pieces of one block; None where no pixel is inside.

    Parameters
    ----------
    values
        (height, width), what is averaged over a piece.
    inside
        (height, width), True = belongs to a piece.
    window
        Where the block lies in the raster.
    differences
        Names of the bands, and (bands, height, width) averaged likewise; NaN = unknown, left out.
    """
    runs = _find_runs(inside)
    if runs.start.size == 0:
        return None
    count, piece = _label_runs(runs)
    return BlockPieces(
        count=count,
        corners=_find_corners(runs, piece, window),
        sums=_sum_runs(runs, values, inside, differences).grouped(piece, count),
        top=_along_row(runs, piece, inside, 0),
        bottom=_along_row(runs, piece, inside, inside.shape[0] - 1),
        left=_along_column(runs.start, 0, piece, inside.shape),
        right=_along_column(runs.end, inside.shape[1], piece, inside.shape),
    )


def _find_runs(inside: NDArray[np.bool_]) -> _Runs:
    height, width = inside.shape
    # A column of outside pixels ends every run within its own row, and one pixel in front starts the first.
    padded = np.zeros(height * (width + 1) + 1, dtype=np.bool_)
    padded[1:].reshape(height, width + 1)[:, :width] = inside
    turns = np.flatnonzero(padded[1:] != padded[:-1])
    return _Runs(turns[0::2], turns[1::2], width + 1)


def _label_runs(runs: _Runs) -> tuple[int, Int64Array]:
    """Number of pieces, and the piece of every run: runs that overlap in adjacent rows are one."""
    first = np.searchsorted(runs.end + runs.stride, runs.start, side="right")
    last = np.searchsorted(runs.start + runs.stride, runs.end, side="left")
    touching = last - first
    offsets = np.concatenate(([0], np.cumsum(touching)))
    above = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], touching)
    count = runs.start.size
    graph = csr_array((np.ones(above.size, np.int8), above, offsets), shape=(count, count))
    pieces, piece = connected_components(graph, directed=False)
    return int(pieces), piece.astype(np.int64)


def _find_corners(runs: _Runs, piece: Int64Array, window: Window) -> Corners:
    """Both ends of every upright stretch of outline: left ones along run starts, right ones along ends."""
    points, pixels, pieces = [], [], []
    for side, below, above in ((runs.start, LOWER_RIGHT, UPPER_RIGHT), (runs.end, LOWER_LEFT, UPPER_LEFT)):
        one_up = np.searchsorted(side, side - runs.stride)
        goes_on = side[one_up] == side - runs.stride
        upper_end, lower_end = ~goes_on, np.ones(side.size, np.bool_)
        lower_end[one_up[goes_on]] = False
        points += [side[upper_end], side[lower_end] + runs.stride]
        pixels += [np.full(np.count_nonzero(upper_end), below), np.full(np.count_nonzero(lower_end), above)]
        pieces += [piece[upper_end], piece[lower_end]]
    row, col = np.divmod(np.concatenate(points), runs.stride)
    return Corners(
        row=row + window.row_off,
        col=col + window.col_off,
        pixel=np.concatenate(pixels),
        owner=np.concatenate(pieces),
    )


def _sum_runs(
    runs: _Runs,
    values: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    differences: tuple[tuple[str, ...], NDArray[np.float32]],
) -> Sums:
    """The sums of every run, from its pixels, which lie one after the other in row-major order."""
    length = runs.end - runs.start
    first = np.cumsum(length) - length
    held = values[inside]
    bands, arrays = differences
    # One band at a time: a mask over the last two of three axes takes NumPy ten times as long.
    change = np.array([array[inside] for array in arrays], np.float32).reshape(len(bands), held.size)
    known = ~np.isnan(change)
    return Sums(
        pixels=length,
        value_sum=np.add.reduceat(held, first, dtype=np.int64),
        value_max=np.maximum.reduceat(held, first).astype(np.int64),
        bands=bands,
        band_sum=np.add.reduceat(np.where(known, change, 0), first, axis=1, dtype=np.float64),
        band_pixels=np.add.reduceat(known, first, axis=1, dtype=np.int64),
    )


def _along_row(runs: _Runs, piece: Int64Array, inside: NDArray[np.bool_], row: int) -> Int64Array:
    low, high = np.searchsorted(runs.start, [row * runs.stride, (row + 1) * runs.stride])
    line = np.full(inside.shape[1], -1, np.int64)
    line[inside[row]] = np.repeat(piece[low:high], (runs.end - runs.start)[low:high])
    return line


def _along_column(points: Int64Array, col: int, piece: Int64Array, shape: tuple[int, int]) -> Int64Array:
    """The piece of every row's run that has one of its `points` on the grid line `col`."""
    row, point_col = np.divmod(points, shape[1] + 1)
    line = np.full(shape[0], -1, np.int64)
    line[row[point_col == col]] = piece[point_col == col]
    return line


def _add_up(group: Int64Array, amounts: NDArray[np.int64] | Float64Array, count: int) -> Int64Array:
    # bincount adds in float64, which is exact for whole numbers below 2**53.
    return np.bincount(group, weights=amounts, minlength=count).astype(np.int64)


def _add_up_rows(group: Int64Array, rows: NDArray[np.int64] | Float64Array, count: int) -> Float64Array:
    sums = np.zeros((rows.shape[0], count), np.float64)
    for total, row in zip(sums, rows, strict=True):
        total[:] = np.bincount(group, weights=row, minlength=count)
    return sums
