"""Scores of a probability map against a truth, from counts that add up over tiles, scenes and places.

All figures work on the last axis of the counts; axes before it, of places drawn anew, say, stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array

STEPS = 10_000  # to which training rounds probabilities
GROUPS = 15  # of a calibration curve

# A float, or an array of them over the leading axes; NaN where the figure is not defined.
Figure = Any


@dataclass(frozen=True)
class Counts:
    """How many changed and unchanged pixels got which probability, rounded to steps of equal width."""

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
        """Count the labelled pixels of a map of whole steps, 0 to `steps`."""
        changed, unchanged = (
            np.bincount(scores[labelled & of].astype(np.int64), minlength=steps + 1) for of in (truth, ~truth)
        )
        return cls(changed, unchanged)

    @classmethod
    def total(cls, parts: Sequence[Counts]) -> Counts:
        """The counts of several maps together."""
        return cls(np.sum([p.changed for p in parts], axis=0), np.sum([p.unchanged for p in parts], axis=0))

    @property
    def steps(self) -> int:
        """Steps from probability 0 to 1."""
        return int(self.changed.shape[-1]) - 1

    def at_share(self, share: float) -> Counts:
        """The counts as they would be if `share` of the pixels had changed, by weighting the others."""
        wanted = self.changed.sum() * (1 - share) / share
        weight = wanted / max(int(self.unchanged.sum()), 1)
        return Counts(self.changed, np.rint(self.unchanged * weight).astype(np.int64))

    def at(self, threshold: float) -> Confusion:
        """What is right and wrong where a probability at or above `threshold` counts as change."""
        # Rounded up, as what lies between two steps is below the higher one; 0.57 * 100 is 56.99999999999999.
        return self._cut(min(math.ceil(round(threshold * self.steps, 6)), self.steps))

    def best(self) -> tuple[float, float]:
        """The threshold of the highest F1, and that F1; without leading axes.

        >>> p = np.array([0.1, 0.2, 0.6, 0.9], dtype=np.float32)
        >>> truth = np.array([False, True, True, True])
        >>> Counts.of(p, truth, np.ones(4, bool)).best()
        (0.2, 1.0)
        """
        thresholds, confusion = self.at_best()
        return float(thresholds), float(np.nan_to_num(confusion.f1))

    def at_best(self) -> tuple[Figure, Confusion]:
        """The thresholds of the highest F1, and what is right and wrong there."""
        every = self._from_top()
        f1 = np.nan_to_num(every.f1)
        # The highest of equally good thresholds would sit on the lowest score that is still change.
        at = self.steps - np.argmax(f1[..., ::-1], axis=-1)
        return at / self.steps, every.take(at)

    def as_much_as_changed(self) -> float:
        """The threshold at which as much is marked as has changed, so that precision equals recall.

        >>> p = np.array([0.1, 0.2, 0.6, 0.9], dtype=np.float32)
        >>> truth = np.array([False, True, False, True])
        >>> Counts.of(p, truth, np.ones(4, bool)).as_much_as_changed()
        0.6
        """
        every = self._from_top()
        too_much = np.abs(every.false - every.missed)
        # Of thresholds that are equally near, the highest, as in `at_best`.
        return float(self.steps - np.argmin(too_much[::-1])) / self.steps

    def f1_at(self, threshold: float) -> float:
        """F1 of change at `threshold`; 0 where there is neither change nor anything marked."""
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
        """Of each group of probabilities their sum, the changed pixels and all pixels, (..., groups)."""
        step = np.arange(self.steps + 1)
        member = np.eye(GROUPS)[np.minimum(step * GROUPS // self.steps, GROUPS - 1)]  # (steps + 1, groups)
        both = self.changed + self.unchanged
        return (both * (step / self.steps)) @ member, self.changed @ member, both @ member

    def curve(self) -> tuple[Figure, Figure]:
        """Precision and recall at each threshold, (..., steps + 1)."""
        every = self._from_top()
        return every.precision, every.recall

    def _from_top(self) -> Confusion:
        """At each threshold, (..., steps + 1)."""
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
    """Pixels that were marked or not, rightly or not; any shape."""

    found: NDArray[np.int64]  # changed and marked
    false: NDArray[np.int64]  # unchanged and marked
    missed: NDArray[np.int64]  # changed and not marked
    rejected: NDArray[np.int64]  # unchanged and not marked

    def take(self, at: NDArray[np.int64]) -> Confusion:
        """The thresholds `at` of a confusion at every threshold."""
        index = np.expand_dims(at, -1)
        parts = (self.found, self.false, self.missed, self.rejected)
        return Confusion(*(np.take_along_axis(part, index, -1)[..., 0] for part in parts))

    @property
    def precision(self) -> Figure:
        """Share of the marked pixels that changed; not defined where no pixel is known to be unchanged."""
        return _ratio(self.found, self._where_unchanged(self.found + self.false))

    @property
    def recall(self) -> Figure:
        """Share of the changed pixels that are marked."""
        return _ratio(self.found, self.found + self.missed)

    @property
    def f1(self) -> Figure:
        """Harmonic mean of precision and recall; not defined without change and marks, or as precision."""
        return _ratio(2 * self.found, self._where_unchanged(2 * self.found + self.false + self.missed))

    @property
    def iou(self) -> Figure:
        """Changed and marked over changed or marked; not defined as precision."""
        return _ratio(self.found, self._where_unchanged(self.found + self.false + self.missed))

    @property
    def accuracy(self) -> Figure:
        """Share of all pixels that are right; not defined as precision."""
        right = self.found + self.rejected
        return _ratio(right, self._where_unchanged(right + self.false + self.missed))

    @property
    def kappa(self) -> Figure:
        """Agreement beyond chance: Cohen (1960), "A coefficient of agreement for nominal scales", eq. 1."""
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
        """Share of the unchanged pixels that are marked."""
        return _ratio(self.false, self.false + self.rejected)

    def _where_unchanged(self, whole: NDArray[np.int64]) -> NDArray[np.int64]:
        """`whole`, or 0 where no pixel is unchanged: a false mark could not be seen there."""
        return np.where(self.false + self.rejected > 0, whole, 0)


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> Figure:
    """Part over whole; NaN where there is no whole."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole != 0)[()]
