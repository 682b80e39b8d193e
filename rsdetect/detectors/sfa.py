"""Slow feature analysis: displacement of each pixel relative to unchanged ones.

Wu, Du and Zhang (2014), "Slow feature analysis for change detection in multispectral imagery", IEEE
Transactions on Geoscience and Remote Sensing 52(5):2858-2874. The bands of both dates, smoothed by a
Gaussian of one pixel and standardised, are combined so that their differences vary least; each combination
is normalised by its spread. The statistics are iterated with weights: the probability, by the
chi-square distribution, that a pixel did not change. The root of the smoothed sum of squares is the
distance, Otsu's threshold its level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import Float32Array, Float64Array
from rsdetect.checks.scan import Scan
from rsdetect.detectors.base import Detector
from rsdetect.detectors.ratio import (
    LEAST_SHARE,
    LEAST_VARIANCE,
    SAMPLED_VALUES,
    RatioScorer,
    Standard,
    chi_square_level,
    chi_square_weight,
    distances,
    require_pixels,
    standards,
    weighted_sum,
)
from rsdetect.detectors.row_filters import BINOMIAL, Delay, Smooth, quotients, surrounded
from rsdetect.detectors.thresholds import find_level
from rsdetect.stats import PixelSample
from rsdetect.tiles import Tile

_ROUNDS = 8
_SAMPLED = 200_000  # approximate sample of pixels for the iterations, of up to 20 bands
# Spreads in units of the scene's. A band that varies less on a date is constant there.
_LEAST_SPREAD = 1e-3
_GAUSSIAN = (BINOMIAL, BINOMIAL)  # of sigma 1 pixel


@dataclass(frozen=True)
class SfaScorer(RatioScorer):
    """Scorer of a fitted slow feature analysis."""

    before: Standard
    after: Standard
    # (features, 1 + 2 bands): a constant, then the weights of the standardised bands before and after.
    features: tuple[tuple[float, ...], ...]
    level: float = 1.0
    slope: float = 2.0

    name = "sfa"
    halo = 2 * len(_GAUSSIAN)

    def rows(self) -> SfaRows:
        """Start the slow feature filters at the top of a strip."""
        return SfaRows(self)


class SfaRows:
    """Slow feature filters: rows of both dates to distances."""

    reach = late = SfaScorer.halo
    stride = 1

    def __init__(self, scorer: SfaScorer) -> None:
        self._dates = scorer.before, scorer.after
        bands = len(scorer.before.centre)
        self._features = np.asarray(scorer.features, np.float32).reshape(-1, 1 + 2 * bands)
        self._bands, self._squares = Smooth(*_GAUSSIAN), Smooth(*_GAUSSIAN)
        self._valid = Delay(len(_GAUSSIAN))

    def push(self, rows: Tile) -> Float32Array:
        """Push rows; returns slow feature distances of the rows `late` higher up, (height, width) float32."""
        valid = rows.valid.astype(np.float32)[None]
        features = weighted_sum(rows, self._dates, self._features)
        features *= valid
        smoothed = quotients(self._bands.push(np.concatenate([features, valid])))
        weight = self._valid.push(valid)[0]
        squares = np.empty((2, *weight.shape), np.float32)
        np.einsum("ijk,ijk->jk", smoothed, smoothed, out=squares[0])
        squares[0] *= weight
        squares[1] = weight
        return np.asarray(np.sqrt(quotients(self._squares.push(squares))[0]))


@dataclass(frozen=True)
class SfaDetector(Detector):
    """Slow feature analysis for any number of any bands, without training."""

    name = "sfa"
    description = "Slow features: change beside the differences of all that did not change, by Otsu."
    passes = 3
    seconds_per_mpx = 0.07

    def fit(self, scan: Scan) -> SfaScorer:
        """Fit slow features in three passes: scale of each date, slow features of a sample, level."""
        sample = require_pixels(scan)
        before, after = standards(scan, sample)
        bands = sample.before.shape[0]
        seen = sum(block.height * block.width for block in scan.blocks)
        every = max(1, seen // min(_SAMPLED, SAMPLED_VALUES // bands)) | 1
        smooth = scan.reduce(lambda tile: _smoothed(tile, before, after, every), PixelSample.merge)
        features = slow_features(smooth.before.astype(np.float64), smooth.after.astype(np.float64))
        unfitted = SfaScorer(before, after, tuple(tuple(map(float, row)) for row in features))
        level = max(find_level("otsu", *distances(scan, unfitted)), chi_square_level(len(features)))
        return SfaScorer(before, after, unfitted.features, level)


def slow_features(before: Float64Array, after: Float64Array) -> Float64Array:
    """Slow features: combinations of the bands whose differences vary least.

    Parameters
    ----------
    before, after
        (bands, pixels) of about unit spread; gain and offset of each band do not matter.

    Returns
    -------
    ndarray
        (features, 1 + 2 bands): what, of a constant 1 and the bands of both dates, gives differences of
        variance 1 and mean 0 where nothing changed. As many features as bands that are not constant and do
        not repeat others.
    """
    bands, count = before.shape
    varied = np.flatnonzero((before.std(axis=1) > _LEAST_SPREAD) & (after.std(axis=1) > _LEAST_SPREAD))
    features = np.zeros((0, 1 + 2 * bands))
    if varied.size == 0:
        return features
    weight = np.ones(count)
    for _ in range(_ROUNDS):
        dates = [_standardised(date[varied], weight) for date in (before, after)]
        (x, *_), (y, *_) = dates
        combined, variance = _eigen(x, y, weight)
        scaled = combined / np.sqrt(variance)
        distance = ((scaled.T @ (x - y)) ** 2).sum(axis=0)
        weight = chi_square_weight(distance, len(variance))
    features = np.zeros((len(variance), 1 + 2 * bands))
    for sign, start, (_, mean, spread) in zip((1, -1), (1, 1 + bands), dates, strict=True):
        part = sign * scaled.T / spread
        features[:, start + varied] = part
        features[:, 0] -= part @ mean
    return features


def _standardised(
    values: Float64Array, weight: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Standardised bands for slow feature analysis, with their weighted means and spreads, (bands,) each."""
    mean = np.average(values, axis=1, weights=weight)
    away = values - mean[:, None]
    spread = np.maximum(np.sqrt(np.average(away**2, axis=1, weights=weight)), _LEAST_SPREAD)
    return away / spread[:, None], mean, spread


