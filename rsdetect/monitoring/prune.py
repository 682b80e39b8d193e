"""Pruning of a job folder by the job's section `keep`: what goes, and its removal.

A copy of a scene stays as long as something needs it: an event that is still followed against it, or the
baseline of the next scene. Ages count back from the latest scene, so that a clock that is wrong removes
nothing. Events, observations and finished comparisons in the journal are never removed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rsdetect.amounts import bytes_text
from rsdetect.errors import InputError, JobInterrupted
from rsdetect.files import free_bytes, remove_folder
from rsdetect.ingestion.ingested_scene import CLOUDED, USABLE, IngestedScene
from rsdetect.ingestion.scene_row import SceneRow
from rsdetect.jsontypes import JsonObject
from rsdetect.memory import parse_size
from rsdetect.monitoring.baseline import most_scenes
from rsdetect.monitoring.job import CompositeBaseline, FixedBaseline, Job, SeasonBaseline
from rsdetect.monitoring.job_file import read_job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal

NEEDED = "needed"  # fact in the journal: paths of the scenes that open events are followed against
COPY, REPORT, TIMELINE, COMPARISON = "copy", "report", "timeline", "comparison"
_YEAR = 366
_REPORT_TIME = re.compile(r"(\d{8}T\d{6})_[0-9a-f]+\.html")
_COMPARISON_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})_.+")


@dataclass(frozen=True)
class Removal:
    """File or folder that pruning removes."""

    kind: str  # "copy", "report", "timeline" or "comparison"
    path: Path
    bytes: int
    row: SceneRow | None = None  # of a copy


@dataclass(frozen=True)
class Pruned:
    """Outcome of pruning a job folder."""

    removals: tuple[Removal, ...]
    runs: int  # entries of runs

    @property
    def bytes(self) -> int:
        """Bytes of all removals."""
        return sum(each.bytes for each in self.removals)

    def as_json(self) -> JsonObject:
        """Outcome in JSON types."""
        return {
            "removed": [
                {"kind": each.kind, "path": str(each.path), "bytes": each.bytes} for each in self.removals
            ],
            "bytes": self.bytes,
            "runs": self.runs,
        }

    def __str__(self) -> str:
        count = len(self.removals)
        return f"{count} file{'s' if count != 1 else ''} or folders, {bytes_text(self.bytes)}"


def prune(job_file: Path, *, dry_run: bool = False, wait_s: float = 0.0) -> Pruned:
    """Remove from the folder of a job what its section `keep` does not keep.

    Parameters
    ----------
    dry_run
        Only list what would go.
    wait_s
        Seconds to wait for a run of the job.

    Raises
    ------
    InputError
        The job file is invalid, or the job never ran.
    JobInterrupted
        A run holds the folder.
    """
    job = read_job(job_file)
    folder = JobFolder(job.resolve_path(job.out, job_file))
    if not folder.journal.exists():
        raise InputError(f"{folder.out} has no journal: the job has never run.")
    if dry_run:
        with Journal(folder.journal, write=False) as journal:
            return _plan(journal, job, folder)
    with folder.held(wait_s), Journal(folder.journal, write=True) as journal:
        return prune_folder(journal, job, folder)


def prune_folder(journal: Journal, job: Job, folder: JobFolder) -> Pruned:
    """Prune a job folder that this process holds."""
    plan = _plan(journal, job, folder)
    for each in plan.removals:
        if each.row is not None:
            # First: a copy that is missing without this mark would be made again by the next run.
            journal.put_scene(replace(each.row, content=each.row.content | {"pruned": True}))
        if each.path.is_dir():
            remove_folder(each.path)
        else:
            each.path.unlink(missing_ok=True)
    if plan.runs and (since := _since(journal, job.keep.history_days)) is not None:
        journal.forget_runs(since)
    return plan


def require_space(job: Job, folder: JobFolder) -> None:
    """Raise before the disk of a job folder is full.

    Raises
    ------
    JobInterrupted
        Less than the job's `keep.free_space` is free.
    """
    free = free_bytes(folder.out)
    if free is not None and free < parse_size("free_space", job.keep.free_space):
        raise JobInterrupted(
            f"{folder.out}: {bytes_text(free)} are free, and the job leaves {job.keep.free_space} "
            "(keep.free_space); free some (rsdetect monitor prune), and run the job again to resume."
        )


def _plan(journal: Journal, job: Job, folder: JobFolder) -> Pruned:
    keep = job.keep
    found = [
        *_copies(journal, job),
        *_dated(folder.reports, REPORT, _since(journal, keep.thumbnails_days)),
        *_dated(folder.timelines, TIMELINE, _since(journal, keep.thumbnails_days)),
        *_dated(folder.steps, COMPARISON, _since(journal, keep.history_days)),
    ]
    since = _since(journal, keep.history_days)
    return Pruned(tuple(found), 0 if since is None else journal.count_runs(since))


def _since(journal: Journal, days: int | None) -> datetime | None:
    """Moment from which on a job keeps; None = everything."""
    rows = journal.scenes()
    if days is None or not rows:
        return None
    return min(datetime.now(UTC), rows[-1].taken) - timedelta(days=days)


def _copies(journal: Journal, job: Job) -> Iterator[Removal]:
    """Copies of scenes that a job does not keep, and files of earlier ones that a killed process left."""
    since = _since(journal, job.keep.copies_days)
    rows = [row for row in reversed(journal.scenes()) if row.state in (USABLE, CLOUDED)]
    scenes = [(row, IngestedScene.of(row)) for row in rows]
    copies = [(row, scene) for row, scene in scenes if scene.is_copy]
    needed = {*(journal.fact(NEEDED) or ()), *_of_next_baseline(job, [scene for _, scene in scenes])}
    kept = [scene.path for row, scene in copies if not row.content.get("pruned")][: job.keep.copies]
    for row, scene in copies:
        path, is_pruned = Path(scene.path), row.content.get("pruned", False)
        is_kept = scene.path in kept and (since is None or row.taken >= since)
        if path.exists() and (is_pruned or not (is_kept or scene.path in needed)):
            yield Removal(COPY, path, path.stat().st_size, row)


def _of_next_baseline(job: Job, latest: list[IngestedScene]) -> set[str]:
    """Paths of the scenes that the baseline of the next scene is made of."""
    policy, usable = job.baseline, [scene for scene in latest if not scene.clouded]
    if isinstance(policy, FixedBaseline):
        return {each.path for each in usable if policy.scene in (each.id, each.taken.date().isoformat())}
    if isinstance(policy, SeasonBaseline) and usable:
        since = usable[0].taken - timedelta(days=_YEAR + policy.max_days)
        return {each.path for each in usable if each.taken >= since}
    needed, complete = set(), 0
    for each in usable[: most_scenes(count := policy.count if isinstance(policy, CompositeBaseline) else 1)]:
        needed.add(each.path)
        complete += each.is_complete
        if complete == count:  # every pixel has its observations
            break
    return needed


def _dated(folder: Path, kind: str, since: datetime | None) -> Iterator[Removal]:
    """Reports, timelines or comparisons in a folder from before a moment; files of other names stay."""
    if since is None or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        moment = _moment(path, kind)
        if moment is not None and moment < since:
            yield Removal(kind, path, _size(path))


def _moment(path: Path, kind: str) -> datetime | None:
    """When a report was written, a timeline drawn, or the scene of a comparison taken; None = not ours."""
    if kind == TIMELINE:
        if path.suffix in (".png", ".html") and path.is_file():
            with suppress(OSError):
                return datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return None
    pattern, layout = (_REPORT_TIME, "%Y%m%dT%H%M%S") if kind == REPORT else (_COMPARISON_DAY, "%Y-%m-%d")
    match = pattern.fullmatch(path.name)
    with suppress(ValueError):
        return None if match is None else datetime.strptime(match[1], layout).replace(tzinfo=UTC)
    return None


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder; beside a run (a dry run) they may vanish."""
    if not path.is_dir():
        return _file_size(path)
    return sum(_file_size(Path(place) / name) for place, _, names in os.walk(path) for name in names)


def _file_size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
