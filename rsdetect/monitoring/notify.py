"""Notification after a run: the news since the last delivery as JSON and HTML, passed to the job's hook.

Delivered milestones are stored event by event, after the hook accepted them. A failed hook therefore loses
nothing: the next run delivers the same news again, with later ones. A run that is killed between the hook and
the storing delivers twice, under the same news id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import shapely
from pyproj import Transformer

from rsdetect.errors import JobInterrupted, RsdetectError
from rsdetect.files import as_json, write_text
from rsdetect.ingestion.site import site_from_journal
from rsdetect.jsontypes import JsonObject
from rsdetect.monitoring.events import Event
from rsdetect.monitoring.history_store import load_events, load_observations
from rsdetect.monitoring.hooks import HookFailed, call_hook
from rsdetect.monitoring.job import Job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.news import MILESTONES, LatestNews, News, NewsItem, event_milestone, find_event_news
from rsdetect.monitoring.report import MonitorReport, render_report
from rsdetect.monitoring.report_pictures import PictureCache, ReportPictures
from rsdetect.monitoring.thumbnails import Thumbnails

SUMMARY, REPORT, REPORTS = "summary.json", "report.html", "reports"
_VERSION = 1
_LATEST = "news"  # fact in the journal: the news of the last run that had any
_TOLD = "told"  # fact in the journal: {event: milestone}


def deliver_news(job_file: Path, job: Job, folder: JobFolder, run: JsonObject) -> JsonObject:
    """Write the summary and report of a run, and notify the job's hook when there is news.

    Parameters
    ----------
    folder
        Folder of the job, which this process holds.
    run
        Summary of the run in JSON types, included in the summary of the news.

    Returns
    -------
    dict
        The summary as written.

    Raises
    ------
    JobInterrupted
        The hook failed, or a file could not be written; the next run delivers again.
    """
    with Journal(folder.journal, write=True) as journal:
        events = load_events(journal)
        news = find_event_news(events, journal.fact(_TOLD) or {})
        content = _news_summary(job_file, job, folder, journal, news, run)
        fresh = LatestNews.of(news, str(content["written"]))
        latest = fresh if news else LatestNews.from_journal(journal.fact(_LATEST))
        try:
            _write_report_pages(folder, journal, job, events, latest, content)
        except OSError as error:
            raise JobInterrupted(
                f"{error.filename or folder.out} cannot be written: {error.strerror or error}; the run "
                "itself is complete, and the next one delivers its news."
            ) from error
        if news:
            try:
                call_hook(job.news, folder.out / SUMMARY, content, job_file.absolute().parent)
            except (HookFailed, RsdetectError) as error:
                raise JobInterrupted(
                    f"the news were not delivered: {' '.join(str(error).split()).rstrip('.')}; the run "
                    "itself is complete, and the next one delivers them again."
                ) from error
            journal.put_fact(_LATEST, asdict(fresh))
            journal.put_fact(_TOLD, {event.id: event_milestone(event) for event in events})
    return content


def _news_summary(
    job_file: Path, job: Job, folder: JobFolder, journal: Journal, news: News, run: JsonObject
) -> JsonObject:
    """Notification summary of a run and its news, in JSON types."""
    written = datetime.now(UTC)
    # The report of an earlier, failed delivery of the same news.
    dated = next((folder.out / REPORTS).glob(f"*_{news.id[:8]}.html"), None)
    report = dated or folder.out / REPORTS / f"{written:%Y%m%dT%H%M%S}_{news.id[:8]}.html"
    locator = _EventLocator(journal)
    return {
        "rsdetect": "news",
        "version": _VERSION,
        "news_id": news.id,
        "site": job.site,
        "job": str(job_file.absolute()),
        "written": written.isoformat(timespec="seconds"),
        "has_news": bool(news),
        "news": {
            str(each): [_summary_item(item, locator) for item in news.at_milestone(each)]
            for each in MILESTONES
        }
        | {"withdrawn": list(news.withdrawn)},
        "run": run,
        "files": {
            "summary": str((folder.out / SUMMARY).absolute()),
            "report": str((report if news else folder.out / REPORT).absolute()),
            "events": str(folder.events.absolute()),
        },
    }


def _summary_item(item: NewsItem, locator: _EventLocator) -> JsonObject:
    """News item in JSON types for the notification."""
    event = item.event

    def text(moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    return {
        "event": event.id,
        "was": item.was,
        "first_seen": text(event.first_seen),
        "last_seen": text(event.last_seen),
        "confirmed_on": text(event.confirmed_on),
        "resolved_on": text(event.resolved_on),
        "observations": event.observations,
        "seen": event.seen,
        "area_m2": event.area_m2,
        "probability_mean": event.probability_mean,
        "merged_into": event.merged_into,
        "follows": event.follows,
        "kind": event.kind,
        **locator.locate(event),
    }


class _EventLocator:
    """Locator of events for the summary: longitude and latitude, or pixels without a CRS."""

    def __init__(self, journal: Journal) -> None:
        site = journal.fact("site")
        crs = None if site is None else site["crs"]
        self._to_degrees = None if crs is None else Transformer.from_crs(crs, "EPSG:4326", always_xy=True)

    def locate(self, event: Event) -> JsonObject:
        """Coordinates of a point on an event for the notification."""
        inner = shapely.point_on_surface(event.geometry)
        if self._to_degrees is None:
            return {"x": inner.x, "y": inner.y}
        longitude, latitude = self._to_degrees.transform(inner.x, inner.y)
        return {"longitude": round(longitude, 6), "latitude": round(latitude, 6)}


def _write_report_pages(
    folder: JobFolder,
    journal: Journal,
    job: Job,
    events: Sequence[Event],
    latest: LatestNews | None,
    content: JsonObject,
) -> None:
    """Write the summary and the report pages of a notification."""
    fact = journal.fact("site")
    site = None if fact is None else site_from_journal(fact, None)
    observations = load_observations(journal)
    cache = PictureCache(folder.pictures)
    pictures = None
    if site is not None:
        thumbnails = Thumbnails(site, job.scenes, journal.scenes())
        pictures = ReportPictures(site, thumbnails, observations, cache)
    timelines = frozenset(path.name for path in folder.timelines.glob("*.html"))
    report = MonitorReport(content, events, observations, latest, site, pictures, timelines)
    page = render_report(report)
    if content["has_news"]:
        dated = Path(report_of(content))
        dated.parent.mkdir(exist_ok=True)
        write_text(dated, render_report(replace(report, to_folder="../")))
    write_text(folder.report, page)
    write_text(folder.summary, as_json(content))
    cache.save()


def report_of(summary: JsonObject) -> str:
    """Report path of a summary of news."""
    files = summary["files"]
    assert isinstance(files, dict)
    return str(files["report"])
