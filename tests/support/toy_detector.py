"""A third detector, as someone outside of the package writes one: what became greener."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.detectors import Detector, Scorer


@dataclass(frozen=True)
class GreennessScorer(Scorer):
    """How far the share of the second band moved, in spreads of that move over the whole pair."""

    mean: float
    spread: float
    sharpness: float

    name = "greenness"
    threshold = 0.4
    bytes_per_pixel = 60

    def score(self, tile):
        moved = np.abs(_move(tile) - self.mean) / self.spread
        return (1 - np.exp(-self.sharpness * (moved / 3) ** 2)).astype(np.float32)


@dataclass(frozen=True)
class Greenness(Detector):
    """The pair's moments by one pass over its blocks, then a bell curve."""

    sharpness: float = 1.0

    name = "greenness"
    description = "How much greener, or less green, each pixel became."

    def fit(self, scan):
        def measure(tile):
            moved = _move(tile)[tile.valid]
            return np.array([moved.size, moved.sum(), (moved**2).sum()], np.float64)

        count, total, squares = scan.reduce(measure, np.add)
        mean = total / max(count, 1)
        spread = np.sqrt(max(squares / max(count, 1) - mean**2, 1e-6))
        return GreennessScorer(float(mean), float(spread), self.sharpness)


def _move(tile):
    second = min(1, len(tile.before) - 1)
    shares = [date[second] / (date.sum(axis=0) + 1) for date in (tile.before, tile.after)]
    return shares[1] - shares[0]
