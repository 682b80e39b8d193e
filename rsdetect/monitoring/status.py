"""What a job has done, what waits, what failed and why; read from the journal, which stays as it is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.monitoring.events import Status
from rsdetect.monitoring.folder import JobFolder
from rsdetect.monitoring.history_store import load_events
from rsdetect.monitoring.intake import FAILED, USABLE
from rsdetect.monitoring.job_file import read_job
from rsdetect.monitoring.journal import Journal, SceneRow, StepRow
from rsdetect.monitoring.run import list_scenes

DONE, WAITS = "done", "waits"


@dataclass(frozen=True)
class SceneStatus:
    """Where one scene stands."""

    scene: str
    date: str  # ISO
    state: str  # "done", "waits", "clouded", "set aside" or "failed"
    detail: str  # what was found, or why not
    baseline: str  # what it was compared with
    valid_share: float | None  # of its pixels in the area of interest


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands."""

    site: str
    out: str
    last_run: dict[str, Any] | None  # None = it never ran
    scenes: tuple[SceneStatus, ...]  # by date
    events: dict[str, int]  # how many of each status
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """In JSON types."""
        return asdict(self)


def job_status(job_file: Path) -> JobStatus:
    """Look at a job without changing anything.

    Raises
    ------
    InputError
        The job file is wrong, or its folder is no job's.
    """
    job = read_job(job_file)
    folder = JobFolder(job.path(job.out, job_file))
    notes: list[str] = []
    refs = []
    try:
        refs = list_scenes(job, job_file, None if job.aoi is None else job.path(job.aoi, job_file))
    except JobInterrupted as error:
        notes.append(str(error))
    waiting = [SceneStatus(ref.id, ref.day, WAITS, "not looked at yet", "", None) for ref in refs]
    if not folder.journal.exists():
        if folder.events.exists():
            raise OutputError(f"{folder.out} holds results and no journal of a monitoring job.")
        return JobStatus(job.site, str(folder.out), None, tuple(waiting), {}, tuple(notes))
    with Journal(folder.journal, write=False) as journal:
        rows = journal.scenes()
        steps = _latest(journal.steps())
        last = journal.last_run()
        events = {str(status): 0 for status in Status}
        for event in load_events(journal):
            events[str(event.status)] += 1
    if last is not None and last["ended"] is None:
        notes.append("the last run did not come to its end, or is still at work.")
    known = [_scene(row, steps.get(row.id)) for row in rows if row.id not in job.scenes.exclude]
    fresh = [each for each in waiting if each.scene not in {row.id for row in rows}]
    scenes = sorted([*known, *fresh], key=lambda each: (each.date, each.scene))
    return JobStatus(job.site, str(folder.out), last, tuple(scenes), events, tuple(notes))


def _latest(steps: dict[str, StepRow]) -> dict[str, StepRow]:
    """The step of each scene that was begun last."""
    return {row.scene: row for row in steps.values()}


def _scene(row: SceneRow, step: StepRow | None) -> SceneStatus:
    baseline = "" if step is None else step.baseline
    if row.state == FAILED:
        state, detail = FAILED, _tries(row.reason, row.attempts)
    elif row.state != USABLE:
        state, detail = row.state, row.reason
    elif step is None:
        state, detail = WAITS, "nothing older to compare it with"
    elif step.state == "failed":
        state, detail = FAILED, _tries(step.reason, step.attempts)
    elif step.state == "begun":
        state, detail = WAITS, "begun, and not finished"
    else:
        counts = step.content["counts"]
        state, detail = DONE, f"{counts['regions']} region{'s' if counts['regions'] != 1 else ''}"
    share = row.content.get("valid_share")
    return SceneStatus(row.id, row.taken.date().isoformat(), state, detail, baseline, share)


def _tries(reason: str, attempts: int) -> str:
    return reason if attempts < 2 else f"{reason} ({attempts} tries)"
