"""Status of a monitoring job from its journal, which is only read: scenes done, waiting and failed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.feeds.scene_refs import SceneListing, unmatched_text
from rsdetect.ingestion.ingested_scene import FAILED, USABLE
from rsdetect.ingestion.scene_row import SceneRow, current_rows
from rsdetect.monitoring.events import Status
from rsdetect.monitoring.history_store import load_events
from rsdetect.monitoring.job_file import read_job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal, StepRow
from rsdetect.monitoring.run import JOB, list_scenes

DONE, WAITS = "done", "waits"


@dataclass(frozen=True)
class SceneStatus:
    """Status of one scene of a job."""

    scene: str
    date: str  # ISO
    state: str  # "done", "waits", "clouded", "set aside" or "failed"
    detail: str  # findings, or the reason
    baseline: str  # description of its baseline
    valid_share: float | None  # valid share of the pixels in the area of interest


@dataclass(frozen=True)
class JobStatus:
    """Status of a job."""

    site: str
    out: str
    last_run: dict[str, Any] | None  # None = never run
    scenes: tuple[SceneStatus, ...]  # by date
    events: dict[str, int]  # number per status
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Status in JSON types."""
        return asdict(self)


def job_status(job_file: Path) -> JobStatus:
    """Read the status of a job without changing it.

    Raises
    ------
    InputError
        The job file is invalid, or its folder does not belong to a job.
    """
    job = read_job(job_file)
    folder = JobFolder(job.resolve_path(job.out, job_file))
    notes: list[str] = []
    refs = SceneListing(())
    try:
        refs = list_scenes(job, job_file, job.aoi_path(job_file))
    except JobInterrupted as error:
        notes.append(str(error))
    notes += refs.left_out
    if refs.unmatched:
        notes.append(unmatched_text(refs.unmatched))
    waiting = [SceneStatus(ref.id, ref.day, WAITS, "not read yet", "", None) for ref in refs]
    if not folder.journal.exists():
        if folder.events.exists():
            raise OutputError(f"{folder.out} contains results but no journal of a monitoring job.")
        return JobStatus(job.site, str(folder.out), None, tuple(waiting), {}, tuple(notes))
    found = folder_status(folder)
    known = [each for each in found.scenes if each.scene not in job.scenes.exclude]
    read = {each.scene for each in found.scenes}
    fresh = [each for each in waiting if each.scene not in read]
    scenes = sorted([*known, *fresh], key=lambda each: (each.date, each.scene))
    return replace(found, site=job.site, scenes=tuple(scenes), notes=(*notes, *found.notes))


def folder_status(folder: JobFolder) -> JobStatus:
    """Read the status of a job from its folder alone: no scenes that its runs have not met yet.

    Raises
    ------
    OutputError
        The folder has no journal of a monitoring job.
    """
    with Journal(folder.journal, write=False) as journal:
        rows = current_rows(journal.scenes())
        steps = _latest_steps(journal.steps())
        last = journal.last_run()
        site = (journal.fact(JOB) or {}).get("site", "")
        events = {str(status): 0 for status in Status}
        for event in load_events(journal):
            events[str(event.status)] += 1
    notes = []
    if last is not None and last["ended"] is None:
        notes.append("the last run was interrupted, or is still running.")
    if last is not None and (share := (last["content"] or {}).get("aoi_not_covered")):
        notes.append(f"{share:.0%} of the area of interest is not covered by any scene.")
    scenes = tuple(_scene_status(row, steps.get(row.id)) for row in rows)
    return JobStatus(site, str(folder.out), last, scenes, events, tuple(notes))


def _latest_steps(steps: dict[str, StepRow]) -> dict[str, StepRow]:
    """Latest step of each scene, for its status."""
    return {row.scene: row for row in steps.values()}


def _scene_status(row: SceneRow, step: StepRow | None) -> SceneStatus:
    """Status of a scene by its journal row and latest step."""
    baseline = "" if step is None else step.baseline
    if row.state == FAILED:
        state, detail = FAILED, _reason_with_attempts(row.reason, row.attempts)
    elif row.state != USABLE:
        state, detail = row.state, row.reason
    elif step is None:
        state, detail = WAITS, "no earlier scene to compare with"
    elif step.state == "failed":
        state, detail = FAILED, _reason_with_attempts(step.reason, step.attempts)
    elif step.state == "begun":
        state, detail = WAITS, "begun, not finished"
    else:
        counts = step.content["counts"]
        state, detail = DONE, f"{counts['regions']} region{'s' if counts['regions'] != 1 else ''}"
    share = row.content.get("valid_share")
    return SceneStatus(row.id, row.taken.date().isoformat(), state, detail, baseline, share)


def _reason_with_attempts(reason: str, attempts: int) -> str:
    """Reason of a failed status, with the number of attempts."""
    return reason if attempts < 2 else f"{reason} ({attempts} tries)"
