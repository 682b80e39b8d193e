"""Row filters: Gaussian smoothing, decimation and interpolation, fed with the rows of a strip.

Rows come as (channels, height, width) float32. The last channel is the weight of each pixel, 0 where it is
not valid, and the others are values times weight, so that a smoothed value is a quotient of two channels:
normalised convolution, after Knutsson and Westin (1993), "Normalized and differential convolution". Values
of invalid pixels, or beyond the scene, have no effect. Sums are not divided by the sum of the taps,
which the quotient drops.

Gaussians are sums of neighbours, after Wells (1986), "Efficient synthesis of Gaussian filters by cascaded
uniform filters": `BINOMIAL` and `UNIFORM` in cascade, of which the variances add.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.grid import Window
from rsdetect.tiles import Tile

BINOMIAL = (1, 2, 1)  # variance 1/2 in pixels squared
UNIFORM = (1, 1, 1)  # variance 2/3
_LEAST_WEIGHT = np.float32(1e-3)  # less than any weight that is not 0, after three decimations
_CHUNK = 64_000  # pixels that go through all filters at once, so that they stay in the processor's cache


class Rows(Protocol):
    """Chain of row filters that processes a strip from the top down."""

    @property
    def late(self) -> int:
        """Delay of a row filter's output in rows."""
        ...

    @property
    def reach(self) -> int:
        """Radius of a row filter's receptive field in pixels; at least `late`."""
        ...

    @property
    def stride(self) -> int:
        """Stride of a row filter: starts, heights and widths of windows are multiples of it."""
        ...

    def push(self, rows: Tile) -> Float32Array:
        """Push the next rows through a filter; returns the rows `late` higher up, (height, width)."""
        ...


class Held:
    """Row buffer of a filter: the last rows before the next ones; rows above the first are 0."""

    def __init__(self, height: int) -> None:
        self._height = height
        self._rows: Float32Array | None = None

    def push(self, rows: Float32Array) -> Float32Array:
        """Push rows into the buffer; returns (channels, held + height, width)."""
        if self._rows is None:
            self._rows = np.zeros((rows.shape[0], self._height, rows.shape[2]), np.float32)
        joined = np.concatenate([self._rows, rows], axis=1)
        self._rows = joined[:, joined.shape[1] - self._height :].copy()
        return joined


class Delay:
    """Row filter that delays rows."""

    def __init__(self, late: int) -> None:
        self.late = late
        self._held = Held(late)

    def push(self, rows: Float32Array) -> Float32Array:
        """Push rows; returns as many rows, those `late` higher up."""
        return self._held.push(rows)[:, : rows.shape[1]]


class Smooth:
    """Smoothing row filter: a cascade of stencils along rows and columns; `late` is also its radius.

    >>> rows = np.zeros((1, 3, 5), np.float32)
    >>> rows[0, 1, 2] = 1
    >>> Smooth(BINOMIAL).push(rows)[0].tolist()[2]
    [0.0, 2.0, 4.0, 2.0, 0.0]
    """

    def __init__(self, *stencils: tuple[int, int, int]) -> None:
        self.late = len(stencils)
        self._stencils = stencils
        self._held = Held(2 * self.late)

    def push(self, rows: Float32Array) -> Float32Array:
        """Push rows; returns as many smoothed rows, `late` higher up; 0 in the outermost `late` columns."""
        _, height, width = rows.shape
        across = np.zeros(rows.shape, np.float32)
        if rows.size > 2 * self.late:
            # Across the ends of rows, which is faster than row by row and only affects the outermost columns.
            self._cascade(rows.reshape(-1), 1, across.reshape(-1)[self.late : rows.size - self.late])
            across[..., : self.late] = 0
            across[..., -self.late :] = 0
        joined = self._held.push(across)
        down = np.empty(joined.shape, np.float32)
        flat = joined.reshape(-1)
        self._cascade(flat, width, down.reshape(-1)[: flat.size - 2 * self.late * width])
        return down[:, :height]

    def _cascade(self, values: Float32Array, step: int, out: Float32Array) -> None:
        for number, stencil in enumerate(self._stencils):
            last = number == self.late - 1
            pairs = values[:-step] + values[step:]
            end = values.size - 2 * step
            other = pairs[step:] if stencil == BINOMIAL else values[2 * step :]
            values = np.add(pairs[:end], other, out=out if last else None)


