"""Statistics of a pair as mergeable parts: the result does not depend on how the pair is split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.tiles import Tile

T = TypeVar("T")

# The scale is the distance between the 2nd and the 98th percentile, which is robust against outliers; it is
# 4.1 standard deviations of a normal distribution.
_LOW, _HIGH, _SIGMAS = 2.0, 98.0, 4.1


@dataclass(frozen=True)
class PixelSample:
    """Sample of pixels that are valid on both dates."""

    before: Float32Array  # (bands, n) raw pixel values
    after: Float32Array  # (bands, n), of the same pixels

    @classmethod
    def of(cls, tile: Tile, every: int) -> PixelSample:
        """Sample of one tile: every `every`-th of its valid pixels in row-major order."""
        valid = tile.valid
        chosen = np.arange(0, valid.size, every) if valid.all() else np.flatnonzero(valid)[::every]
        bands = tile.before.shape[0]
        return cls(tile.before.reshape(bands, -1)[:, chosen], tile.after.reshape(bands, -1)[:, chosen])

    def merge(self, other: PixelSample) -> PixelSample:
        """Merge two samples, this one's pixels first."""
        return PixelSample(
            np.concatenate([self.before, other.before], axis=1),
            np.concatenate([self.after, other.after], axis=1),
        )

    def thinned(self, most_values: int) -> PixelSample:
        """Every n-th pixel of the sample, n odd, of about `most_values` values of each date."""
        every = max(1, self.before.size // most_values) | 1
        return PixelSample(self.before[:, ::every], self.after[:, ::every])

    @property
    def count(self) -> int:
        """Number of pixels in the sample."""
        return int(self.before.shape[1])


@dataclass(frozen=True)
class Histogram:
    """Histogram with bins of equal width; values outside are counted in the first or last bin.

    >>> histogram = Histogram.of(np.array([0.1, 0.6, 0.7, 9.0]), low=0.0, high=1.0, bins=2)
    >>> histogram.counts.tolist(), histogram.merge(histogram).counts.tolist()
    ([1, 3], [2, 6])
    """

    low: float  # left edge of the first bin
    high: float  # right edge of the last bin
    counts: NDArray[np.int64]  # (bins,)

    @classmethod
    def of(cls, values: NDArray[np.floating], low: float, high: float, bins: int) -> Histogram:
        """Histogram of `values` (any shape, finite)."""
        scaled = (np.asarray(values, dtype=np.float64) - low) * (bins / (high - low))
        index = np.clip(scaled, 0, bins - 1).astype(np.int64)
        return cls(low, high, np.bincount(index.ravel(), minlength=bins).astype(np.int64))

    def merge(self, other: Histogram) -> Histogram:
        """Merged histogram of both sets of values."""
        assert (self.low, self.high, self.counts.size) == (other.low, other.high, other.counts.size)
        return Histogram(self.low, self.high, self.counts + other.counts)

    @property
    def centres(self) -> NDArray[np.float64]:
        """Centre of each bin of the histogram, (bins,)."""
        width = (self.high - self.low) / self.counts.size
        return np.asarray(self.low + width * (np.arange(self.counts.size) + 0.5), dtype=np.float64)


@dataclass(frozen=True)
class Moments:
    """Moments per band (count, mean, variance), by the pairwise update of Chan, Golub, LeVeque (1979)."""

    count: int
    mean: NDArray[np.float64]  # (bands,)
    squares: NDArray[np.float64]  # (bands,), sum of squared deviations from the mean
    minimum: NDArray[np.float64]  # (bands,); +inf where count is 0
    maximum: NDArray[np.float64]  # (bands,); -inf where count is 0

    @classmethod
    def of(cls, values: NDArray[np.floating]) -> Moments:
        """Moments of `values`, (bands, n)."""
        bands, count = values.shape
        if count == 0:
            none = np.full(bands, np.inf)
            return cls(0, np.zeros(bands), np.zeros(bands), none, -none)
        lowest, highest = (edge.astype(np.float64) for edge in (values.min(axis=1), values.max(axis=1)))
        mean = values.mean(axis=1, dtype=np.float64)
        squares = np.empty(bands)
        for i, band in enumerate(
            values
        ):  # band by band, so that the differences fit in the processor's cache
            away = band - mean[i]
            squares[i] = np.einsum("i,i->", away, away)  # a BLAS would start threads of its own
        return cls(count, mean, squares, lowest, highest)

    def merge(self, other: Moments) -> Moments:
        """Merged moments of both sets of values."""
        count = self.count + other.count
        if count == 0:
            return self
        delta = other.mean - self.mean
        return Moments(
            count,
            self.mean + delta * (other.count / count),
            self.squares + other.squares + delta**2 * (self.count * other.count / count),
            np.minimum(self.minimum, other.minimum),
            np.maximum(self.maximum, other.maximum),
        )

    @property
    def std(self) -> NDArray[np.float64]:
        """Population standard deviation per band, (bands,)."""
        return np.asarray(np.sqrt(self.squares / max(self.count, 1)))


def measure_dates(sample: PixelSample, measure: Callable[[Float32Array], T], *, shared: bool) -> tuple[T, T]:
    """Statistics of each date of a sample by `measure`, which takes (bands, n) values.

    Parameters
    ----------
    shared
        Both dates have one radiometry, and get the statistics of all their pixels together.

    >>> sample = PixelSample(np.array([[0.0, 2.0]]), np.array([[4.0, 6.0]]))
    >>> measure_dates(sample, np.ndarray.tolist, shared=False)
    ([[0.0, 2.0]], [[4.0, 6.0]])
    >>> measure_dates(sample, np.ndarray.tolist, shared=True)[0]
    [[0.0, 2.0, 4.0, 6.0]]
    """
    if shared:
        both = measure(np.concatenate([sample.before, sample.after], axis=1))
        return both, both
    return measure(sample.before), measure(sample.after)


def robust_scale(values: NDArray[np.floating]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Robust centre and scale of each band.

    Parameters
    ----------
    values
        (bands, n) pixel values, n >= 1.

    Returns
    -------
    centre, scale
        Per band: the median, and the distance from the 2nd to the 98th percentile over 4.1 (the standard
        deviation of a normal distribution); a constant band gets scale 1.

    >>> robust_scale(np.array([[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]]))[0]
    (1.0, 5.0)
    """
    values = np.asarray(values, dtype=np.float64)
    low, centre, high = np.percentile(values, [_LOW, 50.0, _HIGH], axis=1)
    scale = (high - low) / _SIGMAS
    scale = np.where(scale > 0, scale, 1.0)
    return tuple(float(c) for c in centre), tuple(float(s) for s in scale)
