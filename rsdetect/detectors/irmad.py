"""IR-MAD: iteratively reweighted multivariate alteration detection.

Nielsen (2007), "The regularized iteratively reweighted MAD method for change detection in multi- and
hyperspectral data", IEEE Transactions on Image Processing 16(2):463-478. Canonical correlation analysis
finds the combinations of both dates' bands that agree most; the sum of squares of their standardised
differences follows a chi-square distribution where nothing changed, whose probability weighs each pixel in
the next round. Any linear change of the bands of a date leaves the result as it is.
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
from rsdetect.detectors.thresholds import find_level, require_level
from rsdetect.tiles import Tile

_ROUNDS = 30  # at most; fewer where the correlations stand
_STANDING = 1e-3  # change of the correlations at which they do
# Pixels a variate, in effect, below which rounds would fit the noise of ever fewer pixels.
_LEAST_PIXELS = 20


@dataclass(frozen=True)
class IrMadScorer(RatioScorer):
    """A fitted IR-MAD."""

    before: Standard
    after: Standard
    # (variates, 1 + 2 bands): a constant, then the weights of the standardised bands before and after.
    variates: tuple[tuple[float, ...], ...]
    level: float = 1.0
    slope: float = 2.0

    name = "irmad"

    def rows(self) -> IrMadRows:
        """What turns pixels into distances."""
        return IrMadRows(self)


class IrMadRows:
    """Rows of both dates to distances, pixel by pixel."""

    reach = late = 0
    stride = 1

    def __init__(self, scorer: IrMadScorer) -> None:
        self._dates = scorer.before, scorer.after
        self._variates = np.asarray(scorer.variates, np.float32).reshape(
            -1, 1 + 2 * len(scorer.before.centre)
        )

    def push(self, rows: Tile) -> Float32Array:
        """(height, width) float32, the root of the sum of squares."""
        variates = weighted_sum(rows, self._dates, self._variates)
        return np.asarray(np.sqrt(np.einsum("ijk,ijk->jk", variates, variates)))


@dataclass(frozen=True)
class IrMadDetector(Detector):
    """IR-MAD; any number of any bands, more are better.

    Parameters
    ----------
    level
        Rule for the distance from which on something changed, as `thresholds.require_level` takes it; a
        number is the root of a sum of squares in standard deviations. Rules give no less than what one of a
        thousand unchanged pixels exceeds.
    """

    level: str = "otsu"

    name = "irmad"
    description = "IR-MAD: what any linear change of the bands, as of light and season, does not explain."
    passes = 2
    seconds_per_mpx = 0.03

    def __post_init__(self) -> None:
        require_level(self.level)

    def fit(self, scan: Scan) -> IrMadScorer:
        """Two passes: the canonical variates of a sample, and the level."""
        sample = require_pixels(scan).thinned(SAMPLED_VALUES)
        before, after = standards(scan, sample)
        found = canonical_variates(before.of_sample(sample.before), after.of_sample(sample.after))
        variates = tuple(tuple(map(float, row)) for row in found)
        level = find_level(self.level, *distances(scan, IrMadScorer(before, after, variates)))
        if require_level(self.level)[0] != "fixed":
            level = max(level, chi_square_level(len(variates)))
        return IrMadScorer(before, after, variates, level)


def canonical_variates(before: Float64Array, after: Float64Array) -> Float64Array:
    """Combinations of the bands of which those of both dates agree most.

    Parameters
    ----------
    before, after
        (bands, pixels) of about unit spread.

    Returns
    -------
    ndarray
        (variates, 1 + 2 bands): what, of a constant 1 and the bands of both dates, gives differences of
        variance 1 and mean 0 where nothing changed.
    """
    bands, count = before.shape
    weight = np.ones(count)
    correlations = np.zeros(0)
    for _ in range(_ROUNDS):
        means = [np.average(date, axis=1, weights=weight) for date in (before, after)]
        x, y = (date - mean[:, None] for date, mean in zip((before, after), means, strict=True))
        total = weight.sum()
        first, second = (_whitening((date * weight) @ date.T / total) for date in (x, y))
        left, found, right = np.linalg.svd(first.T @ ((x * weight) @ y.T / total) @ second)
        kept = len(found)
        spread = np.sqrt(np.maximum(2 * (1 - np.minimum(found, 1)), LEAST_VARIANCE))
        axes = (first @ left[:, :kept] / spread).T, (second @ right[:kept].T / spread).T
        squares = ((axes[0] @ x - axes[1] @ y) ** 2).sum(axis=0)
        if len(correlations) == kept and np.abs(found - correlations).max(initial=0) < _STANDING:
            break
        correlations = found
        weight = chi_square_weight(squares, kept)
        if weight.sum() ** 2 < _LEAST_PIXELS * kept * (weight**2).sum():
            break
    constant = axes[1] @ means[1] - axes[0] @ means[0]
    return np.column_stack([constant, axes[0], -axes[1]]).reshape(kept, 1 + 2 * bands)


def _whitening(covariance: Float64Array) -> Float64Array:
    """(bands, axes) that make a date's bands uncorrelated and of variance 1; without what repeats others."""
    variance, axes = np.linalg.eigh(covariance)
    kept = variance > max(LEAST_SHARE * variance.max(), LEAST_SHARE)
    return np.asarray(axes[:, kept] / np.sqrt(variance[kept]))
