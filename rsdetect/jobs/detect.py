"""Detection job: the flow from two scenes to change polygons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

import rasterio

from rsdetect.checks.land import fit_land_rules
from rsdetect.checks.plausibility import model_warnings, result_warnings
from rsdetect.checks.report import check_pair
from rsdetect.checks.scan import Scan
from rsdetect.detectors import Detector, Scorer
from rsdetect.detectors.fitting import fit_detector
from rsdetect.detectors.identity import ScoringIdentity, describe
from rsdetect.detectors.normalise import normalise
from rsdetect.devices import usable_cores
from rsdetect.errors import InputError, ReadError
from rsdetect.jobs.change_map import ChangeMap
from rsdetect.jobs.claim import claim_folder, done_before
from rsdetect.jobs.description import describe_job, describe_plan
from rsdetect.jobs.kinds_band import add_kinds, covered_pixels
from rsdetect.jobs.opening import load_meanwhile, open_for_detector
from rsdetect.jobs.options import DetectKeywords, DetectOptions, RunOptions, ScoringKeywords
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.plan import Job, job_memory, plan_job
from rsdetect.jobs.polygons import PolygonRequest, write_polygons
from rsdetect.jobs.prepare import register
from rsdetect.jobs.qgis_project import write_qgis_project
from rsdetect.jobs.record import (
    Record,
    Stopwatch,
    describe_input,
    describe_machine,
    fingerprint,
    plain,
    write_record,
)
from rsdetect.jobs.report.page import ReportInput
from rsdetect.jobs.report.write import try_report
from rsdetect.jobs.zones import Zones, digest_of, zones_of
from rsdetect.jsontypes import JsonObject
from rsdetect.memory import (
    GDAL_CACHE_BYTES,
    MIB,
    return_free_memory,
)
from rsdetect.progress import show_progress
from rsdetect.scenes.licences import licence_of
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.source import SceneLike
from rsdetect.scenes.watched import watch as watch_files
from rsdetect.scoring.decoding_cost import costly_layouts
from rsdetect.scoring.differences import PixelContent, StoredDifferences
from rsdetect.scoring.engine import Context, run_tiles
from rsdetect.scoring.lazy import lazy_scores
from rsdetect.scoring.raster import finish_raster, require_kept, write_raster_style
from rsdetect.scoring.repeatable import require_repeatable
from rsdetect.scoring.scene_overview import Lattice, collect_overview
from rsdetect.scoring.store import WorkStore
from rsdetect.scoring.windows import plan_windows
from rsdetect.tiles import TileWindow
from rsdetect.validation import refuse_unknown

if TYPE_CHECKING:
    from xarray import DataArray

_log = logging.getLogger(__name__)
_GROWTH = 32 * MIB  # of the process, from which on a job returns freed memory


def detect(
    before: SceneLike, after: SceneLike, *, out: str | Path, **options: Unpack[DetectKeywords]
) -> ChangeMap:
    """Find what changed between two scenes and write polygons, raster and record into `out`.

    Parameters
    ----------
    before, after
        Anything GDAL opens; a list of band files, or a mapping of band names to files; an open rasterio
        dataset, an xarray DataArray, or another `rsdetect.scenes.source.Source`.
    out
        Folder for the results; created if missing.
    **options
        The fields of `rsdetect.jobs.options`: bands, masks, mask_values, mask_bits, nodata, aoi, align,
        resampling, register, normalise, dates, accept; detector, model, detector_options, tile_size, device,
        workers, scheduler, backend, memory; threshold, opening, min_area, fill_holes, min_width, merge_gap,
        simplify, shape_attributes; zones, overwrite, resume, quiet.

    Raises
    ------
    InputError
        Scenes or options are wrong; nothing was written.
    ReadError
        A scene is damaged; no result appears, and finished tiles remain for the same call.
    JobInterrupted
        The job stopped; the same call resumes it.
    """
    return run_detect(before, after, Path(out), DetectOptions.from_keywords(**options))


def score(before: SceneLike, after: SceneLike, **options: Unpack[ScoringKeywords]) -> DataArray:
    """Score a pair lazily: Dask-backed DataArray (y, x) of change probability, float32, NaN = not observed.

    Takes the options of `detect` for scenes and scoring. Chunks have `tile_size`, by default 512 pixels;
    `detect` rounds the same values to integer percent.
    """
    refuse_unknown(options, ScoringKeywords)
    every = DetectOptions.from_keywords(**options)
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        pair, _, detector = open_for_detector(before, after, every)
        pair, _ = register(pair, wanted=every.pair.register)
        scan = Scan(pair, usable_cores())
        check_pair(pair, usable_cores(), scan)
        scan = normalise(scan, every.pair.normalise)
        scorer = fit_detector(detector, scan)
    return lazy_scores(scan.pair, scorer, plan_windows(scan.pair, scorer, every.score.tile_size))


def run_detect(
    before: SceneLike,
    after: SceneLike,
    out: Path,
    options: DetectOptions,
    *,
    periods: JsonObject | None = None,
) -> ChangeMap:
    """Run `detect` with its options in groups; `periods` describes composed scenes in the record."""
    watch = Stopwatch(quiet=options.run.quiet)
    memory = job_memory(options.score)
    with rasterio.Env(GDAL_CACHEMAX=memory.gdal_cache):
        with watch.stage("check"):
            pair, device, detector = open_for_detector(before, after, options)
            zones = zones_of(options.run, pair.grid)
            outputs = claim_folder(pair, out, options)
        with outputs:
            loading = None if options.score.scheduler is not None else load_meanwhile(detector.load, pair)
            with watch.stage("check"):
                raw, resume = pair, options.run.resume
                pair, registration = register(
                    raw, wanted=options.pair.register, outputs=outputs, resume=resume
                )
                scan = Scan(pair, usable_cores())
                report = check_pair(pair, usable_cores(), scan)
            placed = () if zones is None else zones.notes
            _logged((*report.warnings, *placed))  # before a large job takes hours
            inputs = {date: describe_input(getattr(raw, date), raw) for date in ("before", "after")}
            with watch.stage("fit"):
                scan = normalise(scan, options.pair.normalise)
                pair = scan.pair
                scorer = _fit(detector, scan, inputs, outputs, options)
                land = fit_land_rules(scan)
                del scan  # releases its sample of pixels
                if loading is not None:
                    loading.result()
                return_free_memory(_GROWTH)
                job = replace(plan_job(pair, scorer, options.score, memory), land=land)
                costly = _logged(costly_layouts(pair, job.plan, memory))
            provenance = describe(detector, scorer)
            dates = report.before["date"], report.after["date"]
            asked = PolygonRequest.of(options.polygons, provenance, dates, pair.grid, land)
            # Tiles that depend on the memory may have any size; the work store has their plan.
            cut = None if options.score.tile_size is None else job.plan
            key = fingerprint(inputs, pair, provenance, cut)
            asked = asked.of_run(key, inputs, licence_of(raw))
            done = done_before(outputs, out, key, asked, options.run, zones)
            if done is not None:
                return done
            work = outputs.work_folder(key, resume=options.run.resume)
            store = WorkStore(work)
            store.create()
            job = replace(job, plan=store.settle(job.plan))
            tiles = [tile for tile in job.plan if pair.intersects_aoi(tile.core)]
            with watch.stage("score"):
                counts, reading = _score(job, store, tiles, options, asked.level)
            return_free_memory(_GROWTH)
            results = outputs.results_folder(work)
            project = _project(out, pair, asked, options.run)
            made = _write_files(job, store, tiles, asked, results, watch, project, zones)
            if options.run.kinds:
                with watch.stage("raster"):
                    raster = results / Outputs.RASTER
                    add_kinds(raster, raster, results / Outputs.POLYGONS, covered_pixels(asked.options, made))
            implausible = _logged((*model_warnings(pair, provenance), *result_warnings(made)))
            record = plain(
                describe_job(job, options, asked, report, provenance)
                | {
                    "inputs": inputs,
                    "periods": periods,
                    "registration": None if registration is None else asdict(registration),
                    "fingerprint": key,
                    **digest_of(zones),
                    "plan": describe_plan(job) | {"reading": reading},
                    "counts": counts | made,
                    "warnings": [*report.warnings, *placed, *costly, *implausible],
                    "seconds": watch.seconds,
                    "machine": describe_machine(device),
                    "finished": datetime.now(UTC).isoformat(timespec="seconds"),
                }
            )
            with watch.stage("report"):
                _write_report(job, store, tiles, results, record, wanted=options.run.report)
            record["seconds"] = watch.seconds
            write_record(results / Outputs.RECORD, record)
            pair.require_unchanged()
            outputs.publish(work)
            outputs.clear()
    return ChangeMap(out / Outputs.RASTER, out / Outputs.POLYGONS, asked.threshold, cast(Record, record))


def _fit(
    detector: Detector, scan: Scan, inputs: dict[str, Any], outputs: Outputs, options: DetectOptions
) -> Scorer:
    """Fit the detector of a job, or read the fit of its interrupted run."""
    method = asdict(ScoringIdentity.of(detector, options.score.backend))
    file = outputs.fit_file(fingerprint(inputs, scan.pair, method, None), resume=options.run.resume)
    scorer = fit_detector(detector, scan, file)
    if options.score.scheduler is None:
        require_repeatable(scan.pair, scorer)
    return scorer


def _project(out: Path, pair: Pair, asked: PolygonRequest, run: RunOptions) -> Callable[[Path], None]:
    """Writer of the QGIS project of a detect job, given the path of its GeoPackage."""
    return partial(
        write_qgis_project,
        out=out,
        pair=pair,
        described=asked.description,
        wanted=run.qgis_project,
        kinds=run.kinds,
    )


def _write_files(
    job: Job,
    store: WorkStore,
    tiles: Sequence[TileWindow],
    asked: PolygonRequest,
    results: Path,
    watch: Stopwatch,
    project: Callable[[Path], None],
    zones: Zones | None,
) -> dict[str, Any]:
    """Write raster and polygons of a scored job into `results`; counts for the record."""
    raster = results / Outputs.RASTER
    with watch.stage("raster"):
        scored = finish_raster(store, job.pair.grid, tiles, raster, asked.description.raster_tags)
        write_raster_style(results / Outputs.RASTER_STYLE, asked.level)
        finished = watch_files([str(raster)])
    with watch.stage("polygons"):
        content = PixelContent(len(job.pair.bands), asked.direction, asked.land)
        stored = StoredDifferences(store, job.pair, job.plan, asked.level, content)
        polygons = results / Outputs.POLYGONS
        try:
            made = write_polygons(
                raster, polygons, asked, job.pair, stored, scored=scored, finish=project, zones=zones
            )
        except (InputError, ReadError):
            require_kept(finished)  # not the input is wrong, but the raster is gone or another one
            raise
        require_kept(finished)
    return made


def _write_report(
    job: Job,
    store: WorkStore,
    tiles: Sequence[TileWindow],
    results: Path,
    record: dict[str, Any],
    *,
    wanted: bool,
) -> None:
    """Write the report page of a job into `results`; a failure is one more warning of the record."""
    if not wanted:
        (results / Outputs.PAGE).touch()
        return

    def given() -> ReportInput:
        overview = collect_overview(job.pair, Lattice.of(job.pair), store, tiles, usable_cores())
        return ReportInput(
            results / Outputs.RASTER, results / Outputs.POLYGONS, record, job.pair, overview=overview
        )

    failure = try_report(results / Outputs.PAGE, given)
    if failure is not None:
        record["warnings"].append(failure)


def _logged(warnings: Sequence[str]) -> Sequence[str]:
    """The warnings of a job, each of them logged."""
    for warning in warnings:
        _log.warning(warning)
    return warnings


def _score(
    job: Job, store: WorkStore, tiles: list[TileWindow], options: DetectOptions, level: int
) -> tuple[dict[str, Any], dict[str, int]]:
    missing = [tile for tile in tiles if store.get(tile) is None]
    pixels = sum(tile.core.height * tile.core.width for tile in missing)
    # One thread per operator: parallel tiles scale better than parallel operators. The number of cores per
    # remote worker is unknown.
    threads = max(1, usable_cores() // job.workers) if options.score.scheduler is None else 1
    lattice = Lattice.to_store(job.pair) if options.run.report else None
    context = Context(job.pair, job.scorer, job.plan, store, threads, job.memory, level, job.land, lattice)
    with show_progress("3/5 scoring", pixels, quiet=options.run.quiet) as progress:
        reading = run_tiles(
            context, missing, progress, workers=job.workers, scheduler=options.score.scheduler
        )
    counts = {
        "tiles": len(tiles),
        "tiles_scored_in_this_run": len(missing),
        "pixels": job.pair.grid.height * job.pair.grid.width,
    }
    return counts, reading
