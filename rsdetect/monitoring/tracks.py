"""Track: the mutable state of an event while its observations are added."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rsdetect.monitoring.comparison import Step
from rsdetect.monitoring.events import Event, Status

LEAST_OVERLAP = 0.25  # share of the smaller area
LEAST_BORDER = 0.125  # share of the shorter outline
# Smaller area over larger area: events do not grow tenfold between two dates. Where a whole district turns
# green, a construction site in it stays an event of its own.
LEAST_SIZE = 0.1


def belongs(region: Any, extent: Any) -> bool:
    """True if a region belongs to an event's track: it overlaps its extent, or adjoins it after growth.

    Both are pixel outlines in one CRS, so that adjacent ones share edges exactly.

    >>> from shapely import box
    >>> belongs(box(0, 0, 4, 4), box(2, 0, 9, 9)), belongs(box(0, 0, 4, 4), box(3, 3, 9, 9))
    (True, False)
    >>> belongs(box(0, 0, 1, 1), box(0, 0, 9, 9))
    False
    >>> belongs(box(0, 0, 4, 2), box(4, 0, 8, 4)), belongs(box(0, 0, 4, 4), box(4, 4, 8, 8))
    (True, False)
    """
    if not region.intersects(extent):
        return False
    smaller, larger = sorted((region.area, extent.area))
    if smaller < LEAST_SIZE * larger:
        return False
    if region.intersection(extent).area >= LEAST_OVERLAP * smaller:
        return True
    border = region.boundary.intersection(extent.boundary).length
    return bool(border >= LEAST_BORDER * min(region.length, extent.length))


@dataclass
class Track:
    """Track of an event: its state while observations are added by date."""

    id: str
    first: Step
    core: Any  # area in which the event was first seen, and by which it is judged
    extent: Any  # union of all areas it ever covered
    shape: Any  # as last seen
    probability: float
    recent: deque[bool]
    follows: str | None = None
    kind: str | None = None
    last_seen: datetime = field(init=False)
    confirmed_on: datetime | None = None
    resolved_on: datetime | None = None
    merged_into: str | None = None
    valid: int = 1
    seen: int = 1
    missed: int = 0  # consecutive valid observations without it
    hidden: bool = False  # the latest scene was not a valid observation

    def __post_init__(self) -> None:
        self.last_seen = self.first.scene.taken

    @property
    def is_open(self) -> bool:
        """True until the tracked event is resolved or merged."""
        return self.resolved_on is None and self.merged_into is None

    @property
    def status(self) -> Status:
        """Current status of the tracked event."""
        if self.merged_into is not None:
            return Status.MERGED
        if self.resolved_on is not None:
            return Status.RESOLVED
        if self.hidden:
            return Status.UNOBSERVED
        return Status.NEW if self.confirmed_on is None else Status.CONFIRMED

    @property
    def age_key(self) -> tuple[datetime, str]:
        """Sort key of tracks: older events first."""
        return self.first.scene.taken, self.id

    def as_event(self, area_of: Callable[[Any], float | None]) -> Event:
        """Event of the track; `area_of` gives the area of a geometry in m²."""
        return Event(
            id=self.id,
            status=self.status,
            first_seen=self.first.scene.taken,
            last_seen=self.last_seen,
            confirmed_on=self.confirmed_on,
            resolved_on=self.resolved_on,
            observations=self.valid,
            seen=self.seen,
            geometry=self.shape,
            area_m2=area_of(self.shape),
            probability_mean=self.probability,
            merged_into=self.merged_into,
            follows=self.follows,
            kind=self.kind,
        )
