"""Observation strip: the dates of an event on a line, for its entry in the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsdetect.monitoring.events import Observation
from rsdetect.pages.templates import day

_MARGIN = 6.0  # in the strip's units, of which it is 200 wide
_WIDTH = 200.0
_CLASSES = {True: "seen", False: "gone", None: "hidden"}
_WORDS = {True: "present", False: "absent", None: "not observed"}


@dataclass(frozen=True)
class StripDate:
    """Date in an observation strip."""

    x: float
    outcome: str  # class of its mark: "seen", "gone" or "hidden"
    text: str


@dataclass(frozen=True)
class ObservationStrip:
    """Observation strip of an event."""

    dates: tuple[StripDate, ...]
    text: str  # for readers who do not see it

    @classmethod
    def of(cls, observations: Sequence[Observation]) -> ObservationStrip:
        """Place observations, which are in order of date, along the strip by time."""
        if not observations:
            return cls((), "")
        first, last = observations[0].taken, observations[-1].taken
        span = max((last - first).total_seconds(), 1.0)
        dates = []
        for each in observations:
            x = _MARGIN + (each.taken - first).total_seconds() / span * (_WIDTH - 2 * _MARGIN)
            sure = "" if each.probability_mean is None else f", {each.probability_mean:.0%}"
            text = f"{day(each.taken)}: {_WORDS[each.seen]}{sure}"
            dates.append(StripDate(round(x, 1), _CLASSES[each.seen], text))
        return cls(tuple(dates), "; ".join(each.text for each in dates))
