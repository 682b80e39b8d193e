"""Pieces of regions in one block of a raster: their connected pixels, sums and corners.

A block is processed without its neighbours. Its output allows joining blocks without reading pixels again:
corners on a shared block edge cancel or complete each other (`rsdetect.regions.outlines`), and the pieces
along the four edges show which pieces form one region.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float64Array, Int64Array, UInt8Array
from rsdetect.grid import Window
from rsdetect.regions.code_counts import CodeCounts
from rsdetect.regions.connected import connected_components
from rsdetect.regions.outlines import LOWER_LEFT, LOWER_RIGHT, UPPER_LEFT, UPPER_RIGHT, Corners


class Layers(NamedTuple):
    """Layers of a window that pieces summarise."""

    names: tuple[str, ...]  # of the bands
    values: NDArray[np.float32]  # (bands, height, width), averaged over each piece; NaN = unknown, ignored
    codes: UInt8Array | None = None  # (height, width), counted over each piece; None = not known


Difference = Callable[[Window], Layers]

_STRIP_PIXELS = 2**17
_CELL = 512  # edge in pixels of the windows that differences are read in


@dataclass(frozen=True)
class ValueRange:
    """Range of pixel values from `first` to `last`, both included, that form pieces."""

    first: int
    last: int

    def contains(self, values: NDArray[np.uint8]) -> BoolArray:
        """Mask of the values that form pieces."""
        # One comparison instead of two: values below the first wrap around to the top.
        return values - np.uint8(self.first) <= np.uint8(self.last - self.first)


@dataclass(frozen=True)
class PieceSums:
    """Sums per piece or per region. Integers, so that the order of addition does not matter."""

    pixels: Int64Array  # (n,)
    value_sum: Int64Array  # (n,)
    value_max: Int64Array  # (n,)
    bands: tuple[str, ...]  # names of the bands of the differences
    band_sum: Float64Array  # (bands, n) sum of the known differences
    band_pixels: Int64Array  # (bands, n) number of pixels with a known difference
    codes: CodeCounts = field(default_factory=CodeCounts.nothing)

    def __getitem__(self, chosen: BoolArray | Int64Array) -> PieceSums:
        return PieceSums(
            pixels=self.pixels[chosen],
            value_sum=self.value_sum[chosen],
            value_max=self.value_max[chosen],
            bands=self.bands,
            band_sum=self.band_sum[:, chosen],
            band_pixels=self.band_pixels[:, chosen],
            codes=self.codes.chosen(chosen, self.pixels.size),
        )

    def grouped(self, group: Int64Array, count: int) -> PieceSums:
        """Add up the sums of pieces with the same number in `group` (n,) to `count` entries."""
        largest = np.zeros(count, np.int64)
        np.maximum.at(largest, group, self.value_max)
        return PieceSums(
            pixels=_grouped_sums(group, self.pixels, count),
            value_sum=_grouped_sums(group, self.value_sum, count),
            value_max=largest,
            bands=self.bands,
            band_sum=_grouped_row_sums(group, self.band_sum, count),
            band_pixels=_grouped_row_sums(group, self.band_pixels, count).astype(np.int64),
            codes=self.codes.grouped(group),
        )

    @staticmethod
    def nothing() -> PieceSums:
        """Sums of no piece."""
        none = np.empty(0, np.int64)
        return PieceSums(none, none, none, (), np.empty((0, 0)), np.empty((0, 0), np.int64))

    @staticmethod
    def joined(parts: Sequence[PieceSums]) -> PieceSums:
        """Concatenate sums of pieces, at least one part, all with the same bands."""
        return PieceSums(
            pixels=np.concatenate([part.pixels for part in parts]),
            value_sum=np.concatenate([part.value_sum for part in parts]),
            value_max=np.concatenate([part.value_max for part in parts]),
            bands=parts[0].bands,
            band_sum=np.concatenate([part.band_sum for part in parts], axis=1),
            band_pixels=np.concatenate([part.band_pixels for part in parts], axis=1),
            codes=CodeCounts.joined([part.codes for part in parts], [part.pixels.size for part in parts]),
        )


@dataclass(frozen=True)
class LeftOut:
    """Pieces that are left out, because they are too small."""

    regions: int = 0
    pixels: int = 0

    @staticmethod
    def of(pixels: Int64Array | Float64Array) -> LeftOut:
        """Left out pieces, from the pixels of each (n,)."""
        return LeftOut(pixels.size, int(pixels.sum()))

    def __add__(self, other: LeftOut) -> LeftOut:
        return LeftOut(self.regions + other.regions, self.pixels + other.pixels)


NOTHING_LEFT_OUT = LeftOut()


@dataclass(frozen=True)
class BlockPieces:
    """Pieces of one block, numbered from 0. Along an edge, -1 is a pixel outside all pieces."""

    corners: Corners
    sums: PieceSums
    top: Int64Array  # (width,) piece of every pixel in the first row
    bottom: Int64Array  # (width,)
    left: Int64Array  # (height,)
    right: Int64Array  # (height,)

    @property
    def count(self) -> int:
        """Number of pieces."""
        return self.sums.pixels.size

    def split(self) -> tuple[tuple[Corners, PieceSums] | None, BlockPieces | None]:
        """Split into pieces that touch no edge, which are complete regions, and pieces that do."""
        at_edge = np.zeros(self.count, np.bool_)
        for edge in (self.top, self.bottom, self.left, self.right):
            at_edge[edge[edge >= 0]] = True
        if at_edge.all():
            return None, self
        owned_at_edge = at_edge[self.corners.owner]
        closed = self.corners[~owned_at_edge], self.sums
        if not at_edge.any():
            return closed, None
        number = np.cumsum(at_edge) - 1
        corners = self.corners[owned_at_edge]
        return closed, BlockPieces(
            corners.renumbered(number[corners.owner]),
            self.sums[at_edge],
            *(
                np.where(edge >= 0, number[edge], -1)
                for edge in (self.top, self.bottom, self.left, self.right)
            ),
        )


@dataclass(frozen=True)
class _Runs:
    """Runs of inside pixels within a row of a block, as positions in rows of `stride` grid points."""

    start: Int64Array  # (n,) row * stride + column of the point left of the first pixel
    end: Int64Array  # (n,) likewise right of the last one
    stride: int  # width of the block + 1

    def __getitem__(self, chosen: BoolArray) -> _Runs:
        return replace(self, start=self.start[chosen], end=self.end[chosen])


def find_pieces(
    values: NDArray[np.uint8],
    inside: ValueRange,
    window: Window,
    difference: Difference | None = None,
    fewest: int = 1,
) -> tuple[BlockPieces | None, int, LeftOut]:
    """Find the 4-connected pieces of one block; None if there are none.

    Followed by the number of pixels that form pieces, and the pieces that are left out.

    Parameters
    ----------
    values
        (height, width), averaged over each piece.
    inside
        Values that form pieces.
    window
        Window of the block in the raster.
    difference
        Differences to average as well; read for the bounding rectangle of the pieces only.
    fewest
        Minimum pixels of a piece, unless it touches an edge, where another block may extend it.
    """
    least, largest = values.min(), values.max()
    if least > inside.last or largest < inside.first:
        return None, 0, NOTHING_LEFT_OUT
    if difference is None and inside.first <= least and largest <= inside.last:
        return _full_block(values, window), values.size, NOTHING_LEFT_OUT
    runs = _find_runs(values, inside)
    if runs.start.size == 0:
        return None, 0, NOTHING_LEFT_OUT
    counted = int(np.count_nonzero(inside.contains(values)))
    count, piece = _label_runs(runs)
    edges = _edge_pieces(runs, piece, window.shape)
    pixels = np.bincount(piece, weights=runs.end - runs.start, minlength=count)
    keep, left_out = pixels >= fewest, NOTHING_LEFT_OUT
    if not keep.all():
        for edge in edges:
            keep[edge[edge >= 0]] = True
        left_out = LeftOut.of(pixels[~keep])
        if not keep.any():
            return None, counted, left_out
        number, kept = np.cumsum(keep) - 1, keep[piece]
        runs, piece, count = runs[kept], number[piece[kept]], int(number[-1]) + 1
        edges = [np.where(edge >= 0, number[edge], -1) for edge in edges]
    sums = _sum_runs(runs, values, window, difference).grouped(piece, count)
    return BlockPieces(_find_corners(runs, piece, window), sums, *edges), counted, left_out


def _full_block(values: NDArray[np.uint8], window: Window) -> BlockPieces:
    """Pieces of a block that one piece fills, as in most of a footprint, without a search."""
    height, width = window.shape
    sums = PieceSums(
        pixels=np.array([values.size]),
        value_sum=np.array([values.sum(axis=1, dtype=np.uint32).sum(dtype=np.int64)]),
        value_max=np.array([values.max()], np.int64),
        bands=(),
        band_sum=np.empty((0, 1)),
        band_pixels=np.empty((0, 1), np.int64),
    )
    row, col = window.row_off, window.col_off
    corners = Corners(
        row=np.array([row, row, row + height, row + height], np.int32),
        col=np.array([col, col + width, col, col + width], np.int32),
        pixel=np.array([LOWER_RIGHT, LOWER_LEFT, UPPER_RIGHT, UPPER_LEFT], np.int8),
        owner=np.zeros(4, np.int64),
    )
    return BlockPieces(
        corners, sums, *(np.zeros(length, np.int64) for length in (width, width, height, height))
    )


def _find_runs(values: NDArray[np.uint8], inside: ValueRange) -> _Runs:
    """Find the runs of inside pixels that make up the pieces of a block."""
    height, width = values.shape
    stride = width + 1
    # Strip by strip, so that intermediate results stay in the processor's cache.
    rows = max(1, _STRIP_PIXELS // stride)
    # A column of outside pixels ends every run within its row; one pixel in front starts the first.
    padded = np.zeros(rows * stride + 1, dtype=np.bool_)
    turns = []
    for top in range(0, height, rows):
        strip = values[top : top + rows]
        used = padded[: strip.shape[0] * stride + 1]
        used[1:].reshape(-1, stride)[:, :width] = inside.contains(strip)
        turns.append(np.flatnonzero(used[1:] != used[:-1]) + top * stride)
    every = np.concatenate(turns)
    return _Runs(every[0::2], every[1::2], stride)


def _label_runs(runs: _Runs) -> tuple[int, Int64Array]:
    """Number of pieces, and the piece of every run: overlapping runs in adjacent rows are connected."""
    first = np.searchsorted(runs.end + runs.stride, runs.start, side="right")
    last = np.searchsorted(runs.start + runs.stride, runs.end, side="left")
    touching = last - first
    below = np.repeat(np.arange(runs.start.size), touching)
    return connected_components(runs.start.size, _run_indices(first, touching), below)


def _run_indices(first: Int64Array, length: Int64Array) -> Int64Array:
    """Indices of the pixels in runs of pieces: first[0], first[0] + 1, ... for length[0] pixels, etc."""
    before = np.cumsum(length) - length
    counted: Int64Array = np.arange(int(length.sum())) + np.repeat(first - before, length)
    return counted


def _find_corners(runs: _Runs, piece: Int64Array, window: Window) -> Corners:
    """Corners of pieces: both ends of each vertical edge; left edges at run starts, right ones at ends."""
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
        row=(row + window.row_off).astype(np.int32),
        col=(col + window.col_off).astype(np.int32),
        pixel=np.concatenate(pixels).astype(np.int8),
        owner=np.concatenate(pieces),
    )


def _sum_runs(
    runs: _Runs, values: NDArray[np.uint8], window: Window, difference: Difference | None
) -> PieceSums:
    """Sums of every run of a piece, from its pixels."""
    length = runs.end - runs.start
    first = np.cumsum(length) - length
    row, col = np.divmod(runs.start, runs.stride)
    held = values.ravel()[_run_indices(row * window.width + col, length)]
    bands, band_sum, band_pixels, codes = (
        ((), np.empty((0, length.size)), np.empty((0, length.size), np.int64), CodeCounts.nothing())
        if difference is None
        else _sum_differences(row, col, length, window, difference)
    )
    return PieceSums(
        pixels=length,
        value_sum=np.add.reduceat(held, first, dtype=np.int64),
        value_max=np.maximum.reduceat(held, first).astype(np.int64),
        bands=bands,
        band_sum=band_sum,
        band_pixels=band_pixels,
        codes=codes,
    )


def _sum_differences(
    row: Int64Array, col: Int64Array, length: Int64Array, window: Window, difference: Difference
) -> tuple[tuple[str, ...], Float64Array, Int64Array, CodeCounts]:
    """Bands of the differences, (bands, n) sum and number of the known ones in each run, and its codes.

    They are read per cell, for the bounding rectangle of the runs that start there: little is read of a scene
    with little change, and little at a time of one with much.
    """
    across = window.width // _CELL + 1
    cell = row // _CELL * across + col // _CELL
    by_cell = np.argsort(cell, kind="stable")
    bounds = np.flatnonzero(np.diff(cell[by_cell], prepend=-1, append=-1))
    sums, counts, owners, codes = [], [], [], []
    bands: tuple[str, ...] = ()
    for low, high in pairwise(bounds):
        here = by_cell[low:high]
        top, left = int(row[here[0]]), int(col[here].min())
        height, width = int(row[here[-1]]) + 1 - top, int((col + length)[here].max()) - left
        bands, change, coded = difference(Window(window.row_off + top, window.col_off + left, height, width))
        pixels = _run_indices((row[here] - top) * width + col[here] - left, length[here])
        held = change.reshape(len(bands), height * width)[:, pixels]
        known = ~np.isnan(held)
        first = np.cumsum(length[here]) - length[here]
        sums.append(np.add.reduceat(np.where(known, held, 0), first, axis=1, dtype=np.float64))
        counts.append(np.add.reduceat(known, first, axis=1, dtype=np.int64))
        if coded is not None:
            owners.append(np.repeat(here, length[here]))
            codes.append(coded.reshape(-1)[pixels])
    back = np.argsort(by_cell)
    counted = CodeCounts.of(np.concatenate(owners), np.concatenate(codes)) if codes else CodeCounts.nothing()
    return bands, np.concatenate(sums, axis=1)[:, back], np.concatenate(counts, axis=1)[:, back], counted


def _edge_pieces(runs: _Runs, piece: Int64Array, shape: tuple[int, int]) -> list[Int64Array]:
    """Piece of every pixel along the upper, lower, left and right edge of a block; -1 outside pieces."""
    height, width = shape
    top, bottom, left, right = (np.full(length, -1, np.int64) for length in (width, width, height, height))
    for line, row in ((top, 0), (bottom, height - 1)):
        low, high = np.searchsorted(runs.start, [row * runs.stride, (row + 1) * runs.stride])
        length = runs.end[low:high] - runs.start[low:high]
        line[_run_indices(runs.start[low:high] - row * runs.stride, length)] = np.repeat(
            piece[low:high], length
        )
    for line, points, col in ((left, runs.start, 0), (right, runs.end, width)):
        row_of, point_col = np.divmod(points, runs.stride)
        line[row_of[point_col == col]] = piece[point_col == col]
    return [top, bottom, left, right]


def _grouped_sums(group: Int64Array, amounts: NDArray[np.int64] | Float64Array, count: int) -> Int64Array:
    # bincount adds in float64, which is exact for integers below 2**53.
    """Sum of piece amounts per group."""
    return np.bincount(group, weights=amounts, minlength=count).astype(np.int64)


def _grouped_row_sums(group: Int64Array, rows: NDArray[np.int64] | Float64Array, count: int) -> Float64Array:
    """Sum of piece amounts per group, for each row."""
    sums = np.zeros((rows.shape[0], count), np.float64)
    for total, row in zip(sums, rows, strict=True):
        total[:] = np.bincount(group, weights=row, minlength=count)
    return sums
