"""The page that people read after a run: what is new, with pictures, and all events as a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsdetect.monitoring.events import Event, Observation, Status
from rsdetect.monitoring.history_store import load_observations
from rsdetect.monitoring.job import ScenesSection
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.news import Item, News
from rsdetect.monitoring.site import Site
from rsdetect.monitoring.thumbnails import Cutout, Thumbnails
from rsdetect.pages.templates import day, render

_MOST_PICTURED = 40  # events with pictures, the largest; a page of 10 MB is no page
_MOST_LISTED = 500  # events in the table, the latest
_HEADINGS = {
    Status.CONFIRMED: ("Confirmed", "Seen often enough to be believed."),
    Status.NEW: ("New", "Seen for the first time, to be confirmed by the next clear scenes."),
    Status.RESOLVED: ("Over", "No longer there."),
    Status.MERGED: ("Merged", "Grown together with an older event, which goes on for both."),
}


@dataclass(frozen=True)
class Picture:
    """One date of an event."""

    title: str
    image: str  # data URI
    path: str  # outline over it, SVG


@dataclass(frozen=True)
class Entry:
    """One event as the page shows it."""

    event: Event
    item: Item
    pictures: tuple[Picture, ...]
    shape: tuple[int, int]  # of the pictures, (height, width)


def render_report(
    content: dict[str, Any],
    events: Sequence[Event],
    news: News,
    journal: Journal,
    site: Site | None,
    options: ScenesSection,
) -> str:
    """The page as HTML; `content` is the summary."""
    pictured = {item.event.id for item in news.items[:_MOST_PICTURED]}
    drawer = None if site is None else _Drawer(journal, site, options)
    sections = [
        (*_HEADINGS[milestone], [_entry(item, drawer, pictured) for item in news.of(milestone)])
        for milestone in _HEADINGS
    ]
    latest = sorted(events, key=lambda event: (event.first_seen, event.id), reverse=True)
    return render(
        "report.html",
        summary=content,
        sections=[section for section in sections if section[2]],
        news=news,
        events=latest[:_MOST_LISTED],
        left_out=max(0, len(latest) - _MOST_LISTED),
        not_pictured=max(0, len(news.items) - _MOST_PICTURED),
    )


def _entry(item: Item, drawer: _Drawer | None, pictured: set[str]) -> Entry:
    if drawer is None or item.event.id not in pictured:
        return Entry(item.event, item, (), (0, 0))
    cutout = Cutout.around(item.event.geometry, drawer.site)
    return Entry(item.event, item, tuple(drawer.pictures(item.event, cutout)), cutout.shape)


class _Drawer:
    """Finds the scenes that show an event best, before and after."""

    def __init__(self, journal: Journal, site: Site, options: ScenesSection) -> None:
        self.site = site
        self._thumbnails = Thumbnails(site, options, journal.scenes())
        self._seen: dict[str, list[Observation]] = defaultdict(list)
        for observation in load_observations(journal):
            if observation.seen:
                self._seen[observation.event].append(observation)

    def pictures(self, event: Event, cutout: Cutout) -> list[Picture]:
        """Before; after; and since it is over, where it is."""
        scenes = sorted(self._thumbnails.scenes.values(), key=lambda scene: scene.taken, reverse=True)
        seen = [self._thumbnails.scenes.get(each.scene) for each in reversed(self._seen[event.id])]
        moments = {
            "before": [scene for scene in scenes if scene.taken < event.first_seen],
            "after": [scene for scene in seen if scene is not None],
        }
        if event.resolved_on is not None:
            moments["since"] = [scene for scene in reversed(scenes) if scene.taken >= event.resolved_on]
        thumbs = {name: self._thumbnails.clearest(found, cutout) for name, found in moments.items()}
        images = self._thumbnails.draw(list(thumbs.values()))
        outline = cutout.outline(event.geometry, self.site)
        return [
            Picture(f"{name}, {day(thumb.taken)}", image, outline)
            for (name, thumb), image in zip(thumbs.items(), images, strict=True)
            if thumb is not None and image is not None
        ]
