"""Baselines by the job's policy: what a new scene is compared with.

`previous`: the previous scene; where it is clouded, the one before it, pixel by pixel. Otherwise a change
under a cloud of the previous scene would be in both scenes once the sky clears, and never be found.
`composite`: the per-pixel median of the last valid observations. Both are computed by windows, from a bounded
number of scenes. `season`: the scene of an earlier year that is nearest in day of year, and where it is
clouded the next nearest. `fixed`: one scene, unchanged.

An event is followed against the baseline of its first scene: the baseline that the policy gives among the
scenes before the one in which the event was first seen (`Baselines.for_event`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from rsdetect.files import hash_json, move
from rsdetect.ingestion.composite import composite_median
from rsdetect.ingestion.ingest import open_ingested
from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.ingestion.rasters import write_raster
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import Site
from rsdetect.monitoring.job import (
    BaselineSection,
    CompositeBaseline,
    FixedBaseline,
    PreviousBaseline,
    SeasonBaseline,
)
from rsdetect.monitoring.journal import Journal
from rsdetect.scenes.band_files import file_version

_DAYS_A_YEAR = 365.2425
# Number of scenes that are searched for a pixel's observations, for a median of n.
_LEAST_DEPTH, _DEPTH_A_COUNT = 16, 4


@dataclass(frozen=True)
class BaselineScenes:
    """Scenes of a baseline, before it is composed."""

    scenes: tuple[IngestedScene, ...]  # by priority: latest first, or nearest of the season first
    count: int  # number of valid observations per pixel in the median


@dataclass(frozen=True)
class Baseline:
    """Baseline: one scene, or a composite of several; a raster that scenes are compared with."""

    name: str  # description: the scene's id, or what the median is taken of
    day: str  # ISO date of the latest scene in it
    path: str
    mask: str | None
    key: str  # changes when the pixels do
    choice: BaselineScenes = field(repr=False, compare=False)  # the scenes it is made of

    @property
    def is_on_disk(self) -> bool:
        """False if the baseline's file was removed."""
        return file_version(self.path) is not None

    @property
    def is_reproducible(self) -> bool:
        """True if the same baseline is available: its file exists, or all its scenes do."""
        return (self.is_composite and self.is_on_disk) or all(
            scene.is_on_disk for scene in self.choice.scenes
        )

    @property
    def is_composite(self) -> bool:
        """True if the baseline is composed from several scenes."""
        return len(self.choice.scenes) > 1


def choose_baseline_scenes(
    policy: BaselineSection, scene: IngestedScene, earlier: Sequence[IngestedScene]
) -> BaselineScenes | None:
    """Choose the scenes of the baseline for `scene` by a policy; None = there are none yet.

    Parameters
    ----------
    earlier
        Usable scenes before `scene`, by date.
    """
    if not earlier:
        return None
    if isinstance(policy, FixedBaseline):
        named = [each for each in earlier if policy.scene in (each.id, each.taken.date().isoformat())]
        return BaselineScenes(tuple(named[:1]), 1) if named else None
    if isinstance(policy, SeasonBaseline):
        return _season_baseline_scenes(scene, earlier, policy.max_days)
    count = policy.count if isinstance(policy, CompositeBaseline) else 1
    assert isinstance(policy, CompositeBaseline | PreviousBaseline)
    latest = tuple(reversed(earlier))
    if count == 1 and latest[0].is_complete:
        return BaselineScenes(latest[:1], 1)
    return BaselineScenes(latest[: most_scenes(count)], count)


def most_scenes(count: int) -> int:
    """Number of scenes that a baseline of `count` observations per pixel is searched in.

    >>> most_scenes(5)
    36
    """
    return _LEAST_DEPTH + _DEPTH_A_COUNT * count


def _season_baseline_scenes(
    scene: IngestedScene, earlier: Sequence[IngestedScene], max_days: int
) -> BaselineScenes | None:
    """Scenes of earlier years for a baseline, nearest in day of year first; of two equally near, the later.

    A scene is of an earlier year if more than half a year has passed: the end of December is not a year
    before the following January.
    """
    found = []
    for number, each in enumerate(earlier):
        apart = days_of_year_between(scene.taken.date(), each.taken.date())
        if (scene.taken - each.taken).days > _DAYS_A_YEAR / 2 and apart <= max_days:
            found.append((apart, -number))
    ordered = tuple(earlier[-number] for _, number in sorted(found))
    if not ordered:
        return None
    return BaselineScenes(ordered[: 1 if ordered[0].is_complete else _LEAST_DEPTH], 1)