class Double:
    """Row filter for linear interpolation to a grid of half the spacing."""

    late = 1  # rows of the coarse grid

    def __init__(self) -> None:
        self._held = Held(2)

    def push(self, rows: Float32Array) -> Float32Array:
        """Push coarse rows; returns (channels, 2 height, 2 width) of the rows one higher up."""
        joined = self._held.push(rows)
        tall = _between(np.moveaxis(joined, 1, 0))
        tall = np.moveaxis(tall, 0, 1)
        edged = np.pad(tall, ((0, 0), (0, 0), (1, 1)), mode="edge")
        return np.ascontiguousarray(np.moveaxis(_between(np.moveaxis(edged, 2, 0)), 0, 2))


def _between(values: Float32Array) -> Float32Array:
    """Row filter's interpolation at a quarter to both sides of each value except the first and the last."""
    quarter = np.float32(0.25)
    centre = values[1:-1] * np.float32(0.75)
    out = np.empty((2 * centre.shape[0], *values.shape[1:]), np.float32)
    np.add(centre, values[:-2] * quarter, out=out[0::2])
    np.add(centre, values[2:] * quarter, out=out[1::2])
    return out


def halve(rows: Float32Array) -> Float32Array:
    """Decimation of rows: means of 2 x 2 pixels, (channels, height / 2, width / 2)."""
    pairs = rows[:, 0::2] + rows[:, 1::2]
    means = pairs[..., 0::2] + pairs[..., 1::2]
    means *= np.float32(0.25)
    return np.asarray(means)


def quotients(rows: Float32Array) -> Float32Array:
    """Values of filtered rows with weights, (channels - 1, height, width); 0 where the weight is 0."""
    return np.asarray(rows[:-1] / np.maximum(rows[-1], _LEAST_WEIGHT))


def pushed(chain: Rows, rows: Tile) -> Float32Array:
    """Push rows in pieces that stay in the cache; (height, width) float32, of the rows `late` higher up."""
    out = np.empty(rows.valid.shape, np.float32)
    for piece in _pieces(rows, chain.stride):
        start = piece.read.row_off - rows.read.row_off
        out[start : start + piece.read.height] = chain.push(piece)
    return out


def filtered(chain: Rows, tile: Tile) -> Float32Array:
    """Filter a whole tile with a new chain, (height, width) float32; pixels beyond it are invalid."""
    grown = surrounded(tile, chain.reach, chain.stride)
    rows, cols = tile.read.slices_in(grown.read)
    out = pushed(chain, grown)
    return out[rows.start + chain.late : rows.stop + chain.late, cols]


def surrounded(tile: Tile, reach: int, stride: int) -> Tile:
    """Tile padded for row filters with at least `reach` invalid pixels, to multiples of the stride."""
    read = tile.read
    top, left = (-(-reach // stride) * stride + start % stride for start in (read.row_off, read.col_off))
    height, width = (
        -(-(before + edge + reach) // stride) * stride
        for before, edge in ((top, read.height), (left, read.width))
    )
    edges = ((top, height - top - read.height), (left, width - left - read.width))
    window = Window(read.row_off - top, read.col_off - left, height, width)
    before, after = (np.pad(date, ((0, 0), *edges)) for date in (tile.before, tile.after))
    before_valid, after_valid = (np.pad(date, edges) for date in (tile.before_valid, tile.after_valid))
    return Tile(tile.core, window, before, after, before_valid, after_valid)


def _pieces(rows: Tile, stride: int) -> Iterator[Tile]:
    height, width = rows.valid.shape
    step = max(1, _CHUNK // (width * stride)) * stride
    for start in range(0, height, step):
        part = slice(start, start + step)
        dates = rows.before[:, part], rows.after[:, part]
        window = Window(rows.read.row_off + start, rows.read.col_off, dates[0].shape[1], width)
        yield Tile(rows.core, window, *dates, rows.before_valid[part], rows.after_valid[part])
