"""Tally of several detectors on one pair: counts and reduced maps, added up tile by tile.

Of every tile only sums are kept, so that the memory does not grow with the scenes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.evaluation.reduced import ReducedMap
from rsdetect.grid import Grid, Window
from rsdetect.metrics import Confusion, Counts
from rsdetect.percent import NOT_OBSERVED, PERCENT

PICTURE_PX = 640  # most cells along an edge of a picture
Percent = NDArray[np.uint8]


@dataclass
class DetectorTally:
    """Tally of one detector: its pixels by percent, and its maps."""

    level: int  # lowest percent of a changed pixel
    probability: ReducedMap  # 1 layer, percent
    verdict: ReducedMap  # 4 layers: marked rightly, marked wrongly, missed, rest; or marked, 0, 0, rest
    observed: int = 0
    marked: int = 0
    changed: NDArray[np.int64] = field(default_factory=lambda: np.zeros(PERCENT + 1, np.int64))
    unchanged: NDArray[np.int64] = field(default_factory=lambda: np.zeros(PERCENT + 1, np.int64))

    @classmethod
    def start(cls, grid: Grid, level: int) -> DetectorTally:
        """Start the tally of a detector with nothing counted."""
        return cls(level, ReducedMap(grid, 1, PICTURE_PX), ReducedMap(grid, 4, PICTURE_PX))

    @property
    def counts(self) -> Counts:
        """Labelled pixels of the tally by percent."""
        return Counts(self.changed, self.unchanged)

    def add(self, window: Window, percent: Percent, truth: NDArray[np.uint8] | None) -> None:
        """Add a window to the tally: percent (255 = not observed), and truth (255 = not labelled)."""
        observed = percent != NOT_OBSERVED
        marked = observed & (percent >= self.level)
        self.observed += int(np.count_nonzero(observed))
        self.marked += int(np.count_nonzero(marked))
        self.probability.add(window, percent[None], observed)
        nothing = np.zeros_like(marked)
        if truth is None:
            self.verdict.add(window, np.stack([marked, nothing, nothing, ~marked]), observed)
            return
        known, is_changed = observed & (truth <= 1), truth == 1
        counts = Counts.of_steps(percent, is_changed, known, PERCENT)
        self.changed += counts.changed
        self.unchanged += counts.unchanged
        every = (marked & is_changed, marked & ~is_changed, ~marked & is_changed, ~marked & ~is_changed)
        self.verdict.add(window, np.stack(every), known)


@dataclass
class Agreement:
    """Tally of the agreement of two detectors, each at its own threshold: pixels that both observed."""

    both: int = 0  # marked by both
    first: int = 0  # by the first alone
    second: int = 0
    neither: int = 0

    def add(self, one: BoolArray, other: BoolArray) -> None:
        """Add pixels to the agreement: which ones the two detectors mark."""
        masks = one & other, one & ~other, other & ~one
        both, first, second = (int(np.count_nonzero(each)) for each in masks)
        self.both += both
        self.first += first
        self.second += second
        self.neither += one.size - both - first - second

    @property
    def confusion(self) -> Confusion:
        """Confusion of the two in this tally, as if the second were the truth."""
        return Confusion(*map(np.asarray, (self.both, self.first, self.second, self.neither)))


class Tallies:
    """Tallies of all detectors on a pair, by number, and of their agreement."""

    def __init__(self, grid: Grid, levels: dict[int, int]) -> None:
        """Start the tallies of detectors with these levels in percent."""
        self.each = {number: DetectorTally.start(grid, level) for number, level in levels.items()}
        self.agreement = {both: Agreement() for both in combinations(sorted(levels), 2)}

    def add(self, window: Window, percents: dict[int, Percent], truth: NDArray[np.uint8] | None) -> None:
        """Add a window to the tallies of the detectors that scored it."""
        for number, percent in percents.items():
            self.each[number].add(window, percent, truth)
        for one, other in combinations(sorted(percents), 2):
            first, second = percents[one], percents[other]
            seen = (first != NOT_OBSERVED) & (second != NOT_OBSERVED)
            self.agreement[one, other].add(
                first[seen] >= self.each[one].level, second[seen] >= self.each[other].level
            )
