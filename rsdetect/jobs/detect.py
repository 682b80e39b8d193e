"""Detection job: the flow from two scenes to change polygons."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

import rasterio

from rsdetect.checks.land import fit_land_rules
from rsdetect.checks.plausibility import model_warnings, result_warnings
from rsdetect.checks.report import CheckReport, check_pair
from rsdetect.checks.scan import Scan
from rsdetect.checks.settle import open_settled
from rsdetect.detectors import Detector, Scorer, choose_device, make_detector
from rsdetect.detectors.base import State
from rsdetect.detectors.fitting import fit_detector
from rsdetect.detectors.identity import ScoringIdentity, describe
from rsdetect.detectors.normalise import normalise
from rsdetect.devices import usable_cores
from rsdetect.errors import InputError, ReadError
from rsdetect.jobs.change_map import ChangeMap
from rsdetect.jobs.inputs import refuse_inputs
from rsdetect.jobs.kinds_band import add_kinds, covered_pixels
from rsdetect.jobs.options import DetectKeywords, DetectOptions, RunOptions, ScoreOptions, ScoringKeywords
from rsdetect.jobs.outputs import Outputs
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
    read_record,
    write_record,
)
from rsdetect.jobs.report.page import ReportInput
from rsdetect.jobs.report.write import try_report
from rsdetect.jobs.zones import Zones, zones_of
from rsdetect.jsontypes import JsonObject
from rsdetect.kinds.rules import LandRules
from rsdetect.memory import (
    GDAL_CACHE_BYTES,
    MIB,
    MemoryBudget,
    parse_memory,
    return_free_memory,
    usual_memory,
)
from rsdetect.paths import split_layer
from rsdetect.progress import show_progress
from rsdetect.scenes.extent import require_room
from rsdetect.scenes.licences import licence_of
from rsdetect.scenes.opening import require_sendable
from rsdetect.scenes.pair import Pair, PairKeywords, PairOptions
from rsdetect.scenes.source import SceneLike
from rsdetect.scenes.verify import verify_scenes
from rsdetect.scenes.watched import watch as watch_files
from rsdetect.schema import RUN
from rsdetect.scoring.decoding_cost import costly_layouts
from rsdetect.scoring.differences import PixelContent, StoredDifferences
from rsdetect.scoring.engine import Context, require_scheduler, run_tiles
from rsdetect.scoring.lazy import lazy_scores
from rsdetect.scoring.planning import plan_for
from rsdetect.scoring.raster import finish_raster, require_kept, write_raster_style
from rsdetect.scoring.repeatable import require_repeatable
from rsdetect.scoring.scene_overview import Lattice, collect_overview
from rsdetect.scoring.store import WorkStore
from rsdetect.scoring.windows import plan_windows
from rsdetect.tiles import TilePlan, TileWindow, plan_tiles
from rsdetect.validation import refuse_unknown

if TYPE_CHECKING:
    from xarray import DataArray

_log = logging.getLogger(__name__)
_GROWTH = 32 * MIB  # of the process, from which on a job returns freed memory


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Detection job: a fitted pair and its scoring parameters."""

    pair: Pair
    scorer: Scorer
    plan: TilePlan
    workers: int  # tiles in flight
    memory: MemoryBudget
    land: LandRules | None = None


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
        pair, _, detector = _open(before, after, every)
        pair, _ = register(pair, wanted=every.pair.register)
        scan = Scan(pair, usable_cores())
        check_pair(pair, usable_cores(), scan)
        scan = normalise(scan, every.pair.normalise)
        scorer = fit_detector(detector, scan)
    return lazy_scores(scan.pair, scorer, plan_windows(scan.pair, scorer, every.score.tile_size))


def check(
    before: SceneLike, after: SceneLike, *, deep: bool = False, **options: Unpack[PairKeywords]
) -> CheckReport:
    """Check a pair without scoring it: grids, overlap, valid share, band statistics, shift.

    Parameters
    ----------
    deep
        Verify the checksums or lengths of all blocks of the scenes first.
    """
    refuse_unknown(options, PairKeywords)
    return run_check(before, after, DetectOptions.from_keywords(**options).pair, deep=deep)


