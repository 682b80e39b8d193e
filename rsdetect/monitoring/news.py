"""What became of events since somebody was last told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsdetect.files import hash_json
from rsdetect.monitoring.events import Event, Status

MILESTONES = (Status.CONFIRMED, Status.NEW, Status.RESOLVED, Status.MERGED)


@dataclass(frozen=True)
class Item:
    """One event with something to tell."""

    event: Event
    milestone: Status  # what it has come to; a cloud in between is none
    was: str | None  # the milestone that was told last; None = the event was not told of


@dataclass(frozen=True)
class News:
    """What is to be told."""

    items: tuple[Item, ...]  # largest first
    withdrawn: tuple[str, ...]  # ids that were told and are no events any more, after a scene came late

    @property
    def id(self) -> str:
        """The same for the same news."""
        told = sorted((item.event.id, item.milestone, item.was or "") for item in self.items)
        return hash_json([told, sorted(self.withdrawn)])

    def __bool__(self) -> bool:
        return bool(self.items or self.withdrawn)

    def of(self, milestone: Status) -> tuple[Item, ...]:
        """Those that have come to this."""
        return tuple(item for item in self.items if item.milestone is milestone)


def milestone(event: Event) -> Status:
    """What an event has come to."""
    if event.merged_into is not None:
        return Status.MERGED
    if event.resolved_on is not None:
        return Status.RESOLVED
    return Status.NEW if event.confirmed_on is None else Status.CONFIRMED


def find_news(events: Sequence[Event], told: dict[str, str]) -> News:
    """What became of events since they were `told` of ({event: milestone}).

    An event that merged into another before anybody was told of it is no news.
    """
    items = [Item(event, milestone(event), told.get(event.id)) for event in events]
    fresh = [
        item
        for item in items
        if item.was != item.milestone and not (item.was is None and item.milestone is Status.MERGED)
    ]
    fresh.sort(key=lambda item: (-(item.event.area_m2 or item.event.geometry.area), item.event.id))
    return News(tuple(fresh), tuple(sorted(set(told) - {event.id for event in events})))
