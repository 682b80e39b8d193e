"""Writing a simulated pair: two scenes, their cloud masks and the truth, window by window."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from rsdetect.errors import InputError, JobInterrupted, OutputError
from rsdetect.files import SCRATCH, clear_unfinished, move, scratch_folder
from rsdetect.folders import refuse_place
from rsdetect.grid import Grid, Window
from rsdetect.kinds.classes import pair_codes
from rsdetect.scenes.extent import MOST_PIXELS
from rsdetect.scenes.geotiff import checked_writing, geotiff_profile
from rsdetect.scenes.handles import gdal_window
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.scene import render
from rsdetect.simulation.spec import ChangeKind, Rendered, SceneSpec
from rsdetect.simulation.truth import write_truth_polygons
from rsdetect.simulation.world import build_world
from rsdetect.statuses import write_error

NODATA_TRUTH = 255
_GDAL_ERRORS = (RasterioError, DataSourceError, DataLayerError)
_CRS = "EPSG:32632"
_ORIGIN = (500000.0, 5300000.0)
_TILE = 512  # edge of the files' blocks and of the windows drawn, in pixels
_CACHE_BYTES = 64 << 20  # GDAL's own default is a share of the machine's memory
_COLOURS = {
    "swir1": ColorInterp.swir,
    "swir2": ColorInterp.swir,
}  # other bands have interpretations of the same name
_RASTERS = ("before.tif", "after.tif", "before_mask.tif", "after_mask.tif", "truth.tif")
_POLYGONS = "truth.gpkg"
_KINDS = "kinds.tif"  # `ChangeKind` and land classes per pixel; removed once the polygons are written


class _PairSummary(TypedDict):
    kind: str
    size: list[int]  # height, width
    seed: int
    gsd_m: float
    bands: list[str]
    before_date: str  # ISO date
    after_date: str
    shift_px: list[float]  # rows, columns
    observed_share: float
    changed_share: float
    changed_pixels: dict[str, int]  # by kind of change
    regions: int


class SimulatedPair(_PairSummary):
    """Summary of a written simulated pair."""

    files: list[str]


def simulate_pair(out: Path, spec: SceneSpec, *, overwrite: bool = False, workers: int = 1) -> SimulatedPair:
    """Write a simulated pair into the folder `out`, and return a summary.

    - `before.tif`, `after.tif`: the scenes; nodata is 0 in every band.
    - `before_mask.tif`, `after_mask.tif`: 0 clear, 1 cloud, 2 cloud shadow; no value means nodata.
    - `truth.tif`: 1 changed, 0 not changed, also under clouds; 255 where a date has no data.
    - `truth.gpkg`: the changed regions of `truth.tif` (4-connected), each with its most frequent event
      (`kind`), and with kind of change and land of both dates in the terms of `changes.gpkg` (`land_kind`,
      `from_class`, `to_class`).

    Memory does not grow with the scene. Files appear under their names only when all are complete.

    Parameters
    ----------
    workers
        Number of processes; the pixels do not depend on it.

    Raises
    ------
    InputError
        The scene has more than `MOST_PIXELS` pixels.
    OutputError
        One of the files exists already and `overwrite` is false, or `out` cannot be written.
    JobInterrupted
        The disk is full, or fails.
    """
    if spec.height * spec.width > MOST_PIXELS:
        raise InputError(f"{spec.width:,} x {spec.height:,} pixels are more than {MOST_PIXELS:,}.")
    names = (*_RASTERS, _POLYGONS)
    refuse_place(out, *names)
    there = [name for name in names if (out / name).exists()]
    if there and not overwrite:
        raise OutputError(f"{out / there[0]} exists already; choose another folder or allow overwriting.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(str(out), error) from error
    clear_unfinished(out, *names, SCRATCH)
    try:
        with scratch_folder(out) as scratch:
            parts = {name: scratch / name for name in (*names, _KINDS)}
            summary = _write_pair_files(spec, parts, workers)
            for name in names:
                move(parts[name], out / name)
    except _GDAL_ERRORS as error:
        raise JobInterrupted(
            f"{out} cannot be written: {error}; fix this and run the same command again."
        ) from error
    except OSError as error:
        raise write_error(str(error.filename or out), error) from error
    return {**summary, "files": [str(out / name) for name in names]}


def pair_grid(spec: SceneSpec) -> Grid:
    """Grid of a simulated pair's files, in UTM zone 32 north."""
    size = spec.ground_m
    crs = str(rasterio.crs.CRS.from_string(_CRS).to_wkt())
    return Grid(crs, Affine(size, 0, _ORIGIN[0], 0, -size, _ORIGIN[1]), spec.height, spec.width)


