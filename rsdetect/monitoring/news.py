"""News of events: what changed since the last delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsdetect.files import hash_json
from rsdetect.monitoring.events import Event, Status

MILESTONES = (Status.CONFIRMED, Status.NEW, Status.RESOLVED, Status.MERGED)


@dataclass(frozen=True)
class NewsItem:
    """News item: an event whose milestone changed."""

    event: Event
    milestone: Status  # current milestone; being unobserved is not one
    was: str | None  # milestone in the last delivery; None = not delivered yet


@dataclass(frozen=True)
class News:
    """News to deliver: items and withdrawn events."""

    items: tuple[NewsItem, ...]  # largest first
    withdrawn: tuple[str, ...]  # ids of delivered events that no longer exist after a late scene

    @property
    def id(self) -> str:
        """Id of the news, equal for equal news."""
        reported = sorted((item.event.id, item.milestone, item.was or "") for item in self.items)
        return hash_json([reported, sorted(self.withdrawn)])

    def __bool__(self) -> bool:
        return bool(self.items or self.withdrawn)

    def at_milestone(self, milestone: Status) -> tuple[NewsItem, ...]:
        """News items whose events reached a milestone."""
        return tuple(item for item in self.items if item.milestone is milestone)


@dataclass(frozen=True)
class LatestNews:
    """News as the report keeps it until there is other news."""

    written: str  # time of their delivery, ISO 8601
    milestones: dict[str, tuple[str, str | None]]  # event: (milestone, the one before)
    withdrawn: tuple[str, ...]

    @classmethod
    def of(cls, news: News, written: str) -> LatestNews:
        """News of a run."""
        items = {item.event.id: (str(item.milestone), item.was) for item in news.items}
        return cls(written, items, news.withdrawn)

    @classmethod
    def from_journal(cls, fact: dict[str, Any] | None) -> LatestNews | None:
        """News as stored in the journal; None where none was stored."""
        if fact is None:
            return None
        items = {event: (milestone, was) for event, (milestone, was) in fact["milestones"].items()}
        return cls(fact["written"], items, tuple(fact["withdrawn"]))

    def items_of(self, events: Sequence[Event]) -> tuple[NewsItem, ...]:
        """News items of the events that still exist, largest first."""
        found = [
            NewsItem(event, Status(self.milestones[event.id][0]), self.milestones[event.id][1])
            for event in events
            if event.id in self.milestones
        ]
        return tuple(sorted(found, key=_news_order))


def event_milestone(event: Event) -> Status:
    """Milestone of an event for the news."""
    if event.merged_into is not None:
        return Status.MERGED
    if event.resolved_on is not None:
        return Status.RESOLVED
    return Status.NEW if event.confirmed_on is None else Status.CONFIRMED


def find_event_news(events: Sequence[Event], reported: dict[str, str]) -> News:
    """Find the news of events since their last delivery (`reported`: {event: milestone}).

    An event that merged into another before its first delivery is not news.
    """
    items = [NewsItem(event, event_milestone(event), reported.get(event.id)) for event in events]
    fresh = [
        item
        for item in items
        if item.was != item.milestone and not (item.was is None and item.milestone is Status.MERGED)
    ]
    fresh.sort(key=_news_order)
    return News(tuple(fresh), tuple(sorted(set(reported) - {event.id for event in events})))


def _news_order(item: NewsItem) -> tuple[float, str]:
    """Sort key of news items, largest first."""
    return -(item.event.area_m2 or item.event.geometry.area), item.event.id
