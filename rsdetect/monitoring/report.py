"""HTML report of a job: its latest news with pictures, totals, an overview map, and a table of all events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import shapely

from rsdetect.feeds.scene_refs import unmatched_text
from rsdetect.grid import Grid
from rsdetect.ingestion.site import Site
from rsdetect.monitoring.events import Event, Observation, Status
from rsdetect.monitoring.news import LatestNews, NewsItem, event_milestone
from rsdetect.monitoring.observation_strip import ObservationStrip
from rsdetect.monitoring.report_pictures import EventPictures, ReportPictures
from rsdetect.monitoring.timeline_plot import timeline_file
from rsdetect.monitoring.totals import Totals
from rsdetect.pages.templates import render, script
from rsdetect.scenes.places import place_texts

_MOST_PICTURED = 40  # events with pictures, largest first; limits the size of the page
_MOST_LISTED = 2000  # events in the table
_HEADINGS = {
    Status.CONFIRMED: ("Confirmed", "Seen in enough observations."),
    Status.NEW: ("New", "Seen for the first time; later clear scenes may confirm it."),
    Status.RESOLVED: ("Over", "No longer present."),
    Status.MERGED: ("Merged", "Merged into an older event, which continues for both."),
}
_STILL = ("Confirmed before", "Confirmed by earlier runs, and not over.")


@dataclass(frozen=True)
class MonitorReport:
    """Content of a job's report.

    Attributes
    ----------
    summary
        As in summary.json.
    latest
        The news of this run, or of the last run that had any; None = there never was one.
    pictures
        None = no scene could be read yet, and there are no events.
    timelines
        File names in the folder of timelines.
    to_folder
        Relative address of the job's output folder.
    """

    summary: Mapping[str, Any]
    events: Sequence[Event]
    observations: Sequence[Observation]
    latest: LatestNews | None
    site: Site | None
    pictures: ReportPictures | None
    timelines: frozenset[str] = frozenset()
    to_folder: str = ""


@dataclass(frozen=True)
class ReportEntry:
    """Entry of one event in the report."""

    event: Event
    place: str  # latitude and longitude, or row and column
    timeline: str  # file name; "" = there is none yet
    strip: ObservationStrip
    pictured: EventPictures | None


@dataclass(frozen=True)
class ReportSection:
    """Section of events in the report."""

    heading: str
    meaning: str
    entries: tuple[ReportEntry, ...]


def render_report(report: MonitorReport) -> str:
    """Render the report of a job as HTML."""
    return _Page(report).render()


@dataclass
class _Page:
    """Page of a report while it is put together."""

    report: MonitorReport
    _places: dict[str, str] = field(init=False)
    _observed: dict[str, list[Observation]] = field(init=False)

    def __post_init__(self) -> None:
        self._places = event_places(
            self.report.events, None if self.report.site is None else self.report.site.grid
        )
        self._observed = defaultdict(list)
        for each in self.report.observations:
            self._observed[each.event].append(each)

    def render(self) -> str:
        """Render the page."""
        report = self.report
        items = list(report.latest.items_of(report.events)) if report.latest is not None else []
        chosen = {item.event.id for item in items}
        still = [
            event
            for event in sorted(report.events, key=lambda event: -event.geometry.area)
            if event.id not in chosen and event_milestone(event) is Status.CONFIRMED
        ]
        pictured = [*(item.event for item in items), *still][:_MOST_PICTURED]
        entries = {event.id: self._entry(event, is_pictured=True) for event in pictured}
        listed = sorted(report.events, key=_listing_order)[:_MOST_LISTED]
        known = {event.id for event in listed}
        others = [event for event in report.events if event.id not in known and event.merged_into is None]
        drawn = [event for event in listed if event.merged_into is None]
        return render(
            "report.html",
            summary=report.summary,
            latest=report.latest,
            sections=list(_sections(items, still, entries)),
            totals=Totals.of(report.events),
            overview=None if report.pictures is None else report.pictures.overview(drawn, others),
            rows=[
                entries.get(event.id) or self._entry(event, is_pictured=False)
                for event in _latest_first(listed)
            ],
            left_out=len(report.events) - len(listed),
            not_pictured=len(items) + len(still) - len(pictured),
            to_folder=report.to_folder,
            unmatched=_unmatched(report.summary),
            script=script("sorting.js"),
        )

    def _entry(self, event: Event, *, is_pictured: bool) -> ReportEntry:
        """Entry of an event."""
        pictures = self.report.pictures if is_pictured else None
        name = f"{timeline_file(event.id)}.html"
        return ReportEntry(
            event=event,
            place=self._places[event.id],
            timeline=name if name in self.report.timelines else "",
            strip=ObservationStrip.of(self._observed[event.id]),
            pictured=None if pictures is None else pictures.of_event(event),
        )


def _sections(
    items: Sequence[NewsItem], still: Sequence[Event], entries: Mapping[str, ReportEntry]
) -> Iterator[ReportSection]:
    """Sections of the report that are not empty: the news by milestone, then what was confirmed before."""
    for milestone, (heading, meaning) in _HEADINGS.items():
        found = [item.event for item in items if item.milestone is milestone]
        shown = tuple(entries[event.id] for event in found if event.id in entries)
        if shown:
            yield ReportSection(heading, meaning, shown)
    shown = tuple(entries[event.id] for event in still if event.id in entries)
    if shown:
        yield ReportSection(*_STILL, shown)


def event_places(events: Sequence[Event], grid: Grid | None) -> dict[str, str]:
    """Place of a point on each event of a report: latitude and longitude, or row and column."""
    if grid is None or not events:
        return {event.id: "" for event in events}
    geometries = np.array([event.geometry for event in events], dtype=np.object_)
    points = shapely.get_coordinates(shapely.point_on_surface(geometries))
    return dict(zip((event.id for event in events), place_texts(grid, points), strict=True))


def _listing_order(event: Event) -> tuple[bool, float]:
    """Sort key of the events that a report lists: the open ones, then the latest."""
    return event.resolved_on is not None or event.merged_into is not None, -event.first_seen.timestamp()


def _latest_first(events: Sequence[Event]) -> list[Event]:
    """Events in the order of the report's table."""
    return sorted(events, key=lambda event: (event.first_seen, event.id), reverse=True)


def _unmatched(summary: Mapping[str, Any]) -> str:
    """Sentence of the report on files that do not fit the pattern; "" without any."""
    names = summary["run"].get("unmatched", ())
    return unmatched_text(names) if names else ""
