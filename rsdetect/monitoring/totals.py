"""Totals of a job's events for its report: by status, by kind of change and by month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rsdetect.monitoring.events import Event, Status

UNKNOWN_KIND = "unknown"


@dataclass(frozen=True)
class Total:
    """Number and area of some events."""

    name: str
    count: int
    area_m2: float | None  # None without a CRS
    share: float = 0.0  # of the largest count beside it, 0 to 1


@dataclass(frozen=True)
class Totals:
    """Totals of a job's events, without those that merged into another, which counts their area."""

    by_status: tuple[Total, ...]
    by_kind: tuple[Total, ...]  # largest area first; empty where no kind is recorded
    by_month: tuple[Total, ...]  # of their first observation, without gaps

    @classmethod
    def of(cls, events: Sequence[Event]) -> Totals:
        """Count events and add up their areas as last seen."""
        counted = [event for event in events if event.merged_into is None]
        statuses = [str(event.status) for event in counted]
        by_status = _totals(zip(statuses, counted, strict=True))
        kinds = [event.kind or UNKNOWN_KIND for event in counted]
        by_kind = _totals(zip(kinds, counted, strict=True)) if any(event.kind for event in counted) else []
        by_month = _totals((f"{event.first_seen:%Y-%m}", event) for event in counted)
        order = {str(status): number for number, status in enumerate(Status)}
        return cls(
            tuple(sorted(by_status, key=lambda total: order[total.name])),
            tuple(sorted(by_kind, key=lambda total: (-(total.area_m2 or total.count), total.name))),
            tuple(_without_gaps(by_month)),
        )


def _totals(named: Iterable[tuple[str, Event]]) -> list[Total]:
    """Total of the events of each name."""
    groups: dict[str, list[Event]] = defaultdict(list)
    for name, event in named:
        groups[name].append(event)
    most = max((len(group) for group in groups.values()), default=1)
    return [Total(name, len(group), _area(group), len(group) / most) for name, group in groups.items()]


def _area(events: Sequence[Event]) -> float | None:
    """Total area of events; None if one has none."""
    areas = [event.area_m2 for event in events]
    return None if None in areas else sum(area for area in areas if area is not None)


def _without_gaps(months: Sequence[Total]) -> list[Total]:
    """Totals of all months from the first to the last, with zeros where nothing was first seen."""
    if not months:
        return []
    known = {total.name: total for total in months}
    first, last = min(known), max(known)
    found = []
    year, month = int(first[:4]), int(first[5:])
    while (name := f"{year:04}-{month:02}") <= last:
        found.append(known.get(name) or Total(name, 0, 0.0))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return found
