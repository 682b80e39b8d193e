"""After a run: what became of events since somebody was last told, as JSON and as a page, and who is called.

What was told is remembered event by event, and only when the hook took it. So a hook that fails undoes
nothing: the next run tells again what is still untold, together with what came on top. A run that is killed
between the hook and the remembering tells twice; the id of the news is then the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import shapely
from pyproj import Transformer

from rsdetect.errors import JobInterrupted, RsdetectError
from rsdetect.files import as_json, write_text
from rsdetect.monitoring.events import Event
from rsdetect.monitoring.folder import JobFolder
from rsdetect.monitoring.history_store import load_events
from rsdetect.monitoring.hooks import HookFailed, call_hook
from rsdetect.monitoring.job import Job
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.news import MILESTONES, Item, News, find_news, milestone
from rsdetect.monitoring.report import render_report
from rsdetect.monitoring.site import known_site

SUMMARY, REPORT, REPORTS = "summary.json", "report.html", "reports"
_VERSION = 1
_TOLD = "told"  # the journal's fact: {event: milestone}
_WAIT_S = 60.0  # for another run of the same job


def tell_news(job_file: Path, job: Job, folder: JobFolder, run: dict[str, Any]) -> dict[str, Any]:
    """Write summary and report of a run, and call the job's hook when there is news.

    Parameters
    ----------
    run
        What the run says of itself, in JSON types; goes into the summary.

    Returns
    -------
    dict
        The summary, as it is written.

    Raises
    ------
    JobInterrupted
        The hook failed, or a file could not be written; the next run tells again.
    """
    with folder.held(_WAIT_S), Journal(folder.journal, write=True) as journal:
        events = load_events(journal)
        news = find_news(events, journal.fact(_TOLD) or {})
        content = _summary(job_file, job, folder, journal, news, run)
        try:
            _write_pages(folder, journal, job, events, news, content)
        except OSError as error:
            raise JobInterrupted(
                f"{error.filename or folder.out} cannot be written: {error.strerror or error}; the run "
                "itself is done, and the next one tells its news."
            ) from error
        if news:
            try:
                call_hook(job.news, folder.out / SUMMARY, content, job_file.absolute().parent)
            except (HookFailed, RsdetectError) as error:
                raise JobInterrupted(
                    f"nobody was told of the news: {' '.join(str(error).split()).rstrip('.')}; the run "
                    "itself is done, and the next one tells again."
                ) from error
            journal.put_fact(_TOLD, {event.id: milestone(event) for event in events})
    return content


def _summary(
    job_file: Path, job: Job, folder: JobFolder, journal: Journal, news: News, run: dict[str, Any]
) -> dict[str, Any]:
    written = datetime.now(UTC)
    # Of an earlier try that nobody heard of.
    dated = next((folder.out / REPORTS).glob(f"*_{news.id[:8]}.html"), None)
    report = dated or folder.out / REPORTS / f"{written:%Y%m%dT%H%M%S}_{news.id[:8]}.html"
    place = _Watched(journal)
    return {
        "rsdetect": "news",
        "version": _VERSION,
        "news_id": news.id,
        "site": job.site,
        "job": str(job_file.absolute()),
        "written": written.isoformat(timespec="seconds"),
        "has_news": bool(news),
        "news": {str(each): [_item(item, place) for item in news.of(each)] for each in MILESTONES}
        | {"withdrawn": list(news.withdrawn)},
        "run": run,
        "files": {
            "summary": str((folder.out / SUMMARY).absolute()),
            "report": str((report if news else folder.out / REPORT).absolute()),
            "events": str(folder.events.absolute()),
        },
    }


def _item(item: Item, place: _Watched) -> dict[str, Any]:
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
        **place.of(event),
    }


class _Watched:
    """Where events lie: in longitude and latitude, where the job has a CRS."""

    def __init__(self, journal: Journal) -> None:
        site = journal.fact("site")
        crs = None if site is None else site["crs"]
        self._to_degrees = None if crs is None else Transformer.from_crs(crs, "EPSG:4326", always_xy=True)

    def of(self, event: Event) -> dict[str, Any]:
        inner = shapely.point_on_surface(event.geometry)
        if self._to_degrees is None:
            return {"x": inner.x, "y": inner.y}
        longitude, latitude = self._to_degrees.transform(inner.x, inner.y)
        return {"longitude": round(longitude, 6), "latitude": round(latitude, 6)}


def _write_pages(
    folder: JobFolder,
    journal: Journal,
    job: Job,
    events: Sequence[Event],
    news: News,
    content: dict[str, Any],
) -> None:
    fact = journal.fact("site")
    site = None if fact is None else known_site(fact, None)
    page = render_report(content, events, news, journal, site, job.scenes)
    if news:
        dated = Path(content["files"]["report"])
        dated.parent.mkdir(exist_ok=True)
        write_text(dated, page)
    write_text(folder.out / REPORT, page)
    write_text(folder.out / SUMMARY, as_json(content))
