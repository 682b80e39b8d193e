"""Timeline of an event or point: change probability, band means and indices on each date of a job."""

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
from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.ingestion.site import Site, site_from_journal
from rsdetect.jobs.outputs import Outputs
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.monitoring.band_indices import band_indices
from rsdetect.monitoring.events import Event, Observation
from rsdetect.monitoring.history_store import load_events, load_observations
from rsdetect.monitoring.job_file import read_job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.recheck import window_around
from rsdetect.monitoring.thumbnails import Cutout, Thumbnail, Thumbnails
from rsdetect.percent import NOT_OBSERVED
from rsdetect.scenes.alignment import offset_between
from rsdetect.scenes.turns import near_longitudes
from rsdetect.scoring.raster import ProbabilityRaster

_LEAST_VALID = 0.5  # minimum valid share of the area on a date with values, as for events
_NEIGHBOURS = 1  # pixels on each side of a point: single pixels are noisy


@dataclass(frozen=True)
class TimelineDate:
    """Date in a timeline."""

    scene: str
    taken: datetime
    valid_share: float  # valid share of the area's pixels, 0 to 1
    bands: tuple[float, ...] | None  # mean of each band; None = too few valid pixels
    indices: dict[str, float]  # mean of each band index; empty likewise
    probability: float | None  # mean change probability, 0 to 1; None = not compared, or too few valid pixels
    against: str  # description of the baseline
    seen: bool | None  # the event is present; None = unknown, or there is no event
    image: str | None  # data URI


@dataclass(frozen=True)
class Timeline:
    """Timeline of an event or point over the dates of a job."""

    site: str
    title: str  # the event's id, or the point
    event: Event | None
    threshold: float | None  # minimum change probability of a changed pixel; None = unknown
    names: tuple[str, ...]  # band names; "" where a band has no name
    moments: tuple[TimelineDate, ...]  # by date
    outline: str  # SVG path over the images
    shape: tuple[int, int]  # (height, width) of the images


def make_timeline(
    job_file: Path, *, event: str | None = None, at: tuple[float, float] | None = None
) -> Timeline:
    """Make the timeline of an event or a point.

    Parameters
    ----------
    event
        Its id, or a unique prefix of it.
    at
        (x, y) in the job's CRS, or longitude and latitude.

    Raises
    ------
    InputError
        The job was not run yet, the event does not exist, or the point lies outside the job's grid.
    """
    if (event is None) == (at is None):
        raise InputError("give one of `event` and `at`: an event, or a point.")
    job = read_job(job_file)
    folder = JobFolder(job.resolve_path(job.out, job_file))
    if not folder.journal.exists():
        raise InputError(f"{job_file} was not run yet: there is no journal in {folder.out}.")
    with Journal(folder.journal, write=False) as journal, rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        fact = journal.fact("site")
        if fact is None:
            raise InputError(f"no scene of {job_file} could be read yet.")
        site = site_from_journal(fact, None)
        found = None if event is None else _timeline_event(load_events(journal), event)
        area = found.geometry if found is not None else _timeline_point_area(at, site.grid)
        observations = load_observations(journal) if found is not None else ()
        mine = {each.scene: each for each in observations if found is not None and each.event == found.id}
        thumbnails = Thumbnails(site, job.scenes, journal.scenes())
        rasters = _TimelineRasters(journal, folder, site.grid)
        place = _TimelineArea(site, area, thumbnails, rasters, mine)
        moments = place.moments()
        return Timeline(
            site=job.site,
            title=found.id if found is not None else _point_text(at),
            event=found,
            threshold=place.rasters.threshold,
            names=site.names,
            moments=tuple(moments),
            outline=place.cutout.outline(area, site),
            shape=place.cutout.shape,
        )


def timelines_folder(job_file: Path) -> Path:
    """Default folder of timelines: `timelines` in the job's output folder."""
    job = read_job(job_file)
    return JobFolder(job.resolve_path(job.out, job_file)).timelines


def _timeline_event(events: tuple[Event, ...], wanted: str) -> Event:
    """Event of a timeline by its id or a unique prefix."""
    found = [event for event in events if event.id == wanted] or [
        e for e in events if e.id.startswith(wanted)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"{wanted!r} is a prefix of {len(found)} ids "
            f"({', '.join(e.id for e in found[:5])}); give more of it."
        )
    latest = ", ".join(event.id for event in sorted(events, key=lambda e: e.first_seen, reverse=True)[:5])
    raise InputError(
        f"there is no event {wanted!r}; {'the latest are ' + latest if latest else 'there is none yet'}."
    )


def _timeline_point_area(at: tuple[float, float] | None, grid: Grid) -> Any:
    """Area of a point's timeline: the pixels around it as a geometry in the grid's CRS."""
    assert at is not None
    for x, y in _point_readings(at, grid):
        col, row = (int(np.floor(number)) for number in ~grid.transform @ (x, y))
        if 0 <= row < grid.height and 0 <= col < grid.width:
            box = shapely.box(
                col - _NEIGHBOURS, row - _NEIGHBOURS, col + _NEIGHBOURS + 1, row + _NEIGHBOURS + 1
            )
            return shapely.MultiPolygon([shapely.transform(box, lambda xy: _pixel_coordinates(xy, grid))])
    left, bottom, right, top = grid.bounds
    raise InputError(
        f"{_point_text(at)} lies outside the job's grid (x {left:.10g} to {right:.10g}, "
        f"y {bottom:.10g} to {top:.10g}), also as longitude and latitude."
    )