def _write_pair_files(spec: SceneSpec, parts: dict[str, Path], workers: int) -> _PairSummary:
    grid, dates = pair_grid(spec), acquisition_dates(spec)
    counts = np.zeros(len(ChangeKind), dtype=np.int64)
    observed = 0
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        with ExitStack() as stack:
            files = _create_pair_rasters(stack, spec, parts, dates)
            for window, drawn in _rendered_windows(spec, workers):
                valid = np.asarray(drawn.before.any(axis=0) & drawn.after.any(axis=0))
                _write_pair_window(files, window, drawn, valid)
                counts += np.bincount(drawn.kind[valid], minlength=len(ChangeKind))
                observed += int(valid.sum())
        regions = write_truth_polygons(parts["truth.tif"], parts[_KINDS], grid, parts[_POLYGONS])
    changed = int(counts[1:].sum())
    return {
        "kind": spec.kind,
        "size": [spec.height, spec.width],
        "seed": spec.seed,
        "gsd_m": spec.ground_m,
        "bands": list(spec.bands),
        "before_date": dates[0].date().isoformat(),
        "after_date": dates[1].date().isoformat(),
        "shift_px": list(build_world(spec).views[1].shift_px),
        "observed_share": observed / (spec.height * spec.width),
        "changed_share": changed / max(observed, 1),
        "changed_pixels": {
            kind.name.lower(): int(counts[kind]) for kind in ChangeKind if kind and counts[kind]
        },
        "regions": regions,
    }


def acquisition_dates(spec: SceneSpec) -> tuple[datetime, datetime]:
    """Acquisition dates of a simulated pair: days of the year that match the seasons, years apart."""
    rng = Draws([spec.seed, 11])
    years = (rng.integers(2015, 2019), rng.integers(2020, 2024))
    views = build_world(spec).views
    days = [165 + round(150 * (1 - view.season.green) * rng.choice((-1, 1))) for view in views]
    first, second = (datetime(y, 1, 1, 10, 20) + timedelta(d) for y, d in zip(years, days, strict=True))
    return first, second


def _create_pair_rasters(
    stack: ExitStack, spec: SceneSpec, parts: dict[str, Path], dates: tuple[datetime, datetime]
) -> dict[str, Any]:
    grid = pair_grid(spec)
    image = geotiff_profile(grid, spec.dtype, count=len(spec.bands), nodata=0, block=_TILE) | {"predictor": 2}
    classes = geotiff_profile(grid, "uint8", block=_TILE)
    profiles: dict[str, dict[str, Any]] = {
        "before.tif": image,
        "after.tif": image,
        "before_mask.tif": classes,
        "after_mask.tif": classes,
        "truth.tif": classes | {"nodata": NODATA_TRUTH},
        _KINDS: classes | {"count": 2},
    }
    stack.enter_context(checked_writing(parts[_KINDS].parent))  # left after the files are closed
    files = {
        name: stack.enter_context(rasterio.open(parts[name], "w", compress="deflate", **profile))
        for name, profile in profiles.items()
    }
    for name, date in zip(("before.tif", "after.tif"), dates, strict=True):
        files[name].colorinterp = [_COLOURS.get(band) or ColorInterp[band] for band in spec.bands]
        files[name].descriptions = spec.bands
        files[name].update_tags(TIFFTAG_DATETIME=date.strftime("%Y:%m:%d %H:%M:%S"))
    return files


def _write_pair_window(
    files: dict[str, Any], window: Window, drawn: Rendered, valid: NDArray[np.bool_]
) -> None:
    place = gdal_window(window)
    files["before.tif"].write(drawn.before, window=place)
    files["after.tif"].write(drawn.after, window=place)
    masks = (drawn.cloud_before, drawn.shadow_before), (drawn.cloud_after, drawn.shadow_after)
    for name, (cloud, shadow) in zip(("before_mask.tif", "after_mask.tif"), masks, strict=True):
        files[name].write(cloud.astype(np.uint8) + shadow, 1, window=place)
    files["truth.tif"].write(np.where(valid, drawn.truth, np.uint8(NODATA_TRUTH)), 1, window=place)
    codes = pair_codes(drawn.land_before, drawn.land_after)
    files[_KINDS].write(np.stack([drawn.kind, codes]), window=place)


def _rendered_windows(spec: SceneSpec, workers: int) -> Iterator[tuple[Window, Rendered]]:
    """Rendered windows of a simulated pair, in the order of the files' blocks."""
    windows = Window(0, 0, spec.height, spec.width).blocks(_TILE)
    if workers <= 1:
        yield from ((window, render(spec, window)) for window in windows)
        return
    waiting: deque[tuple[Window, Future[Rendered]]] = deque()
    # Spawned, because a process that is forked while other threads hold locks may deadlock.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for window in windows:
            waiting.append((window, pool.submit(render, spec, window)))
            # A bounded queue, so that finished windows do not accumulate in memory.
            if len(waiting) > 2 * workers:
                window, future = waiting.popleft()
                yield window, future.result()
        while waiting:
            window, future = waiting.popleft()
            yield window, future.result()
