"""What is counted of scored pairs: numbers that add up over pairs and places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.metrics import Counts

# Axes before those that are named here, of places drawn anew, say, stand for themselves.
Numbers = NDArray[Any]


@dataclass(frozen=True)
class Tally:
    """Counts of one pair, or of any number of them together."""

    changed: Numbers  # (101,) changed pixels by percent of probability
    unchanged: Numbers  # (101,)
    shifted_changed: Numbers  # (shifts, 101), of the pair with its after scene moved
    shifted_unchanged: Numbers  # (shifts, 101)
    pixels: Numbers  # labelled and observed on both dates
    area_m2: Numbers  # of them; NaN where the pair has no CRS
    objects: Numbers  # changed objects of 20 px or more
    objects_found: Numbers  # of them, those that are marked by half or more
    false_regions: Numbers  # marked regions of 20 px or more in which nothing changed
    marked_edge: Numbers  # pixels on the edge of what is marked
    marked_edge_near: Numbers  # of them, those near an edge of what changed
    true_edge: Numbers  # pixels on the edge of what changed
    true_edge_near: Numbers  # of them, those near an edge of what is marked
    quiet_pixels: Numbers  # pixels of pairs without change
    quiet_alarms: Numbers  # of them, those that are marked

    @classmethod
    def total(cls, parts: Sequence[Tally]) -> Tally:
        """Several tallies together."""
        return cls.drawn(parts, np.ones(len(parts), np.int64))

    @classmethod
    def drawn(cls, parts: Sequence[Tally], times: NDArray[np.int64]) -> Tally:
        """The total with each part taken `times` (..., parts) often."""
        stacked = (np.stack([getattr(part, field.name) for part in parts]) for field in fields(cls))
        return cls(*(np.tensordot(times, stack, 1) for stack in stacked))

    @property
    def counts(self) -> Counts:
        """By percent, as the scenes are."""
        return Counts(self.changed, self.unchanged)

    @property
    def shifted(self) -> Counts:
        """By percent, with (..., shifts, 101) of the moved scenes."""
        return Counts(self.shifted_changed, self.shifted_unchanged)