def run_check(
    before: SceneLike, after: SceneLike, options: PairOptions, *, deep: bool = False
) -> CheckReport:
    """Run `check` with its options in groups."""
    with rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        pair = open_settled(before, after, options)
        if deep:
            _verify(pair)
        pair, _ = register(pair, wanted=options.register)
        return check_pair(pair, usable_cores())


def _verify(pair: Pair) -> None:
    """Verify the blocks of a pair's files; warn where the codec has no checksum."""
    for found in verify_scenes((pair.before, pair.after), usable_cores()):
        if found.doubt:
            _log.warning(found.doubt)


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
    memory = _memory(options.score)
    with rasterio.Env(GDAL_CACHEMAX=memory.gdal_cache):
        with watch.stage("check"):
            pair, device, detector = _open(before, after, options)
            zones = zones_of(options.run, pair.grid)
            outputs = _claim(pair, out, options)
        with outputs:
            loading = None if options.score.scheduler is not None else _meanwhile(detector.load, pair)
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
                job = replace(_plan(pair, scorer, options.score, memory), land=land)
                costly = _logged(costly_layouts(pair, job.plan, memory))
            provenance = describe(detector, scorer)
            dates = report.before["date"], report.after["date"]
            asked = PolygonRequest.of(options.polygons, provenance, dates, pair.grid, land)
            # Tiles that depend on the memory may have any size; the work store has their plan.
            cut = None if options.score.tile_size is None else job.plan
            key = fingerprint(inputs, pair, provenance, cut)
            asked = asked.of_run(key, inputs, licence_of(raw))
            done = _done_before(outputs, out, key, asked, options.run)
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
                _describe(job, options, asked, report, provenance)
                | {
                    "inputs": inputs,
                    "periods": periods,
                    "registration": None if registration is None else asdict(registration),
                    "fingerprint": key,
                    "plan": _describe_plan(job) | {"reading": reading},
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


def _done_before(
    outputs: Outputs, out: Path, key: str, asked: PolygonRequest, run: RunOptions
) -> ChangeMap | None:
    """Results of the same detect job, if it was stopped after its last file."""
    if run.overwrite:
        _name_vectorize(out, key, asked)
        return None
    if not outputs.was_left:
        return None
    added = {"kinds": run.kinds, "zones": run.zones}
    done = ChangeMap.of_same_job(out, key, asked.as_record(), added)
    if done is not None:
        outputs.clear()
    return done


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


def _name_vectorize(out: Path, key: str, asked: PolygonRequest) -> None:
    """Log that `vectorize` suffices, if the results in `out` have the scores of this detect job."""
    try:
        record = read_record(out / Outputs.RECORD)
    except (OSError, ValueError, InputError):
        return
    if record.get("fingerprint") == key and record | asked.as_record() != record:
        _log.warning(
            f"only options of polygons differ from the results in {out}: rsdetect vectorize {out} draws them "
            "without scoring."
        )


def _claim(pair: Pair, out: Path, options: DetectOptions) -> Outputs:
    """Claim the output folder of a detect job, once all that needs no pixels is known to be right."""
    if options.score.scheduler is not None:
        require_scheduler(options.score.scheduler)
    require_room(pair.grid, out)
    refuse_inputs(out, (*pair.local_files, *_other_inputs(options)))
    if options.run.verify:
        _verify(pair)
    return Outputs.claim(out, overwrite=options.run.overwrite)


def _write_files(
    job: _Job,
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
    job: _Job,
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


def fit_pair(before: SceneLike, after: SceneLike, options: DetectOptions) -> tuple[Pair, Scorer]:
    """Open a pair and fit its detector, to score any window of it as `detect` does."""
    pair, _, detector = _open(before, after, options)
    pair, _ = register(pair, wanted=options.pair.register)
    scan = normalise(Scan(pair, usable_cores()), options.pair.normalise)
    return scan.pair, fit_detector(detector, scan)


def _open(before: SceneLike, after: SceneLike, options: DetectOptions) -> tuple[Pair, str, Detector]:
    asked = options.score
    on_cluster = asked.scheduler is not None
    device = choose_device(asked.detector, asked.device, asked.backend, on_cluster=on_cluster)
    detector = make_detector(asked.detector, asked.model, device, asked.backend, asked.detector_options)
    pair = open_settled(before, after, options.pair, wanted=detector.bands)
    if on_cluster:
        require_sendable(pair.before.source, pair.after.source)
    return pair, device, detector


def _meanwhile(load: Callable[[Pair], None], pair: Pair) -> Future[None]:
    """Load the detector in a thread during the check, because imports take a second or more."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="load")
    loading = pool.submit(load, pair)
    pool.shutdown(wait=False)  # after it has finished
    return loading


def _other_inputs(options: DetectOptions) -> list[str]:
    """Files beside the scenes and masks that the job may read."""
    named = (options.pair.aoi, options.score.model, options.run.zones)
    return [each for each in named if isinstance(each, str)]


def _plan(pair: Pair, scorer: Scorer, options: ScoreOptions, memory: MemoryBudget) -> _Job:
    """Plan the tiles of a detect job: of the requested size, else as large as the memory allows."""
    workers = _tiles_in_flight(options)
    if options.tile_size is None:
        plan = plan_for(pair, scorer, memory, workers)
    else:
        plan = plan_tiles(pair.grid, options.tile_size, scorer.halo, scorer.stride)
    return _Job(pair=pair, scorer=scorer, plan=plan, workers=workers, memory=memory)


def _tiles_in_flight(options: ScoreOptions) -> int:
    """Number of tiles in flight of a detect job; as many as local cores before a worker connects."""
    if options.workers is not None:
        return options.workers
    there = 0 if options.scheduler is None else require_scheduler(options.scheduler)
    return there or usable_cores()


def _memory(options: ScoreOptions) -> MemoryBudget:
    """Memory budget of a detect job; on a cluster, of each worker process, with one tile in flight."""
    workers = 1 if options.scheduler is not None else options.workers or usable_cores()
    asked = usual_memory(workers) if options.memory is None else parse_memory(options.memory)
    return MemoryBudget.of(asked, workers)


def _score(
    job: _Job, store: WorkStore, tiles: list[TileWindow], options: DetectOptions, level: int
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


def _describe(
    job: _Job, options: DetectOptions, asked: PolygonRequest, report: CheckReport, provenance: State
) -> dict[str, Any]:
    detector = options.score.detector
    if isinstance(detector, Detector):  # what it is, `provenance` says
        options = replace(options, score=replace(options.score, detector=detector.name))
    return {
        "rsdetect": "run",
        "schema": RUN,
        "options": asdict(options) | {"pair": asdict(_with_full_paths(options.pair))},
        "bands": list(job.pair.bands),
        "normalisation": asdict(job.pair.normalisation),
        "detector": provenance,
        "land_classes": None if job.land is None else job.land.as_record(),
        **asked.as_record(),
        "check": report.as_json(),
    }


def _describe_plan(job: _Job) -> dict[str, Any]:
    return {
        "tile_shape_px": list(job.plan.tile_shape),
        "halo_px": job.plan.halo,
        "workers": job.workers,
        "memory_mib": {part: round(size / MIB) for part, size in asdict(job.memory).items()},
    }


def _with_full_paths(options: PairOptions) -> PairOptions:
    """Options of a detect job with full paths, so that `vectorize` finds files from any folder."""

    def full(path: str) -> str:
        return str(Path(path).absolute()) if path and Path(path).exists() else path

    return replace(
        options,
        masks=tuple(full(path) for path in options.masks),
        aoi=_full_aoi(options.aoi) if isinstance(options.aoi, str) else options.aoi,
    )


def _full_aoi(text: str) -> str:
    """Area of interest of a detect job, FILE or FILE:LAYER, with its full path."""
    path, layer = split_layer(text)
    if not Path(path).exists():
        return text
    return str(Path(path).absolute()) + ("" if layer is None else f":{layer}")
