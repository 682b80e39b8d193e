"""One place over the dates: how probable a change was on each, and what the bands said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from rasterio.features import rasterize

from rsdetect.errors import InputError
from rsdetect.grid import Grid, Window
from rsdetect.jobs.outputs import Outputs
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.monitoring.events import Event, Observation
from rsdetect.monitoring.folder import JobFolder
from rsdetect.monitoring.history_store import load_events, load_observations
from rsdetect.monitoring.indices import band_indices
from rsdetect.monitoring.intake import TakenScene
from rsdetect.monitoring.job_file import read_job
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.recheck import window_around
from rsdetect.monitoring.site import Site, known_site
from rsdetect.monitoring.thumbnails import Cutout, Thumbnail, Thumbnails
from rsdetect.percent import NOT_OBSERVED
from rsdetect.scoring.raster import ProbabilityRaster

_LEAST_VALID = 0.5  # share of the place that must be seen for a date to say something, as for events
_NEIGHBOURS = 1  # pixels on each side of a point: a pixel alone is mostly noise


@dataclass(frozen=True)
class Moment:
    """One date at the place."""

    scene: str
    taken: datetime
    valid_share: float  # of the place's pixels, 0 to 1
    bands: tuple[float, ...] | None  # mean of each band; None = too little was seen
    indices: dict[str, float]  # mean of each index; empty likewise
    probability: float | None  # mean change probability, 0 to 1; None = not compared, or not seen
    against: str  # what it was compared with, in words
    seen: bool | None  # the event is there; None = not known, or there is no event
    image: str | None  # data URI


@dataclass(frozen=True)
class Timeline:
    """A place over the dates of a job."""

    site: str
    title: str  # the event's id, or the point
    event: Event | None
    threshold: float | None  # change probability from which on a pixel counts as changed; None = unknown
    names: tuple[str, ...]  # of the bands; "" where nobody named one
    moments: tuple[Moment, ...]  # by date
    outline: str  # path of an SVG over the images
    shape: tuple[int, int]  # of the images, (height, width)


def make_timeline(
    job_file: Path, *, event: str | None = None, at: tuple[float, float] | None = None
) -> Timeline:
    """The timeline of an event, or of a point.

    Parameters
    ----------
    event
        Its id, or the beginning of it that no other shares.
    at
        (x, y) in the job's CRS, or longitude and latitude.

    Raises
    ------
    InputError
        The job has not been run, there is no such event, or the point lies outside the job's grid.
    """
    if (event is None) == (at is None):
        raise InputError("give one of `event` and `at`: an event, or a point.")
    job = read_job(job_file)
    folder = JobFolder(job.path(job.out, job_file))
    if not folder.journal.exists():
        raise InputError(f"{job_file} has not been run yet: there is no journal in {folder.out}.")
    with Journal(folder.journal, write=False) as journal, rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        fact = journal.fact("site")
        if fact is None:
            raise InputError(f"no scene of {job_file} could be read yet.")
        site = known_site(fact, None)
        found = None if event is None else _find_event(load_events(journal), event)
        area = found.geometry if found is not None else _around(at, site.grid)
        observations = load_observations(journal) if found is not None else ()
        mine = {each.scene: each for each in observations if found is not None and each.event == found.id}
        thumbnails = Thumbnails(site, job.scenes, journal.scenes())
        place = _Watched(site, area, thumbnails, _Rasters(journal, folder), mine)
        moments = place.moments()
        return Timeline(
            site=job.site,
            title=found.id if found is not None else _point_in_words(at),
            event=found,
            threshold=place.rasters.threshold,
            names=site.names,
            moments=tuple(moments),
            outline=place.cutout.outline(area, site),
            shape=place.cutout.shape,
        )


def timelines_folder(job_file: Path) -> Path:
    """Where timelines go when nobody says otherwise."""
    job = read_job(job_file)
    return job.path(job.out, job_file) / "timelines"


def _find_event(events: tuple[Event, ...], wanted: str) -> Event:
    found = [event for event in events if event.id == wanted] or [
        e for e in events if e.id.startswith(wanted)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{wanted!r} begins {len(found)} ids ({', '.join(e.id for e in found[:5])}); write more of it."
        )
    latest = ", ".join(event.id for event in sorted(events, key=lambda e: e.first_seen, reverse=True)[:5])
    raise InputError(
        f"there is no event {wanted!r}; {'the latest are ' + latest if latest else 'there is none yet'}."
    )


def _around(at: tuple[float, float] | None, grid: Grid) -> Any:
    """The pixels around a point as a geometry in the grid's CRS."""
    assert at is not None
    for x, y in _readings(at, grid):
        col, row = (int(np.floor(number)) for number in ~grid.transform @ (x, y))
        if 0 <= row < grid.height and 0 <= col < grid.width:
            box = shapely.box(
                col - _NEIGHBOURS, row - _NEIGHBOURS, col + _NEIGHBOURS + 1, row + _NEIGHBOURS + 1
            )
            return shapely.MultiPolygon([shapely.transform(box, lambda xy: _on_ground(xy, grid))])
    left, bottom, right, top = grid.bounds
    raise InputError(
        f"{_point_in_words(at)} lies outside the job's grid (x {left:.10g} to {right:.10g}, "
        f"y {bottom:.10g} to {top:.10g}), also as longitude and latitude."
    )


