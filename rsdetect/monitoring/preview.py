"""Preview of a monitoring run: which scenes it would read and compare, and why, without any change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsdetect.ingestion.ingest import ingest_fingerprint
from rsdetect.ingestion.ingested_scene import FAILED, USABLE, IngestedScene
from rsdetect.ingestion.scene_row import SceneRow, current_rows
from rsdetect.ingestion.site import Site, site_from_journal
from rsdetect.jsontypes import JsonObject
from rsdetect.monitoring.baseline import Baseline, Baselines, BaselineScenes
from rsdetect.monitoring.comparison import Comparer
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.run import SITE, PreparedRun, prepare_run

JOB, MODEL, SCENES = "the job file changed", "the model or rsdetect changed", "scenes before it are new"


@dataclass(frozen=True)
class RunPreview:
    """Preview of a run."""

    site: str
    new: tuple[str, ...]  # ids of scenes that are new, or whose files or options of reading changed
    again: tuple[str, ...]  # ids of scenes that failed and would be tried again
    repeated: tuple[
        tuple[str, str], ...
    ]  # (scene, reason) of comparisons that are done and would be repeated

    def as_json(self) -> JsonObject:
        """Preview in JSON types."""
        return {
            "site": self.site,
            "new": list(self.new),
            "again": list(self.again),
            "repeated": [{"scene": scene, "reason": reason} for scene, reason in self.repeated],
        }

    def lines(self) -> Iterator[str]:
        """Lines of text, for a terminal."""
        if not (self.new or self.again or self.repeated):
            yield f"{self.site}: a run would compare nothing"
        for ids, what in ((self.new, "new or changed"), (self.again, "tried again")):
            if ids:
                yield f"{self.site}: {len(ids)} scene{'s' if len(ids) != 1 else ''} {what}: {_some(ids)}"
        for reason in sorted({reason for _, reason in self.repeated}):
            ids = tuple(scene for scene, each in self.repeated if each == reason)
            what = f"{len(ids)} comparison{'s' if len(ids) != 1 else ''} would be repeated"
            yield f"{self.site}: {what} ({reason}): {_some(ids)}"


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids) if len(ids) <= 3 else f"{ids[0]} to {ids[-1]}"


def preview_run(job_file: Path) -> RunPreview:
    """Preview a run of a job: the scenes it would read and the comparisons it would repeat.

    A new scene counts as clear; where it turns out clouded, fewer comparisons are repeated.

    Raises
    ------
    InputError, JobInterrupted
        As `rsdetect.monitoring.run.run_job`, before it changes anything.
    """
    ready = prepare_run(job_file)
    if not ready.folder.journal.exists():
        return RunPreview(ready.job.site, tuple(ref.id for ref in ready.refs), (), ())
    with Journal(ready.folder.journal, write=False) as journal:
        fact = journal.fact(SITE)
        if fact is None:
            return RunPreview(ready.job.site, tuple(ref.id for ref in ready.refs), (), ())
        return _preview(ready, journal, site_from_journal(fact, ready.aoi))


def _preview(ready: PreparedRun, journal: Journal, site: Site) -> RunPreview:
    known = {row.id: row for row in journal.scenes()}
    new: list[str] = []
    again: list[str] = []
    for ref in ready.refs:
        fingerprint, row = ingest_fingerprint(ref, site, ready.job.scenes), known.get(ref.id)
        if row is None or row.fingerprint != fingerprint:
            new.append(ref.id)
            content = {"path": ref.files[0], "mask": None, "valid_share": 1.0, "replaces": list(ref.replaces)}
            known[ref.id] = SceneRow(ref.id, ref.taken, fingerprint, USABLE, "", content, 0, listed=True)
        elif row.state == FAILED:
            again.append(ref.id)
    repeated = _repeated(ready, journal, site, list(known.values()), set(new))
    return RunPreview(ready.job.site, tuple(new), tuple(again), repeated)


def _repeated(
    ready: PreparedRun, journal: Journal, site: Site, rows: list[SceneRow], new: set[str]
) -> tuple[tuple[str, str], ...]:
    """Comparisons that are done, and that a run would repeat, with the reason."""
    baselines = _KnownBaselines(journal, site, ready.job.baseline, ready.job.scenes, ready.folder.baselines)
    comparer = Comparer(journal, ready.job, site, baselines, ready.folder.steps, ready.scoring)
    steps = journal.steps()
    done = {row.scene for row in steps.values() if row.state == "done"}
    excluded = ready.job.scenes.exclude
    listed = current_rows([row for row in rows if row.id not in excluded and row.state == USABLE])
    usable: list[IngestedScene] = []
    found = []
    for row in sorted(listed, key=lambda each: (each.taken, each.id)):
        scene = IngestedScene.of(row)
        baseline = baselines.for_scene(scene, usable) if row.id in done and row.id not in new else None
        usable.append(scene)
        if baseline is None:
            continue
        if not baseline.key or comparer.key(baseline, scene) not in steps:
            has_new = any(each.id in new for each in baseline.choice.scenes)
            found.append((row.id, SCENES if has_new else JOB))
        elif not comparer.is_done(baseline, scene):
            found.append((row.id, MODEL))
    return tuple(found)


class _KnownBaselines(Baselines):
    """Baselines of a job that composes nothing: one that it does not know has no key."""

    def _write_composite(self, choice: BaselineScenes) -> dict[str, Any]:
        return {"key": ""}

    def _keep(self, request: str, known: dict[str, Any]) -> None:
        """Store nothing: the journal is open for reading."""

    def restored(self, baseline: Baseline) -> Baseline:
        """The baseline as it is."""
        return baseline