def days_of_year_between(one: date, other: date) -> int:
    """Days between two dates for a seasonal baseline, whatever the years; 29 February counts as the 28th.

    >>> days_of_year_between(date(2024, 7, 10), date(2021, 7, 10))
    0
    >>> days_of_year_between(date(2024, 1, 2), date(2022, 12, 30))
    3
    """
    day = min(other.day, 28) if other.month == 2 else other.day
    return min(abs((one - date(one.year + year, other.month, day)).days) for year in (-1, 0, 1))


class Baselines:
    """Baselines of a job, composed on demand and stored in the journal."""

    def __init__(
        self, journal: Journal, site: Site, policy: BaselineSection, options: ScenesSection, folder: Path
    ) -> None:
        self._journal = journal
        self._site = site
        self._policy = policy
        self._options = options
        self._folder = folder

    def for_scene(self, scene: IngestedScene, earlier: Sequence[IngestedScene]) -> Baseline | None:
        """Baseline of a scene for finding new changes; None = there is none yet."""
        choice = choose_baseline_scenes(self._policy, scene, earlier)
        return None if choice is None else self._baseline(choice)

    def for_event(
        self, first: IngestedScene, scene: IngestedScene, before_first: Sequence[IngestedScene]
    ) -> Baseline | None:
        """Baseline from before an event first seen in `first`, for a comparison with `scene`."""
        of = scene if isinstance(self._policy, SeasonBaseline) else first
        choice = choose_baseline_scenes(self._policy, of, before_first)
        return None if choice is None else self._baseline(choice)

    def restored(self, baseline: Baseline) -> Baseline:
        """Baseline with its file in place: composed again if it was removed."""
        if (
            baseline.is_on_disk
            or not baseline.is_composite
            or not any(e.is_on_disk for e in baseline.choice.scenes)
        ):
            return baseline
        known = self._write_composite(baseline.choice)
        self._journal.put_baseline(self._baseline_request(baseline.choice), known)
        return self._composite_baseline(baseline.choice, known)

    def _baseline(self, choice: BaselineScenes) -> Baseline:
        """Baseline of the chosen scenes, from the journal or composed now."""
        latest = choice.scenes[0]
        if len(choice.scenes) == 1:
            day = latest.taken.date().isoformat()
            return Baseline(latest.id, day, latest.path, latest.mask, latest.fingerprint, choice)
        known = self._journal.baseline(self._baseline_request(choice))
        if known is None:
            known = self._write_composite(choice)
            self._keep(self._baseline_request(choice), known)
        return self._composite_baseline(choice, known)

    def _keep(self, request: str, known: dict[str, Any]) -> None:
        """Store a baseline that was composed."""
        self._journal.put_baseline(request, known)

    def _composite_baseline(self, choice: BaselineScenes, known: dict[str, Any]) -> Baseline:
        """Baseline of a composite that was written before."""
        latest, count = choice.scenes[0], choice.count
        name = f"median of the last {count} observations" if count > 1 else f"{latest.id}, clouds filled"
        path = str(self._folder / f"{known['key']}.tif")
        return Baseline(name, latest.taken.date().isoformat(), path, None, known["key"], choice)

    def _baseline_request(self, choice: BaselineScenes) -> str:
        """Journal key of the composite of the chosen scenes."""
        parts = [choice.count, [scene.fingerprint for scene in choice.scenes]]
        return hash_json(parts)

    def _write_composite(self, choice: BaselineScenes) -> dict[str, Any]:
        """Write the baseline of the chosen scenes; files are named by content, so that equal ones are one."""
        # A scene that was removed since then is skipped, as if it were clouded.
        scenes = [open_ingested(each, self._site, self._options) for each in choice.scenes if each.is_on_disk]
        path = self._folder / "unnamed.tif"
        pieces = ((window, composite_median(scenes, window, choice.count)) for window in self._site.blocks())
        key = write_raster(path, self._site.grid, self._site.names, pieces)
        move(path, path.with_name(f"{key}.tif"))
        return {"key": key}