def _eigen(x: Float64Array, y: Float64Array, weight: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Eigenvectors of slow feature analysis, (bands, features), and eigenvalues of the differences.

    Normalised in the mean covariance of both dates. Directions with little variance are dropped: linearly
    dependent bands.
    """

    def covariance(values: Float64Array) -> Float64Array:
        return np.asarray((values * weight) @ values.T / weight.sum())

    own, axes = np.linalg.eigh((covariance(x) + covariance(y)) / 2)
    kept = own > LEAST_SHARE * own.max()
    whitened = axes[:, kept] / np.sqrt(own[kept])
    variance, turned = np.linalg.eigh(whitened.T @ covariance(x - y) @ whitened)
    return whitened @ turned, np.maximum(variance, LEAST_VARIANCE)


def _smoothed(tile: Tile, before: Standard, after: Standard, every: int) -> PixelSample:
    """Sample of standardised, smoothed bands for slow feature analysis: every `every`-th valid pixel."""
    reach = len(_GAUSSIAN)
    grown = surrounded(tile, reach, 1)
    bands = tile.before.shape[0]
    weighted = np.empty((2 * bands + 1, *grown.valid.shape), np.float32)
    for band in range(bands):
        weighted[band] = before.apply(grown.before, band)
        weighted[bands + band] = after.apply(grown.after, band)
    weighted[:-1] *= grown.valid
    weighted[-1] = grown.valid
    smooth = quotients(Smooth(*_GAUSSIAN).push(weighted))[:, 2 * reach :, reach:-reach]
    flags = tile.before_valid, tile.after_valid
    return PixelSample.of(Tile(tile.core, tile.read, smooth[:bands], smooth[bands:], *flags), every)
