"""Scores of a probability map against a truth, from counts in bins that add up over tiles and scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.tiles import BoolArray, Float32Array

BINS = 10_000  # of equal width over [0, 1]


@dataclass(frozen=True)
class Counts:
    """How many changed and unchanged pixels got which probability."""

    changed: NDArray[np.int64]  # (BINS,)
    unchanged: NDArray[np.int64]  # (BINS,)

    @classmethod
    def of(cls, probability: Float32Array, truth: BoolArray, labelled: BoolArray) -> Counts:
        """Count the labelled pixels of one map; all arrays of one shape."""
        index = np.clip(probability * BINS, 0, BINS - 1).astype(np.int64)
        changed = np.bincount(index[labelled & truth], minlength=BINS)
        unchanged = np.bincount(index[labelled & ~truth], minlength=BINS)
        return cls(changed, unchanged)

    @classmethod
    def total(cls, parts: Sequence[Counts]) -> Counts:
        """The counts of several maps together."""
        return cls(np.sum([p.changed for p in parts], axis=0), np.sum([p.unchanged for p in parts], axis=0))

    def at_share(self, share: float) -> Counts:
        """The counts as they would be if `share` of the pixels had changed, by weighting the others."""
        wanted = self.changed.sum() * (1 - share) / share
        weight = wanted / max(int(self.unchanged.sum()), 1)
        return Counts(self.changed, np.rint(self.unchanged * weight).astype(np.int64))

    def f1(self) -> NDArray[np.float64]:
        """F1 of change at each threshold i / BINS, (BINS,); 0 where nothing is found."""
        found, false, missed = self._from_top()
        return np.asarray(2 * found / np.maximum(2 * found + false + missed, 1))

    def f1_at(self, threshold: float) -> float:
        """F1 of change where a probability at or above `threshold` counts as change."""
        return float(self.f1()[min(round(threshold * BINS), BINS - 1)])

    def best(self) -> tuple[float, float]:
        """The threshold of the highest F1, and that F1.

        >>> p = np.array([0.1, 0.2, 0.6, 0.9], dtype=np.float32)
        >>> truth = np.array([False, True, True, True])
        >>> Counts.of(p, truth, np.ones(4, bool)).best()
        (0.2, 1.0)
        """
        f1 = self.f1()
        # The highest of equally good thresholds would sit on the lowest score that is still change.
        at = int(np.flatnonzero(f1 == f1.max())[-1])
        return at / BINS, float(f1[at])

    def average_precision(self) -> float:
        """Mean precision over recall, sum of (R_k - R_k-1) P_k from the highest bin down."""
        found, false, _ = self._from_top()
        precision = found / np.maximum(found + false, 1)
        return float((precision * self.changed).sum() / max(int(self.changed.sum()), 1))

    def calibration_error(self, groups: int = 15) -> float:
        """Expected calibration error (Naeini et al. 2015) over `groups` groups of equal width."""
        group = np.arange(BINS) * groups // BINS
        middle = (np.arange(BINS) + 0.5) / BINS
        both = self.changed + self.unchanged
        said = np.bincount(group, weights=middle * both, minlength=groups)
        true = np.bincount(group, weights=self.changed.astype(np.float64), minlength=groups)
        return float(np.abs(said - true).sum() / max(int(both.sum()), 1))

    def _from_top(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """True positives, false positives and misses at each threshold i / BINS."""
        found = self.changed[::-1].cumsum()[::-1]
        false = self.unchanged[::-1].cumsum()[::-1]
        return found, false, self.changed.sum() - found
