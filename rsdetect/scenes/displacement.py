"""Displacement of a scene: its pixels resampled at displaced positions, while they are read.

The displacement is given at nodes and linear between them, in absolute pixel coordinates, and each pixel is
computed from its own position by elementwise arithmetic, so that the result depends on no window. Values are
interpolated by cubic convolution, after Keys (1981), "Cubic convolution interpolation for digital image
processing", IEEE Trans. ASSP 29(6):1153-1160; next to invalid pixels, linearly between valid ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array, Float64Array, Int64Array
from rsdetect.grid import Window

_ROWS = 64  # resampled at a time, so that temporaries stay small
_REACH = 2  # pixels on each side of a position that cubic convolution uses


@dataclass(frozen=True)
class Displacement:
    """Displacement of AFTER's content in pixels, as a function of (row, column) of the pair's grid.

    >>> Displacement.constant(0.5, -3.0).at(Window(7, 9, 1, 2))[1].tolist()
    [[-3.0, -3.0]]
    """

    spacing: tuple[float, float]  # rows and columns between nodes; the first one is at (0, 0)
    rows: tuple[tuple[float, ...], ...]  # at each node; positive = the content is further down
    cols: tuple[tuple[float, ...], ...]  # positive = the content is further right

    @classmethod
    def constant(cls, rows: float, cols: float) -> Displacement:
        """Displacement by the same distance everywhere."""
        return cls((1.0, 1.0), ((float(rows),),), ((float(cols),),))

    def at(self, window: Window) -> tuple[Float64Array, Float64Array]:
        """Displacement (rows, columns) of each pixel of `window`, (height, width) each."""
        row = np.arange(window.row_off, window.row_end, dtype=np.float64) / self.spacing[0]
        col = np.arange(window.col_off, window.col_end, dtype=np.float64) / self.spacing[1]
        return _between(self.rows, row, col), _between(self.cols, row, col)

    def source_window(self, window: Window) -> Window:
        """Window that holds all pixels that those of `window` are interpolated from."""
        (up, down), (left, right) = ((np.min(each), np.max(each)) for each in (self.rows, self.cols))
        row, col = math.floor(up) - _REACH, math.floor(left) - _REACH
        height = math.ceil(down) + _REACH + 1 - row
        width = math.ceil(right) + _REACH + 1 - col
        return Window(
            window.row_off + row, window.col_off + col, window.height + height, window.width + width
        )

    def resample(
        self, values: Float32Array, valid: BoolArray, source: Window, window: Window
    ) -> tuple[Float32Array, BoolArray]:
        """Values and validity over `window`, from those over `source`, its `source_window`.

        A pixel is valid if the pixel nearest to its position is. Elsewhere values are 0.
        """
        out = np.empty((len(values), *window.shape), np.float32)
        usable = np.empty(window.shape, bool)
        whole = bool(valid.all())
        for part in window.blocks(_ROWS, window.width):
            positions = _Positions.of(*self.at(part), part, source)
            here = part.slices_in(window)
            usable[here] = positions.nearest(valid)
            for band, target in zip(values, out, strict=True):
                target[here] = positions.cubic(band)
            if not whole:
                rows, cols = np.nonzero(usable[here] & ~positions.surrounded(valid))
                corners = positions.only(rows, cols)
                for band, target in zip(values, out, strict=True):
                    target[here][rows, cols] = corners.linear(band, valid)
        np.copyto(out, np.float32(0), where=~usable)
        return out, usable


@dataclass(frozen=True)
class _Positions:
    """Positions in an array: index of the pixel above and left of each, and how far beyond it."""

    index: Int64Array
    stride: int
    down: Float32Array
    right: Float32Array

    @classmethod
    def of(cls, rows: Float64Array, cols: Float64Array, part: Window, source: Window) -> _Positions:
        # Whole and fractional parts of the displacement alone, so that no large number costs precision.
        whole_rows, whole_cols = np.floor(rows), np.floor(cols)
        row = np.arange(part.row_off, part.row_end)[:, None] - source.row_off + whole_rows.astype(np.int64)
        col = np.arange(part.col_off, part.col_end) - source.col_off + whole_cols.astype(np.int64)
        down, right = (rows - whole_rows).astype(np.float32), (cols - whole_cols).astype(np.float32)
        return cls(row * source.width + col, source.width, down, right)

    def only(self, rows: Int64Array, cols: Int64Array) -> _Positions:
        place = rows, cols
        return _Positions(self.index[place], self.stride, self.down[place], self.right[place])

    def nearest(self, valid: BoolArray) -> BoolArray:
        index = self.index + (self.down >= 0.5) * self.stride + (self.right >= 0.5)
        return np.asarray(valid.reshape(-1)[index])

    def cubic(self, band: Float32Array) -> Float32Array:
        flat, total = band.reshape(-1), np.zeros(self.index.shape, np.float32)
        across = _keys(self.right)
        for i, weight in enumerate(_keys(self.down)):
            line = np.zeros(self.index.shape, np.float32)
            for j, other in enumerate(across):
                line += other * flat[self.index + ((i - 1) * self.stride + j - 1)]
            total += weight * line
        return total

    def surrounded(self, valid: BoolArray) -> BoolArray:
        """True where all pixels that cubic convolution uses are valid."""
        flat, every = valid.reshape(-1), np.ones(self.index.shape, bool)
        for i, j in product(range(-1, 3), repeat=2):
            every &= flat[self.index + (i * self.stride + j)]
        return every

    def linear(self, band: Float32Array, valid: BoolArray) -> Float32Array:
        """Linear between the valid ones of the four pixels around each position."""
        flat, known = band.reshape(-1), valid.reshape(-1)
        total, weights = np.zeros(self.index.shape, np.float32), np.zeros(self.index.shape, np.float32)
        for i, j in product((0, 1), repeat=2):
            index = self.index + (i * self.stride + j)
            weight = (
                (self.down if i else 1 - self.down) * (self.right if j else 1 - self.right) * known[index]
            )
            total += weight * flat[index]
            weights += weight
        return np.asarray(total / np.maximum(weights, np.float32(1e-6)))


def _keys(beyond: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
    """Weights of the pixels -1, 0, 1 and 2 for positions `beyond` pixel 0, by cubic convolution."""
    t, half = beyond, np.float32(0.5)
    return (
        ((-half * t + 1) * t - half) * t,
        (1.5 * t - np.float32(2.5)) * t * t + 1,
        ((np.float32(-1.5) * t + 2) * t + half) * t,
        half * (t - 1) * t * t,
    )


def _between(nodes: tuple[tuple[float, ...], ...], row: Float64Array, col: Float64Array) -> Float64Array:
    """Nodes interpolated at positions in units of their spacing, (rows, columns); constant beyond."""
    values = np.asarray(nodes, np.float64)
    for axis, position in enumerate((row, col)):
        values = np.moveaxis(values, axis, 0)
        last = len(values) - 1
        position = np.clip(position, 0, last)
        low = np.minimum(position.astype(np.int64), max(0, last - 1))
        share = (position - low)[:, None]
        values = values[low] * (1 - share) + values[np.minimum(low + 1, last)] * share
        values = np.moveaxis(values, 0, axis)
    return values
