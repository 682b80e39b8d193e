"""Bring a job's journal up to date: take scenes in, compare them by date, play the history.

Nothing here is remembered from run to run but what the journal holds of finished comparisons and looks. What
they depend on is in their keys, so that a scene that arrives late makes void exactly what follows from it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.errors import RsdetectError
from rsdetect.monitoring.baseline import Baselines
from rsdetect.monitoring.comparison import Comparer, Step
from rsdetect.monitoring.folder import JobFolder
from rsdetect.monitoring.intake import CLOUDED, FAILED, SET_ASIDE, USABLE, TakenScene, take_in
from rsdetect.monitoring.job import Job
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.recheck import Evidence, Rechecker, area_of
from rsdetect.monitoring.scenes import SceneRef
from rsdetect.monitoring.site import Site
from rsdetect.monitoring.tracking import History, Player


class Update:
    """One update of a journal; its fields tell what happened."""

    def __init__(self, journal: Journal, job: Job, folder: JobFolder, scoring: ScoringIdentity) -> None:
        self._journal = journal
        self._job = job
        self._folder = folder
        self._scoring = scoring
        self._used: set[str] = set()  # paths of baselines that the next run will want
        self._steps: set[str] = set()  # names of the folders of steps that count
        self.compared: list[str] = []
        self.failed: dict[str, str] = {}
        self.set_aside: dict[str, str] = {}
        self.waiting: list[str] = []
        self.history = History((), ())

    def fail_all(self, refs: Sequence[SceneRef]) -> None:
        """Tell of scenes none of which can be read, so that not even the grid is known."""
        self.failed = {ref.id: "it cannot be opened" for ref in refs}

    def take_in(self, site: Site, refs: Sequence[SceneRef]) -> None:
        """Look at every scene that the journal does not know as it is now."""
        known = {row.id: row for row in self._journal.scenes()}
        for ref in refs:
            row = take_in(ref, known.get(ref.id), site, self._job.scenes, self._folder.scenes)
            if row is not known.get(ref.id):
                self._journal.put_scene(row)
            if row.state == FAILED:
                self.failed[row.id] = row.reason
            elif row.state == SET_ASIDE:
                self.set_aside[row.id] = row.reason
        self._journal.set_listed(ref.id for ref in refs)

    def play(self, site: Site) -> None:
        """Compare what is not compared yet, and play the history from the first date to the last."""
        baselines = Baselines(
            self._journal, site, self._job.baseline, self._job.scenes, self._folder.baselines
        )
        comparer = Comparer(self._journal, self._job, site, baselines, self._folder.steps, self._scoring)
        looker = Rechecker(self._journal, comparer, baselines, self._job.detector.min_area)
        earlier: dict[str, tuple[TakenScene, ...]] = {}

        def look(first: Step, step: Step, core: Any, extent: Any) -> Evidence | None:
            baseline = baselines.of_event(first.scene, step.scene, earlier[first.scene.id])
            if baseline is None:
                return None
            raster = step.raster if step.key == comparer.key(baseline, step.scene) else None
            try:
                return looker.look(baseline, step.scene, raster, core, extent)
            except RsdetectError as error:
                self.failed[step.scene.id] = str(error)
                return None

        def area(geometry: Any) -> float | None:
            return None if site.grid.crs is None else area_of(geometry, site.grid)

        player = Player(self._job.confirm, look, area)
        usable: list[TakenScene] = []
        for scene in self._scenes():
            earlier[scene.id] = tuple(usable)
            if scene.clouded:
                player.play(Step(scene, None, "", None, ()))
                continue
            step = self._compare(comparer, baselines, scene, usable)
            if step is not None:
                player.play(step)
            usable.append(scene)
        self.history = player.history()
        self._used = {track.first.baseline.path for track in player.open_tracks if track.first.baseline}

    def clear_away(self) -> None:
        """Remove what no later run will ask for: baselines that can be made again, copies and steps that are
        void, and what runs left that were killed."""
        used = self._used | {row.content.get("path") for row in self._journal.scenes()}
        for path in (*self._folder.baselines.glob("*"), *self._folder.scenes.glob("*")):
            if str(path) not in used:
                path.unlink()
        if self.failed:
            return
        for folder in self._folder.steps.glob("*"):
            if folder.is_dir() and folder.name not in self._steps:
                shutil.rmtree(folder)

    def _scenes(self) -> list[TakenScene]:
        """What can be compared, or was clouded, by date; also what the source no longer lists."""
        rows = [row for row in self._journal.scenes() if row.id not in self._job.scenes.exclude]
        return [TakenScene.of(row) for row in rows if row.state in (USABLE, CLOUDED)]

    def _compare(
        self, comparer: Comparer, baselines: Baselines, scene: TakenScene, usable: Sequence[TakenScene]
    ) -> Step | None:
        baseline = baselines.of_scene(scene, usable)
        if baseline is not None and not comparer.is_done(baseline, scene) and not baseline.is_there:
            there = [each for each in usable if each.is_there]
            baseline = baselines.of_scene(scene, there) if len(there) < len(usable) else baseline
        if baseline is None:
            self.waiting.append(scene.id)
            return None
        was_done = comparer.is_done(baseline, scene)
        try:
            step = comparer.compare(baseline, scene)
        except RsdetectError as error:
            self.failed[scene.id] = str(error)
            return None
        if not was_done:
            self.compared.append(scene.id)
        self._steps.add(comparer.folder(step.key, scene).name)
        return step
