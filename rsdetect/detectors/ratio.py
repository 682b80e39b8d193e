"""Ratio scorers: common base of detectors by the ratio of a distance and a threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import Float32Array, Float64Array, Int64Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Scorer
from rsdetect.detectors.row_filters import Rows, filtered, pushed
from rsdetect.errors import NothingToCompare
from rsdetect.stats import Histogram, PixelSample, measure_dates, robust_scale
from rsdetect.tiles import Tile

# Logarithms of distances in bins of 0.3 %.
_LEAST_LOG, _MOST_LOG, _BINS = -12.0, 12.0, 8192
_LEAST = np.float32(1e-5)  # keeps the logarithm of a distance of 0 finite
_ODD = 1e-3  # share of the smallest and of the largest values that is clipped for means and deviations
# Values are clipped to this many standard deviations, so that squares and differences are finite.
_FARTHEST = np.float32(1e3)
_LARGEST = float(np.finfo(np.float32).max)
# Of detectors that weigh pixels by their probability of no change.
SAMPLED_VALUES = 4_000_000  # of each date: 200 000 pixels of 20 bands, more of fewer
LEAST_SHARE = 1e-5  # combinations of bands with a smaller share of a date's variance are redundant
LEAST_VARIANCE = 1e-4  # of a difference: below a hundredth of the spread there is no change
_LEAST_WEIGHT = 1e-9
_CERTAIN = 1e-3  # share of unchanged pixels beyond the lowest level


class RatioScorer(Scorer):
    """Ratio scorer with the probability 1 / (1 + (level / distance) ** slope).

    A subclass has the fields `level`, the distance of probability 0.5, `slope`, and `before`, the
    standardisation of that date's bands, or else its own `bytes_per_pixel`. It provides the filters that
    measure distances.
    """

    before: Standard
    level: float
    slope: float = 1.0

    import_bytes = 0
    strips = True

    @property
    def bytes_per_pixel(self) -> int:  # type: ignore[override]
        """Memory of a ratio scorer per pushed pixel: both dates, and the probability."""
        return 8 * len(self.before.centre) + 40

    def rows(self) -> Rows:
        """Start a ratio scorer's filters at the top of a strip; they return distances of at least 0."""
        raise NotImplementedError

    def distance(self, tile: Tile) -> Float32Array:
        """Distance of a ratio, (height, width) float32, at least 0; pixels beyond the tile are invalid."""
        return filtered(self.rows(), tile)

    def log_ratio(self, tile: Tile) -> Float32Array:
        """Log ratio of a tile, ln(distance / level), (height, width) float32, at least -20."""
        return log_ratio(self.distance(tile), self.level)

    def score(self, tile: Tile) -> Float32Array:
        """Change probability of a ratio over `tile.read`, (height, width) float32."""
        return self.probability(self.distance(tile))

    def strip(self, height: int, width: int) -> RatioStrip:
        """Start a strip of a ratio scorer."""
        return RatioStrip(self)

    def probability(self, distance: Float32Array) -> Float32Array:
        """Change probability of ratios, float32; its logit is `slope` times the logarithm of the ratio."""
        ratio = np.float32(self.level) / np.maximum(distance, _LEAST)
        return np.asarray(1 / (1 + ratio**self.slope), np.float32)


class RatioStrip:
    """Strip of a ratio scorer, processed from the top down."""

    def __init__(self, scorer: RatioScorer) -> None:
        self._scorer = scorer
        self._rows = scorer.rows()

    @property
    def late(self) -> int:
        """Delay of the ratio strip's output in rows."""
        return self._rows.late

    def push(self, rows: Tile) -> Float32Array:
        """Push rows into a ratio strip; returns the probability of the rows `late` higher up."""
        return self._scorer.probability(pushed(self._rows, rows))

    def push_log_ratio(self, rows: Tile) -> Float32Array:
        """Log ratio ln(distance / level) instead of the probability, for ensembles."""
        return log_ratio(pushed(self._rows, rows), self._scorer.level)


def log_ratio(distance: Float32Array, level: float) -> Float32Array:
    """Log ratio of distances, ln(distance / level), float32, at least -20."""
    ratio = np.maximum(distance * np.float32(1 / level), np.float32(np.exp(-20)))
    return np.asarray(np.log(ratio))


