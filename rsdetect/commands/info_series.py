"""Text of `rsdetect info` on what has many scenes: a batch, a monitoring job."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsdetect.amounts import area_text, count_text
from rsdetect.batches.pairs import INDEX, POLYGONS, REPORT, TABLE
from rsdetect.batches.status import BatchStatus
from rsdetect.commands.info_text import Row
from rsdetect.ingestion.ingested_scene import FAILED
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.status import JobStatus

_MOST_LISTED = 10  # pairs or scenes that failed


def batch_rows(status: BatchStatus, record: Mapping[str, Any] | None, folder: Path) -> Iterator[Row]:
    """Rows of the info text on a batch.

    Parameters
    ----------
    record
        Content of its `batch.json`; None = the batch has shards, which are not collected yet.
    """
    if record is not None:
        yield "list", str(record["list"])
    state, *others = status.lines()
    yield "batch", state
    first_failure = len(others) - len(status.failed)
    yield from (("", line) for line in others[:first_failure])
    if record is not None and record.get("regions") is not None:
        area = record.get("changed_area_m2")
        size = "" if area is None else f", {area_text(area)}"
        yield "result", f"{count_text(record['regions'], 'region')} changed{size}"
    yield from _listed("failed", others[first_failure:])
    if record is not None:
        if record.get("finished"):
            yield "finished", _moment(record["finished"])
        yield from _files(folder, (POLYGONS, INDEX, TABLE, REPORT))
        yield "", f"Each pair has a folder of its own: rsdetect info {shlex.quote(str(folder / 'PAIR'))}"
    else:
        yield "", f"rsdetect batch LIST.csv --out {shlex.quote(str(folder))} --collect makes one of them"


def job_rows(status: JobStatus, job_file: str) -> Iterator[Row]:
    """Rows of the info text on a monitoring job.

    Parameters
    ----------
    job_file
        Name of the job file for commands.
    """
    yield "site", status.site
    scenes = Counter(each.state for each in status.scenes)
    counts = ", ".join(f"{number:,} {state}" for state, number in scenes.items())
    if status.scenes:
        first, last = status.scenes[0].date, status.scenes[-1].date
        days = first if first == last else f"{first} to {last}"
        yield "scenes", f"{count_text(len(status.scenes), 'scene')}, {days}: {counts}"
    named = ", ".join(f"{number:,} {state}" for state, number in status.events.items() if number)
    yield "events", named or "none"
    yield from _listed(
        "failed", [f"{each.scene}: {each.detail}" for each in status.scenes if each.state == FAILED]
    )
    run = status.last_run
    ended = "" if run is None or run["status"] is None else f", ended with status {run['status']}"
    yield "last run", "never" if run is None else f"{_moment(run['began'])}{ended}"
    yield from (("note", note) for note in status.notes)
    folder = JobFolder(Path(status.out))
    yield from _files(folder.out, (folder.events.name, folder.report.name, folder.summary.name))
    yield "", f"Each scene: rsdetect monitor status {shlex.quote(job_file)}"


def _files(folder: Path, names: tuple[str, ...]) -> Iterator[Row]:
    """Row on the files of a batch or a job that are there."""
    there = [name for name in names if (folder / name).exists()]
    if there:
        yield "files", f"in {folder}: {', '.join(there)}"


def _listed(label: str, lines: list[str]) -> Iterator[Row]:
    """Rows on what failed, the first ones."""
    yield from ((label, line) for line in lines[:_MOST_LISTED])
    if len(lines) > _MOST_LISTED:
        yield label, f"and {len(lines) - _MOST_LISTED:,} more"


def _moment(text: str) -> str:
    """Moment of a record for people.

    >>> _moment("2026-11-29T11:07:11.123456+00:00")
    '2026-11-29 11:07 UTC'
    """
    return f"{text[:16].replace('T', ' ')} UTC"
