"""What a new scene is compared with, by the job's policy.

`previous`: the scene before, and where that is clouded the one before it, pixel by pixel. Otherwise a change
that happens under a cloud of the scene before would be in both when the sky clears, and never be found.
`composite`: the per-pixel median of the last valid observations. Both are made by windows, from a number of
scenes that is bounded. `season`: the scene of an earlier year that is the fewest days of the year apart, and
where that is clouded the next one. `fixed` is a scene as it is.

An event is followed against the ground before it: the baseline that the policy gives among the scenes before
the one that showed the event first (`Baselines.of_event`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.files import hash_json, move
from rsdetect.grid import Window
from rsdetect.monitoring.intake import TakenScene, open_taken
from rsdetect.monitoring.job import (
    BaselineSection,
    CompositeBaseline,
    FixedBaseline,
    PreviousBaseline,
    ScenesSection,
    SeasonBaseline,
)
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.rasters import write_raster
from rsdetect.monitoring.site import Site
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.scene import Scene, read_scene

_DAYS_A_YEAR = 365.2425
# How far back a pixel's observations are looked for: in scenes, for a median of n.
_LEAST_DEPTH, _DEPTH_A_COUNT = 16, 4


@dataclass(frozen=True)
class Choice:
    """Of which scenes a baseline is made, before it is."""

    scenes: tuple[TakenScene, ...]  # the one that counts most first: the latest, or the nearest of the season
    count: int  # valid observations of a pixel whose median is taken


@dataclass(frozen=True)
class Baseline:
    """One scene, or what was put together from several; a raster that can be compared."""

    name: str  # in words: the scene's id, or what it is a median of
    day: str  # ISO date of the latest scene in it
    path: str
    mask: str | None
    key: str  # changes when the pixels do
    choice: Choice = field(repr=False, compare=False)  # of which scenes it is made

    @property
    def is_there(self) -> bool:
        """False when its file is gone, or was cleared away."""
        return file_version(self.path) is not None

    @property
    def can_be_had(self) -> bool:
        """True when it can be compared with as it always was: it is there, or all it is made of is."""
        return (self.is_made and self.is_there) or all(scene.is_there for scene in self.choice.scenes)

    @property
    def is_made(self) -> bool:
        """True when it was put together from several scenes, and is no scene itself."""
        return len(self.choice.scenes) > 1


def choose(policy: BaselineSection, scene: TakenScene, earlier: Sequence[TakenScene]) -> Choice | None:
    """What `policy` says that `scene` is compared with; None = there is nothing yet.

    Parameters
    ----------
    earlier
        Usable scenes that are older than `scene`, by date.
    """
    if not earlier:
        return None
    if isinstance(policy, FixedBaseline):
        named = [each for each in earlier if policy.scene in (each.id, each.taken.date().isoformat())]
        return Choice(tuple(named[:1]), 1) if named else None
    if isinstance(policy, SeasonBaseline):
        return _of_season(scene, earlier, policy.max_days)
    count = policy.count if isinstance(policy, CompositeBaseline) else 1
    assert isinstance(policy, CompositeBaseline | PreviousBaseline)
    latest = tuple(reversed(earlier))
    if count == 1 and latest[0].is_complete:
        return Choice(latest[:1], 1)
    return Choice(latest[: _LEAST_DEPTH + _DEPTH_A_COUNT * count], count)


def _of_season(scene: TakenScene, earlier: Sequence[TakenScene], max_days: int) -> Choice | None:
    """Scenes of earlier years, first those the fewest days of the year apart; of two alike the later one.

    A scene is of an earlier year when more than half a year has passed: the end of December is no earlier
    year than the January after it.
    """
    found = []
    for number, each in enumerate(earlier):
        apart = days_of_year_apart(scene.taken.date(), each.taken.date())
        if (scene.taken - each.taken).days > _DAYS_A_YEAR / 2 and apart <= max_days:
            found.append((apart, -number))
    ordered = tuple(earlier[-number] for _, number in sorted(found))
    if not ordered:
        return None
    return Choice(ordered[: 1 if ordered[0].is_complete else _LEAST_DEPTH], 1)


def days_of_year_apart(one: date, other: date) -> int:
    """Days between two dates, whatever their years; 29 February counts as the 28th.

    >>> days_of_year_apart(date(2024, 7, 10), date(2021, 7, 10))
    0
    >>> days_of_year_apart(date(2024, 1, 2), date(2022, 12, 30))
    3
    """
    day = min(other.day, 28) if other.month == 2 else other.day
    return min(abs((one - date(one.year + year, other.month, day)).days) for year in (-1, 0, 1))


class Baselines:
    """Makes baselines, and remembers those that it made."""

    def __init__(
        self, journal: Journal, site: Site, policy: BaselineSection, options: ScenesSection, folder: Path
    ) -> None:
        self._journal = journal
        self._site = site
        self._policy = policy
        self._options = options
        self._folder = folder

    def of_scene(self, scene: TakenScene, earlier: Sequence[TakenScene]) -> Baseline | None:
        """What a scene is compared with to find what is new; None = there is nothing yet."""
        choice = choose(self._policy, scene, earlier)
        return None if choice is None else self._make(choice)

    def of_event(
        self, first: TakenScene, scene: TakenScene, before_first: Sequence[TakenScene]
    ) -> Baseline | None:
        """The ground before an event that `first` showed first, for a comparison with `scene`."""
        of = scene if isinstance(self._policy, SeasonBaseline) else first
        choice = choose(self._policy, of, before_first)
        return None if choice is None else self._make(choice)

    def ready(self, baseline: Baseline) -> Baseline:
        """The baseline with its file in place: what was cleared away is made again."""
        if baseline.is_there or not baseline.is_made or not any(e.is_there for e in baseline.choice.scenes):
            return baseline
        known = self._write(baseline.choice)
        self._journal.put_baseline(self._request(baseline.choice), known)
        return self._named(baseline.choice, known)

    def _make(self, choice: Choice) -> Baseline:
        latest = choice.scenes[0]
        if len(choice.scenes) == 1:
            day = latest.taken.date().isoformat()
            return Baseline(latest.id, day, latest.path, latest.mask, latest.fingerprint, choice)
        known = self._journal.baseline(self._request(choice))
        if known is None:
            known = self._write(choice)
            self._journal.put_baseline(self._request(choice), known)
        return self._named(choice, known)

    def _named(self, choice: Choice, known: dict[str, Any]) -> Baseline:
        latest, count = choice.scenes[0], choice.count
        name = f"median of the last {count} observations" if count > 1 else f"{latest.id}, clouds filled"
        path = str(self._folder / f"{known['key']}.tif")
        return Baseline(name, latest.taken.date().isoformat(), path, None, known["key"], choice)

    def _request(self, choice: Choice) -> str:
        told = [choice.count, [scene.fingerprint for scene in choice.scenes]]
        return hash_json(told)

    def _write(self, choice: Choice) -> dict[str, Any]:
        """Write the median; files are named by their content, so that equal ones are one."""
        # A scene that was removed since is done without, as if it had been clouded.
        scenes = [open_taken(each, self._site, self._options) for each in choice.scenes if each.is_there]
        path = self._folder / "unnamed.tif"
        pieces = ((window, _median(scenes, window, choice.count)) for window in self._site.blocks())
        key = write_raster(path, self._site.grid, self._site.names, pieces)
        move(path, path.with_name(f"{key}.tif"))
        return {"key": key}


def _median(scenes: Sequence[Scene], window: Window, count: int) -> Float32Array:
    """Per pixel and band, the median of the last `count` valid observations; NaN where there is none.

    Of a pixel with fewer, the median of those. `scenes` come latest first; only as many are read as needed.
    """
    found: Float32Array | None = None
    filled = np.zeros(window.shape, dtype=np.intp)
    for scene in scenes:
        values, valid = read_scene(scene, window)
        if found is None:
            found = np.full((count, *values.shape), np.nan, dtype=np.float32)
        rows, cols = np.nonzero(valid & (filled < count))
        found[filled[rows, cols], :, rows, cols] = values[:, rows, cols].T
        filled[rows, cols] += 1
        if (filled == count).all():
            break
    assert found is not None
    found = found[: max(1, int(filled.max()))]
    if len(found) == 1:
        return np.asarray(found[0])
    return _nanmedian(found, filled)


def _nanmedian(found: Float32Array, filled: np.ndarray[Any, np.dtype[np.intp]]) -> Float32Array:
    """NumPy's nanmedian over the first axis, for observations that lie packed at its beginning."""
    ordered = np.sort(found, axis=0)  # NaN last
    low = np.maximum(filled - 1, 0) // 2
    high = np.minimum(filled // 2, len(found) - 1)
    below = np.take_along_axis(ordered, low[None, None], axis=0)[0]
    above = np.take_along_axis(ordered, high[None, None], axis=0)[0]
    return np.asarray((below + above) / 2, dtype=np.float32)
