"""Refined Lee filter: speckle is averaged on that side of an edge on which a pixel lies.

Lee (1981), "Refined filtering of image noise using local statistics", Computer Graphics and Image Processing
15(4):380-389. Of the eight halves of 7 x 7 pixels along the strongest gradient of 3 x 3 means, the one like
the centre gives mean and variance; a pixel keeps that share of its deviation which speckle does not explain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.detectors.row_filters import Held, quotients

_REACH = 3
_SIZE = 2 * _REACH + 1
_STEP = 2  # pixels between the 3 x 3 means
_LEAST = np.float32(1e-30)


class RefinedLee:
    """Refined Lee filter of radar power, fed with the rows of a strip.

    Parameters
    ----------
    speckle
        (channels,) squared coefficient of variation of each channel's speckle; 1 / looks for power.
    """

    late = reach = _REACH

    def __init__(self, speckle: Float32Array) -> None:
        self._speckle = speckle[:, None, None]
        self._held = Held(2 * _REACH)

    def push(self, rows: Float32Array) -> Float32Array:
        """Filter rows; returns (channels + 1, height, width), `late` higher up.

        Parameters
        ----------
        rows
            (channels + 1, height, width), power where valid and 0 elsewhere; then 1 where valid, else 0.
        """
        pixels, mean, variance = self._statistics(rows)
        noise = self._speckle * mean * mean
        signal = np.maximum(variance - noise, np.float32(0)) / (1 + self._speckle)
        kept = signal / np.maximum(variance, _LEAST)
        filtered = (mean + kept * (pixels[:-1] - mean)) * pixels[-1]
        return np.concatenate([filtered, pixels[-1:]])

    def variation(self, rows: Float32Array) -> Float32Array:
        """Squared coefficients of variation, (channels, height, width), for the level of speckle."""
        _, mean, variance = self._statistics(rows)
        return np.asarray(variance / np.maximum(mean * mean, _LEAST))

    def _statistics(self, rows: Float32Array) -> tuple[Float32Array, Float32Array, Float32Array]:
        """Refined Lee statistics: rows, and mean and variance of the halves, `late` rows higher up."""
        joined = np.pad(self._held.push(rows), ((0, 0), (0, 0), (_REACH, _REACH)))
        height, width = rows.shape[1:]
        pixels = joined[:, _REACH : _REACH + height, _REACH : _REACH + width]
        sides = _sides(quotients(_sums_of_3(joined)), height, width)
        counts = list(_halves(joined[-1], height, width))
        moments = np.empty((2, *sides.shape), np.float32)
        for number, (power, side) in enumerate(zip(joined[:-1], sides, strict=True)):
            count = np.maximum(_chosen_half(counts, side), np.float32(1))
            for moment, values in zip(moments[:, number], (power, power * power), strict=True):
                np.divide(_chosen_half(_halves(values, height, width), side), count, out=moment)
        mean, square = moments
        return pixels, mean, np.maximum(square - mean * mean, np.float32(0))


def _sums_of_3(values: Float32Array) -> Float32Array:
    """Sums of 3 x 3 pixels, (channels, height - 2, width - 2)."""
    rows = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
    return np.asarray(rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:])


def _sides(means: Float32Array, height: int, width: int) -> NDArray[np.int8]:
    """Side of the strongest edge that each pixel is on, (channels, height, width): an index of `_halves`."""
    rows = [slice(i, i + height) for i in range(0, 3 * _STEP, _STEP)]
    cols = [slice(i, i + width) for i in range(0, 3 * _STEP, _STEP)]
    m = [[means[:, row, col] for col in cols] for row in rows]
    opposite = (
        ((m[0][0], m[1][0], m[2][0]), (m[0][2], m[1][2], m[2][2])),  # left and right
        ((m[0][0], m[0][1], m[0][2]), (m[2][0], m[2][1], m[2][2])),  # above and below
        ((m[0][1], m[0][0], m[1][0]), (m[2][1], m[2][2], m[1][2])),  # upper left and lower right
        ((m[0][1], m[0][2], m[1][2]), (m[2][1], m[2][0], m[1][0])),  # upper right and lower left
    )
    chosen = np.zeros(m[1][1].shape, np.int8)
    steepest = np.full(chosen.shape, -1, np.float32)
    for number, (one, other) in enumerate(opposite):
        gradient = np.abs(sum(one) - sum(other))
        other_side = np.abs(other[1] - m[1][1]) < np.abs(one[1] - m[1][1])
        np.copyto(chosen, 2 * number + other_side, where=gradient > steepest)
        np.maximum(steepest, gradient, out=steepest)
    return chosen


def _chosen_half(halves: Iterable[Float32Array], side: NDArray[np.int8]) -> Float32Array:
    """Sum over that half of 7 x 7 pixels that `side` of `_sides` names, (height, width) float32."""
    chosen = np.empty(side.shape, np.float32)
    for number, total in enumerate(halves):
        np.copyto(chosen, total, where=side == number)
    return chosen


def _halves(values: Float32Array, height: int, width: int) -> Iterator[Float32Array]:
    """Sums over the halves of 7 x 7 pixels, centre line included, (height, width) each, as `_sides` counts.

    Parameters
    ----------
    values
        (height + 6, width + 6).
    """
    half, last = _REACH + 1, _SIZE - 1
    runs = [values]  # sums of 1, 2, ... 7 pixels of a row
    for length in range(2, _SIZE + 1):
        runs.append(runs[-1][:, :-1] + values[:, length - 1 :])
    left = [run[:, :width] for run in runs]
    right = [run[:, last - i : last - i + width] for i, run in enumerate(runs)]

    def total(parts: Sequence[Float32Array], rows: int = height) -> Float32Array:
        """Sum of the parts, each a row lower than the one before."""
        out = parts[0][:rows] + parts[1][1 : 1 + rows]
        for row, part in enumerate(parts[2:], 2):
            out += part[row : row + rows]
        return out

    columns = total([runs[half - 1]] * _SIZE)
    yield columns[:, :width]
    yield columns[:, _REACH : _REACH + width]
    rows = total([left[last]] * half, height + _REACH)
    yield rows[:height]
    yield rows[_REACH:]
    yield total(left[::-1])
    yield total(right)
    yield total(right[::-1])
    yield total(left)