def _on_ground(xy: Any, grid: Grid) -> Any:
    """(n, 2) columns and rows as coordinates."""
    return np.column_stack(grid.transform @ (xy[:, 0], xy[:, 1]))


def _readings(at: tuple[float, float], grid: Grid) -> Iterator[tuple[float, float]]:
    """The point as coordinates of the grid, then as longitude and latitude."""
    yield at
    if grid.crs is not None and abs(at[0]) <= 180 and abs(at[1]) <= 90:
        yield Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(*at)


def _point_in_words(at: tuple[float, float] | None) -> str:
    assert at is not None
    return f"{at[0]:.10g},{at[1]:.10g}"


class _Rasters:
    """The change probability of each date against the job's baseline, where its raster is still there."""

    def __init__(self, journal: Journal, folder: JobFolder) -> None:
        done = [row for row in journal.steps().values() if row.state == "done"]
        # Of two comparisons of one scene the later one counts: another scene came in between.
        self._rows = {row.scene: row for row in done if (folder.steps / row.content["folder"]).is_dir()}
        self._folder = folder
        self.threshold = done[-1].content["level"] / 100 if done else None

    def probability(self, scene: str, window: Window, inside: Any) -> tuple[float | None, str]:
        """Mean over the observed pixels `inside` the window, and what it was compared with."""
        row = self._rows.get(scene)
        if row is None:
            return None, ""
        raster = ProbabilityRaster(self._folder.steps / row.content["folder"] / Outputs.RASTER)
        part = window.intersection(raster.grid.window)
        values = np.full(window.shape, NOT_OBSERVED, dtype=np.uint8)
        if not part.is_empty:
            values[part.slices_in(window)] = raster.read(part)
        observed = inside & (values != NOT_OBSERVED)
        if observed.sum() < _LEAST_VALID * inside.sum():
            return None, row.baseline
        return float(values[observed].mean()) / 100, row.baseline


class _Watched:
    """A place, and what each date says of it."""

    def __init__(
        self,
        site: Site,
        area: Any,
        thumbnails: Thumbnails,
        rasters: _Rasters,
        observations: dict[str, Observation],
    ) -> None:
        self.cutout = Cutout.around(area, site)
        self.rasters = rasters
        self._site, self._thumbnails, self._observations = site, thumbnails, observations
        self._window = window_around(area, site.grid)
        transform = site.grid.crop(self._window).transform
        burnt = rasterize([area], out_shape=self._window.shape, transform=transform, dtype="uint8")
        self._inside = burnt.astype(bool)

    def moments(self) -> list[Moment]:
        scenes = sorted(self._thumbnails.scenes.values(), key=lambda scene: (scene.taken, scene.id))
        thumbs = [self._thumbnails.thumb(scene, self.cutout) for scene in scenes]
        images = self._thumbnails.draw(thumbs)
        return [
            self._moment(scene, thumb, image)
            for scene, thumb, image in zip(scenes, thumbs, images, strict=True)
            if thumb is not None
        ]

    def _moment(self, scene: TakenScene, thumb: Thumbnail, image: str | None) -> Moment:
        inside = self._in_picture()
        usable = inside & thumb.valid
        share = float(usable.sum() / inside.sum())
        bands, indices = None, {}
        if share >= _LEAST_VALID:
            bands = tuple(float(band[usable].mean()) for band in thumb.values)
            of_pixels = band_indices(thumb.values, self._site.names)
            indices = {name: float(np.nanmean(values[usable])) for name, values in of_pixels.items()}
        seen, probability, against = None, None, ""
        told = self._observations.get(scene.id)
        if told is not None:
            seen, probability, against = told.seen, told.probability_mean, told.baseline
        else:
            probability, against = self.rasters.probability(scene.id, self._window, self._inside)
        return Moment(scene.id, scene.taken, share, bands, indices, probability, against, seen, image)

    def _in_picture(self) -> Any:
        """The place's pixels among those of the picture."""
        whole = np.zeros(self.cutout.window.shape, dtype=bool)
        whole[self._window.slices_in(self.cutout.window)] = self._inside
        return whole[:: self.cutout.step, :: self.cutout.step]
