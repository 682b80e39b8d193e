"""Tally of scored pairs: counts that add up over pairs and places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.metrics import Counts

# Further leading axes, e.g. of bootstrap resamples, are kept.
Numbers = NDArray[Any]


@dataclass(frozen=True)
class Tally:
    """Tally of one pair, or of several added up."""

    changed: Numbers  # (101,) changed pixels by percent of probability
    unchanged: Numbers  # (101,)
    shifted_changed: Numbers  # (conditions, 101), such as a synthetic misregistration
    shifted_unchanged: Numbers  # (conditions, 101)
    pixels: Numbers  # labelled, and observed on both dates
    area_m2: Numbers  # of these pixels; NaN without a CRS
    objects: Numbers  # changed objects of at least 20 px
    objects_found: Numbers  # those of them with half or more marked
    false_regions: Numbers  # marked regions of at least 20 px without change
    marked_edge: Numbers  # boundary pixels of the marked area
    marked_edge_near: Numbers  # those of them near a boundary of the changed area
    true_edge: Numbers  # boundary pixels of the changed area
    true_edge_near: Numbers  # those of them near a boundary of the marked area
    quiet_pixels: Numbers  # pixels of pairs without change
    quiet_alarms: Numbers  # those of them that are marked

    @classmethod
    def total(cls, parts: Sequence[Tally]) -> Tally:
        """Total of several tallies."""
        return cls.drawn(parts, np.ones(len(parts), np.int64))

    @classmethod
    def drawn(cls, parts: Sequence[Tally], times: NDArray[np.int64]) -> Tally:
        """Total of tallies, each taken `times` (..., parts) times."""
        stacked = (np.stack([getattr(part, field.name) for part in parts]) for field in fields(cls))
        return cls(*(np.tensordot(times, stack, 1) for stack in stacked))

    @property
    def counts(self) -> Counts:
        """Counts of the tally by percent."""
        return Counts(self.changed, self.unchanged)

    @property
    def shifted(self) -> Counts:
        """Counts of the tally by percent under other conditions, (..., conditions, 101)."""
        return Counts(self.shifted_changed, self.shifted_unchanged)
