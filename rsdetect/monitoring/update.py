"""Update of a job's journal: ingest scenes, compare them by date, track the events.

Only finished comparisons and rechecks are kept from run to run. Their keys contain all their inputs, so that
a scene that arrives late invalidates exactly what depends on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.errors import RsdetectError
from rsdetect.feeds.scene_refs import SceneRef
from rsdetect.ingestion.coverage import uncovered_share
from rsdetect.ingestion.ingest import ingest_scene
from rsdetect.ingestion.ingested_scene import CLOUDED, FAILED, SET_ASIDE, USABLE, IngestedScene
from rsdetect.ingestion.scene_row import current_rows
from rsdetect.ingestion.site import Site
from rsdetect.ingestion.tries import MOST_TRIES, counts_as_try, given_up, today
from rsdetect.monitoring.baseline import Baselines
from rsdetect.monitoring.comparison import Comparer, Step
from rsdetect.monitoring.job import Job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import TRIES_OF_RECHECKS, Journal
from rsdetect.monitoring.prune import NEEDED, require_space
from rsdetect.monitoring.recheck import Evidence, Rechecker, event_area
from rsdetect.monitoring.tracking import EventTracker, History
from rsdetect.monitoring.tracks import Track


class JobUpdate:
    """Update of a job's journal; its fields hold the outcome."""

    def __init__(self, journal: Journal, job: Job, folder: JobFolder, scoring: ScoringIdentity) -> None:
        self._journal = journal
        self._job = job
        self._folder = folder
        self._scoring = scoring
        self._used: set[str] = set()  # paths of baselines the next run needs
        self._steps: set[str] = set()  # names of the folders of current steps
        self.compared: list[str] = []
        self.failed: dict[str, str] = {}
        self.set_aside: dict[str, str] = {}
        self.given_up: list[str] = []  # of them those that failed their last try in this run
        self.waiting: list[str] = []
        self.clouded: list[str] = []
        self.notes: list[str] = []
        self.ingested = 0
        self.unreached: float | None = None
        self.history = History((), ())

    def fail_all(self, refs: Sequence[SceneRef]) -> None:
        """Report all scenes as failed: none is readable, so that even the grid is unknown."""
        self.failed = {ref.id: "it cannot be opened" for ref in refs}

    def ingest_scenes(self, site: Site, refs: Sequence[SceneRef]) -> None:
        """Ingest every scene that is new or has changed."""
        known = {row.id: row for row in self._journal.scenes()}
        for ref in refs:
            require_space(self._job, self._folder)
            row = ingest_scene(ref, known.get(ref.id), site, self._job.scenes, self._folder.scenes)
            if row is not known.get(ref.id):
                self._journal.put_scene(row)
                self.ingested += 1
                self.notes += [ref.note] if ref.note else []
            if row.state == FAILED:
                self.failed[row.id] = row.reason
            elif row.state == CLOUDED:
                self.clouded.append(row.id)
            elif row.state == SET_ASIDE:
                self.set_aside[row.id] = row.reason
                if row.attempts >= MOST_TRIES and row is not known.get(ref.id):
                    self.given_up.append(row.id)
        self._journal.set_listed(ref.id for ref in refs)
        ground = [ring for row in self._journal.scenes() for ring in row.content.get("ground", ())]
        self.unreached = uncovered_share(site.aoi_given, site.grid, ground)

    def track_events(self, site: Site) -> None:
        """Compare scenes that are not compared yet, and track events from the first date to the last."""
        baselines = Baselines(
            self._journal, site, self._job.baseline, self._job.scenes, self._folder.baselines
        )
        comparer = Comparer(self._journal, self._job, site, baselines, self._folder.steps, self._scoring)
        self._set_aside_by_rechecks()
        rechecker = Rechecker(
            self._journal, comparer, baselines, self._job.detector.min_area, given_up=self.set_aside
        )
        earlier: dict[str, tuple[IngestedScene, ...]] = {}

        def recheck(first: Step, step: Step, core: Any, extent: Any) -> Evidence | None:
            baseline = baselines.for_event(first.scene, step.scene, earlier[first.scene.id])
            if baseline is None:
                return None
            raster = step.raster if step.key == comparer.key(baseline, step.scene) else None
            try:
                return rechecker.recheck(baseline, step.scene, raster, core, extent)
            except RsdetectError as error:
                self._fail_recheck(step.scene.id, error)
                return None

        def event_area_m2(geometry: Any) -> float | None:
            return None if site.grid.crs is None else event_area(geometry, site.grid)

        tracker = EventTracker(self._job.confirm, recheck, event_area_m2)
        usable: list[IngestedScene] = []
        for scene in self._ingested_scenes():
            earlier[scene.id] = tuple(usable)
            if scene.clouded:
                tracker.add_step(Step(scene, None, "", None, ()))
                continue
            step = self._compare_scene(comparer, baselines, scene, usable)
            if step is not None:
                tracker.add_step(step)
            usable.append(scene)
        self.history = tracker.history()
        self._used = {track.first.baseline.path for track in tracker.open_tracks if track.first.baseline}
        followed = tracker.followed_tracks(usable[-1].taken) if usable else []
        self._journal.put_fact(NEEDED, sorted(self._needed_scenes(followed, earlier)))

    def _needed_scenes(
        self, followed: Sequence[Track], earlier: Mapping[str, Sequence[IngestedScene]]
    ) -> set[str]:
        """Paths of the scenes that later runs compare with because of the events that are followed."""
        if (
            self._job.baseline.policy == "season"
        ):  # each later date has another baseline from before the event
            return {scene.path for track in followed for scene in earlier[track.first.scene.id]}
        baselines = [track.first.baseline for track in followed]
        return {each.path for each in baselines if each is not None and not each.is_composite}

    def _fail(self, scene: str, reason: str, *, is_last: bool) -> None:
        """Report a scene that failed: the next run tries it again, unless this was its last try."""
        if is_last:
            self.set_aside[scene] = reason
            self.given_up.append(scene)
        else:
            self.failed[scene] = reason

    def _set_aside_by_rechecks(self) -> None:
        """Set aside the scenes whose rechecks failed too often, and whose finished ones still count."""
        for scene, (tries, _, reason) in (self._journal.fact(TRIES_OF_RECHECKS) or {}).items():
            if tries >= MOST_TRIES:
                self.set_aside[scene] = given_up(reason)

    def _fail_recheck(self, scene: str, error: RsdetectError) -> None:
        """Count the failure of a scene's rechecks once a run."""
        if scene in self.failed or scene in self.set_aside:
            return
        every = self._journal.fact(TRIES_OF_RECHECKS) or {}
        tries, last_day, _ = every.get(scene, (0, None, ""))
        tries += counts_as_try(error, last_day)
        self._journal.put_fact(TRIES_OF_RECHECKS, every | {scene: [tries, today(), str(error)]})
        is_last = tries >= MOST_TRIES
        self._fail(scene, given_up(str(error)) if is_last else str(error), is_last=is_last)

    def remove_unused(self) -> None:
        """Remove files that no later run needs.

        These are baselines that can be composed again, outdated copies and steps, and leftovers of killed
        runs.
        """
        used = self._used | {row.content.get("path") for row in self._journal.scenes()}
        for path in (*self._folder.baselines.glob("*"), *self._folder.scenes.glob("*")):
            if str(path) not in used:
                path.unlink()
        if self.failed:
            return
        for folder in self._folder.steps.glob("*"):
            if folder.is_dir() and folder.name not in self._steps:
                shutil.rmtree(folder)

    def _ingested_scenes(self) -> list[IngestedScene]:
        """Ingested scenes, usable or clouded, by date; includes those the source no longer lists."""
        every = [row for row in self._journal.scenes() if row.id not in self._job.scenes.exclude]
        rows = current_rows(every)
        return [IngestedScene.of(row) for row in rows if row.state in (USABLE, CLOUDED)]

    def _compare_scene(
        self, comparer: Comparer, baselines: Baselines, scene: IngestedScene, usable: Sequence[IngestedScene]
    ) -> Step | None:
        """Compare a scene with its baseline; None = no baseline, or the comparison failed."""
        baseline = baselines.for_scene(scene, usable)
        if baseline is not None and not comparer.is_done(baseline, scene) and not baseline.is_on_disk:
            there = [each for each in usable if each.is_on_disk]
            baseline = baselines.for_scene(scene, there) if len(there) < len(usable) else baseline
        if baseline is None:
            self.waiting.append(scene.id)
            return None
        was_done = comparer.is_done(baseline, scene)
        if not was_done:
            require_space(self._job, self._folder)
        if not was_done and (reason := comparer.why_given_up(baseline, scene)):
            self.set_aside[scene.id] = reason
            return None
        try:
            step = comparer.compare(baseline, scene)
        except RsdetectError as error:
            reason = comparer.why_given_up(baseline, scene)
            self._fail(scene.id, str(error) if reason is None else reason, is_last=reason is not None)
            return None
        if not was_done:
            self.compared.append(scene.id)
            self.notes += [f"{scene.id}: {warning}" for warning in step.warnings]
        self._steps.add(comparer.folder(step.key, scene).name)
        return step