@dataclass(frozen=True)
class Standard:
    """Standardisation of the bands of a date for ratios: deviations from the centre."""

    centre: tuple[float, ...]  # one per band, raw pixel values
    scale: tuple[float, ...]

    @classmethod
    def of_percentiles(cls, values: Float32Array) -> Standard:
        """Median and robust standard deviation of each band, (bands, n)."""
        return cls(*robust_scale(values))

    @classmethod
    def of_moments(cls, values: Float32Array) -> Standard:
        """Mean and standard deviation of each band, (bands, n); the outermost thousandths drawn in."""
        ends = np.quantile(values, [_ODD, 1 - _ODD], axis=1)[..., None]
        kept = np.clip(values, ends[0], ends[1], dtype=np.float64)
        spread = kept.std(axis=1)
        return cls(tuple(map(float, kept.mean(axis=1))), tuple(map(float, np.where(spread > 0, spread, 1.0))))

    def apply(self, pixels: Float32Array, band: int) -> Float32Array:
        """Standardise a band of raw `pixels` for a ratio, (bands, height, width) to (height, width)."""
        with np.errstate(over="ignore"):
            standard: Float32Array = pixels[band] - np.float32(self.centre[band])
            standard *= np.float32(min(1.0 / self.scale[band], _LARGEST))
            np.clip(standard, -_FARTHEST, _FARTHEST, out=standard)
        return standard

    def of_sample(self, values: Float32Array) -> Float64Array:
        """Values of all bands, (bands, n), in float64."""
        return np.stack([self.apply(values, band) for band in range(len(values))]).astype(np.float64)


def require_pixels(scan: Scan) -> PixelSample:
    """Sample of a pair for a ratio detector, which must have pixels.

    Raises
    ------
    NothingToCompare
        No pixel is valid on both dates.
    """
    sample = scan.sample_pixels()
    if sample.count == 0:
        raise NothingToCompare(
            f"no pixel of {scan.pair.before.path} and {scan.pair.after.path} is valid on both dates."
        )
    return sample


def standards(
    scan: Scan, sample: PixelSample, of: Callable[[Float32Array], Standard] = Standard.of_percentiles
) -> tuple[Standard, Standard]:
    """Standardisation of each date of a scan by a sample: one for both where they have one radiometry."""
    return measure_dates(sample, of, shared=scan.pair.normalisation.is_shared)


def distances(scan: Scan, scorer: RatioScorer) -> tuple[Int64Array, Float64Array]:
    """How often each distance occurs in the pair: counts and centres of bins, (bins,) each."""

    def measure(tile: Tile) -> Histogram:
        logs = np.log(np.maximum(scorer.distance(tile)[tile.valid], _LEAST))
        return Histogram.of(logs, _LEAST_LOG, _MOST_LOG, _BINS)

    logs = scan.reduce(measure, Histogram.merge)
    return logs.counts, np.exp(logs.centres)


def chi_square_level(freedom: int) -> float:
    """Chi-square level that a thousandth of unchanged pixels exceeds: the root of a quantile."""
    from scipy.special import chdtri

    return float(np.sqrt(chdtri(max(freedom, 1), _CERTAIN)))


def chi_square_weight(squares: Float64Array, freedom: int) -> Float64Array:
    """Chi-square probability that pixels with these sums of squares did not change, (n,), above 0."""
    from scipy.special import chdtrc

    return np.asarray(np.maximum(chdtrc(max(freedom, 1), squares), _LEAST_WEIGHT))


def weighted_sum(rows: Tile, dates: tuple[Standard, Standard], weights: Float32Array) -> Float32Array:
    """Combinations of the standardised bands of both dates, (combinations, height, width).

    Parameters
    ----------
    weights
        (combinations, 1 + 2 bands): a constant, then the weights of the bands before and after.
    """
    bands = rows.before.shape[0]
    out = np.empty((len(weights), *rows.valid.shape), np.float32)
    out[:] = weights[:, :1, None]
    for date, pixels in enumerate((rows.before, rows.after)):
        for band in range(bands):
            values = dates[date].apply(pixels, band)
            for number, weight in enumerate(weights[:, 1 + date * bands + band]):
                out[number] += values * weight
    return out
