"""Metrics of a probability map against a truth, from counts that add up over tiles, scenes and places.

All metrics reduce the last axis of the counts and keep leading axes, for example of bootstrap samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array

STEPS = 10_000  # steps of probabilities in training
GROUPS = 15  # bins of a calibration curve

# A float, or an array over the leading axes; NaN where the metric is undefined.
Figure = Any


@dataclass(frozen=True)
class Counts:
    """Counts of changed and unchanged pixels per probability step of equal width."""

    changed: NDArray[np.int64]  # (..., steps + 1)
    unchanged: NDArray[np.int64]  # (..., steps + 1)

    @classmethod
    def of(cls, probability: Float32Array, truth: BoolArray, labelled: BoolArray) -> Counts:
        """Count the labelled pixels of one map; all arrays of one shape."""
        return cls.of_steps(np.rint(np.clip(probability, 0, 1) * STEPS), truth, labelled, STEPS)

    @classmethod
    def of_steps(
        cls, scores: NDArray[np.generic], truth: BoolArray, labelled: BoolArray, steps: int
    ) -> Counts:
        """Count the labelled pixels of a map of integer steps, 0 to `steps`."""
        changed, unchanged = (
            np.bincount(scores[labelled & of].astype(np.int64), minlength=steps + 1) for of in (truth, ~truth)
        )
        return cls(changed, unchanged)

    @classmethod
    def total(cls, parts: Sequence[Counts]) -> Counts:
        """Total counts of several maps."""
        return cls(np.sum([p.changed for p in parts], axis=0), np.sum([p.unchanged for p in parts], axis=0))

    @property
    def steps(self) -> int:
        """Number of steps of the counts from probability 0 to 1."""
        return int(self.changed.shape[-1]) - 1

    def at_share(self, share: float) -> Counts:
        """Counts reweighted to a `share` of changed pixels, by weighting the unchanged ones."""
        wanted = self.changed.sum() * (1 - share) / share
        weight = wanted / max(int(self.unchanged.sum()), 1)
        return Counts(self.changed, np.rint(self.unchanged * weight).astype(np.int64))

    def at(self, threshold: float) -> Confusion:
        """Confusion counts where a probability at or above `threshold` is change."""
        # Rounded up, because values between two steps are below the higher; 0.57 * 100 is 56.99999999999999.
        return self._cut(min(math.ceil(round(threshold * self.steps, 6)), self.steps))

    def best(self) -> tuple[float, float]:
        """Threshold of the highest F1, and that F1; without leading axes.

        >>> p = np.array([0.1, 0.2, 0.6, 0.9], dtype=np.float32)
        >>> truth = np.array([False, True, True, True])
        >>> Counts.of(p, truth, np.ones(4, bool)).best()
        (0.2, 1.0)
        """
        thresholds, confusion = self.at_best()
        return float(thresholds), float(np.nan_to_num(confusion.f1))

    def at_best(self) -> tuple[Figure, Confusion]:
        """Thresholds of the highest F1, and the confusion counts there."""
        every = self._from_top()
        f1 = np.nan_to_num(every.f1)
        # The highest of equally good thresholds, which is the lowest score that is still change.
        at = self.steps - np.argmax(f1[..., ::-1], axis=-1)
        return at / self.steps, every.take(at)

    def as_much_as_changed(self) -> float:
        """Threshold at which the marked area equals the changed area, so that precision equals recall.

        >>> p = np.array([0.1, 0.2, 0.6, 0.9], dtype=np.float32)
        >>> truth = np.array([False, True, False, True])
        >>> Counts.of(p, truth, np.ones(4, bool)).as_much_as_changed()
        0.6
        """
        every = self._from_top()
        too_much = np.abs(every.false - every.missed)
        # The highest of equally near thresholds, as in `at_best`.
        return float(self.steps - np.argmin(too_much[::-1])) / self.steps

    def f1_at(self, threshold: float) -> float:
        """F1 of change at `threshold`; 0 without changed and marked pixels."""
        return float(np.nan_to_num(self.at(threshold).f1))

    def average_precision(self) -> Figure:
        """Mean precision over recall, sum of (R_k - R_k-1) P_k from the highest score down.

        Not defined where nothing is unchanged.
        """
        precision = np.nan_to_num(self._from_top().precision)
        changed = np.where(self.unchanged.any(axis=-1), self.changed.sum(axis=-1), 0)
        return _ratio((precision * self.changed).sum(axis=-1), changed)

    def calibration_error(self) -> Figure:
        """Expected calibration error (Naeini et al. 2015) over groups of equal width."""
        said, true, pixels = self.reliability()
        return _ratio(np.abs(said - true).sum(axis=-1), pixels.sum(axis=-1))

    def reliability(self) -> tuple[Figure, Figure, Figure]:
        """Reliability per bin of probability: its sum, changed pixels and all pixels, (..., groups)."""
        step = np.arange(self.steps + 1)
        member = np.eye(GROUPS)[np.minimum(step * GROUPS // self.steps, GROUPS - 1)]  # (steps + 1, groups)
        both = self.changed + self.unchanged
        return (both * (step / self.steps)) @ member, self.changed @ member, both @ member

    def curve(self) -> tuple[Figure, Figure]:
        """Precision and recall at each threshold, (..., steps + 1)."""
        every = self._from_top()
        return every.precision, every.recall

    def _from_top(self) -> Confusion:
        """Confusion counts at each threshold, (..., steps + 1)."""
        found, false = (np.flip(np.flip(c, -1).cumsum(-1), -1) for c in (self.changed, self.unchanged))
        return Confusion(found, false, found[..., :1] - found, false[..., :1] - false)

    def _cut(self, step: int) -> Confusion:
        below, above = np.s_[..., :step], np.s_[..., step:]
        return Confusion(
            found=self.changed[above].sum(-1),
            false=self.unchanged[above].sum(-1),
            missed=self.changed[below].sum(-1),
            rejected=self.unchanged[below].sum(-1),
        )


@dataclass(frozen=True)
class Confusion:
    """Confusion counts of pixels; any shape."""

    found: NDArray[np.int64]  # changed and marked
    false: NDArray[np.int64]  # unchanged and marked
    missed: NDArray[np.int64]  # changed and not marked
    rejected: NDArray[np.int64]  # unchanged and not marked

    def take(self, at: NDArray[np.int64]) -> Confusion:
        """Select the thresholds `at` of confusion counts at every threshold."""
        index = np.expand_dims(at, -1)
        parts = (self.found, self.false, self.missed, self.rejected)
        return Confusion(*(np.take_along_axis(part, index, -1)[..., 0] for part in parts))

    @property
    def precision(self) -> Figure:
        """Precision: share of the marked pixels that changed; undefined without unchanged pixels."""
        return _ratio(self.found, self._where_unchanged(self.found + self.false))

    @property
    def recall(self) -> Figure:
        """Recall: share of the changed pixels that are marked."""
        return _ratio(self.found, self.found + self.missed)

    @property
    def f1(self) -> Figure:
        """F1: harmonic mean of precision and recall; undefined if either is."""
        return _ratio(2 * self.found, self._where_unchanged(2 * self.found + self.false + self.missed))

    @property
    def iou(self) -> Figure:
        """Intersection over union of changed and marked pixels; undefined like precision."""
        return _ratio(self.found, self._where_unchanged(self.found + self.false + self.missed))

    @property
    def accuracy(self) -> Figure:
        """Accuracy: share of all pixels that are correct; undefined like precision."""
        right = self.found + self.rejected
        return _ratio(right, self._where_unchanged(right + self.false + self.missed))

    @property
    def kappa(self) -> Figure:
        """Cohen's kappa: Cohen (1960), "A coefficient of agreement for nominal scales", eq. 1."""
        found, false, missed, rejected = (
            np.asarray(part, np.float64) for part in (self.found, self.false, self.missed, self.rejected)
        )
        pixels = found + false + missed + rejected
        expected = _ratio(
            (found + missed) * (found + false) + (rejected + missed) * (rejected + false), pixels**2
        )
        return _ratio(self.accuracy - expected, 1 - expected)

    @property
    def false_alarm_share(self) -> Figure:
        """False alarm rate: share of the unchanged pixels that are marked."""
        return _ratio(self.false, self.false + self.rejected)

    def _where_unchanged(self, whole: NDArray[np.int64]) -> NDArray[np.int64]:
        """Denominator of a metric, 0 without unchanged pixels, where false positives cannot occur."""
        return np.where(self.false + self.rejected > 0, whole, 0)


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Figure:
    """Metric as a ratio; NaN where the denominator is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)[()]