def _pixel_coordinates(xy: Any, grid: Grid) -> Any:
    """Coordinates of (n, 2) columns and rows in a timeline's grid."""
    return np.column_stack(grid.transform @ (xy[:, 0], xy[:, 1]))


def _point_readings(at: tuple[float, float], grid: Grid) -> Iterator[tuple[float, float]]:
    """Readings of a timeline's point: coordinates of the grid, then longitude and latitude."""
    yield at
    if grid.crs is not None and abs(at[0]) <= 180 and abs(at[1]) <= 90:
        x, y = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(*at)
        yield float(near_longitudes(x, grid)), y


def _point_text(at: tuple[float, float] | None) -> str:
    """Title of a point's timeline."""
    assert at is not None
    return f"{at[0]:.10g},{at[1]:.10g}"


class _TimelineRasters:
    """Rasters of change probability for a timeline: one per date, against the job's baseline."""

    def __init__(self, journal: Journal, folder: JobFolder, grid: Grid) -> None:
        self._grid = grid
        done = [row for row in journal.steps().values() if row.state == "done"]
        # Of two comparisons of a scene the later is used: another scene arrived in between.
        self._rows = {row.scene: row for row in done if (folder.steps / row.content["folder"]).is_dir()}
        self._folder = folder
        self.threshold = done[-1].content["level"] / 100 if done else None

    def probability(self, scene: str, window: Window, inside: Any) -> tuple[float | None, str]:
        """Mean probability of the observed pixels `inside` a window, and the baseline's description."""
        row = self._rows.get(scene)
        if row is None:
            return None, ""
        raster = ProbabilityRaster(self._folder.steps / row.content["folder"] / Outputs.RASTER)
        # A raster covers the area of interest, and the window counts on the grid of the site.
        row_off, col_off = offset_between(self._grid, raster.grid) or (0, 0)
        window = window.shifted(row_off, col_off)
        part = window.intersection(raster.grid.window)
        values = np.full(window.shape, NOT_OBSERVED, dtype=np.uint8)
        if not part.is_empty:
            values[part.slices_in(window)] = raster.read(part)
        observed = inside & (values != NOT_OBSERVED)
        if observed.sum() < _LEAST_VALID * inside.sum():
            return None, row.baseline
        return float(values[observed].mean()) / 100, row.baseline


class _TimelineArea:
    """Area of a timeline, with its values on each date."""

    def __init__(
        self,
        site: Site,
        area: Any,
        thumbnails: Thumbnails,
        rasters: _TimelineRasters,
        observations: dict[str, Observation],
    ) -> None:
        self.cutout = Cutout.around(area, site)
        self.rasters = rasters
        self._site, self._thumbnails, self._observations = site, thumbnails, observations
        self._window = window_around(area, site.grid)
        transform = site.grid.crop(self._window).transform
        burnt = rasterize([area], out_shape=self._window.shape, transform=transform, dtype="uint8")
        self._inside = burnt.astype(bool)

    def moments(self) -> list[TimelineDate]:
        """Dates of the timeline, in order."""
        scenes = sorted(self._thumbnails.scenes.values(), key=lambda scene: (scene.taken, scene.id))
        thumbs = [self._thumbnails.thumbnail(scene, self.cutout) for scene in scenes]
        images = self._thumbnails.data_uris(thumbs)
        return [
            self._timeline_date(scene, thumb, image)
            for scene, thumb, image in zip(scenes, thumbs, images, strict=True)
            if thumb is not None
        ]

    def _timeline_date(self, scene: IngestedScene, thumb: Thumbnail, image: str | None) -> TimelineDate:
        """Values of a timeline on one date."""
        inside = self._inside_thumbnail()
        usable = inside & thumb.valid
        share = float(usable.sum() / inside.sum())
        bands, indices = None, {}
        if share >= _LEAST_VALID:
            bands = tuple(float(band[usable].mean()) for band in thumb.values)
            of_pixels = band_indices(thumb.values, self._site.names)
            indices = {name: float(np.nanmean(values[usable])) for name, values in of_pixels.items()}
        seen, probability, against = None, None, ""
        observation = self._observations.get(scene.id)
        if observation is not None:
            seen, probability, against = observation.seen, observation.probability_mean, observation.baseline
        else:
            probability, against = self.rasters.probability(scene.id, self._window, self._inside)
        return TimelineDate(scene.id, scene.taken, share, bands, indices, probability, against, seen, image)

    def _inside_thumbnail(self) -> Any:
        """Mask of the area's pixels in the thumbnails."""
        whole = np.zeros(self.cutout.window.shape, dtype=bool)
        whole[self._window.slices_in(self.cutout.window)] = self._inside
        return whole[:: self.cutout.step, :: self.cutout.step]
