"""HTML report of a run: the news with pictures, and a table of all events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import Site
from rsdetect.monitoring.events import Event, Observation, Status
from rsdetect.monitoring.history_store import load_observations
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.news import News, NewsItem
from rsdetect.monitoring.thumbnails import Cutout, Thumbnails
from rsdetect.pages.templates import day, render

_MOST_PICTURED = 40  # events with pictures, largest first; limits the size of the page
_MOST_LISTED = 500  # events in the table, latest first
_HEADINGS = {
    Status.CONFIRMED: ("Confirmed", "Seen in enough observations."),
    Status.NEW: ("New", "Seen for the first time; later clear scenes may confirm it."),
    Status.RESOLVED: ("Over", "No longer present."),
    Status.MERGED: ("Merged", "Merged into an older event, which continues for both."),
}


@dataclass(frozen=True)
class ReportPicture:
    """Picture of one date of an event in the report."""

    title: str
    image: str  # data URI
    path: str  # SVG path of the outline


@dataclass(frozen=True)
class ReportEntry:
    """Entry of one event in the report."""

    event: Event
    item: NewsItem
    pictures: tuple[ReportPicture, ...]
    shape: tuple[int, int]  # (height, width) of the pictures


def render_report(
    content: dict[str, Any],
    events: Sequence[Event],
    news: News,
    journal: Journal,
    site: Site | None,
    options: ScenesSection,
) -> str:
    """Render the report of a run as HTML; `content` is the summary."""
    pictured = {item.event.id for item in news.items[:_MOST_PICTURED]}
    pictures = None if site is None else _ReportPictures(journal, site, options)
    sections = [
        (
            *_HEADINGS[milestone],
            [_report_entry(item, pictures, pictured) for item in news.at_milestone(milestone)],
        )
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


def _report_entry(item: NewsItem, pictures: _ReportPictures | None, pictured: set[str]) -> ReportEntry:
    """Entry of a news item in the report, with pictures for the largest."""
    if pictures is None or item.event.id not in pictured:
        return ReportEntry(item.event, item, (), (0, 0))
    cutout = Cutout.around(item.event.geometry, pictures.site)
    return ReportEntry(item.event, item, tuple(pictures.pictures(item.event, cutout)), cutout.shape)


class _ReportPictures:
    """Pictures of events in the report: the clearest scenes before and after."""

    def __init__(self, journal: Journal, site: Site, options: ScenesSection) -> None:
        self.site = site
        self._thumbnails = Thumbnails(site, options, journal.scenes())
        self._seen: dict[str, list[Observation]] = defaultdict(list)
        for observation in load_observations(journal):
            if observation.seen:
                self._seen[observation.event].append(observation)

    def pictures(self, event: Event, cutout: Cutout) -> list[ReportPicture]:
        """Pictures of an event for the report: before, after, and since its resolution."""
        scenes = sorted(self._thumbnails.scenes.values(), key=lambda scene: scene.taken, reverse=True)
        seen = [self._thumbnails.scenes.get(each.scene) for each in reversed(self._seen[event.id])]
        moments = {
            "before": [scene for scene in scenes if scene.taken < event.first_seen],
            "after": [scene for scene in seen if scene is not None],
        }
        if event.resolved_on is not None:
            moments["since"] = [scene for scene in reversed(scenes) if scene.taken >= event.resolved_on]
        thumbs = {name: self._thumbnails.clearest(found, cutout) for name, found in moments.items()}
        images = self._thumbnails.data_uris(list(thumbs.values()))
        outline = cutout.outline(event.geometry, self.site)
        return [
            ReportPicture(f"{name}, {day(thumb.taken)}", image, outline)
            for (name, thumb), image in zip(thumbs.items(), images, strict=True)
            if thumb is not None and image is not None
        ]
