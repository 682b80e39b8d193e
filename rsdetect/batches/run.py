"""Run of a batch: pair after pair, on the cores of this machine or on one Dask cluster.

The pairs run one after another, and the tiles of each are distributed over all workers; memory is that of one
pair. Each pair is a run of `rsdetect detect` with its own folder, so that finished pairs stay, and
interrupted ones resume from their tiles. The GeoPackage for all is written at the end of every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import rasterio

from rsdetect.batches.batch_polygons import write_batch_polygons
from rsdetect.batches.batch_record import BatchRecord, pairs_of_earlier_runs
from rsdetect.batches.batch_report import BatchReport
from rsdetect.batches.index_page import write_index
from rsdetect.batches.pair_results import PairResult, State, waiting_result
from rsdetect.batches.pairs import INDEX, POLYGONS, REPORT, TABLE, ZONES, BatchPair, read_pairs
from rsdetect.batches.pending import Method, PendingWork, pending_work
from rsdetect.batches.shards import Shard
from rsdetect.detectors import choose_device, make_detector
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.errors import InputError, JobInterrupted, RsdetectError
from rsdetect.files import clear_unfinished
from rsdetect.folders import refuse_place
from rsdetect.interruption import was_interrupted
from rsdetect.jobs.detect import run_detect
from rsdetect.jobs.inputs import refuse_inputs
from rsdetect.jobs.options import DetectOptions, ScoreOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import reading_record
from rsdetect.jobs.vectorize import read_run, vectorize_run
from rsdetect.jobs.zones import Zones
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.scoring.engine import require_scheduler
from rsdetect.statuses import status_of

Printer = Callable[[str], None]


def run_batch(
    list_path: Path,
    out: Path,
    options: DetectOptions,
    output: Printer = lambda _: None,
    *,
    shard: Shard | None = None,
    join: bool = True,
    stop_at_defects: bool = False,
) -> BatchReport:
    """Run a batch: find the changes of every pair in a list.

    Parameters
    ----------
    list_path
        A CSV as described in `rsdetect.batches.pairs`.
    out
        Folder for the results: a folder per pair, `summary.csv`, `batch.json`, and `changes.gpkg` for all.
    options
        Defaults for all pairs. With `options.run.overwrite`, pairs replace results that are not from an
        earlier run of the batch.
    output
        Called with a line on each pair.
    shard
        Only the pairs of this part of the list; `collect_batch` writes the GeoPackage for all afterwards.
    join
        Join the changes of neighbouring pairs in the GeoPackage for all, so that ground counts once.
    stop_at_defects
        Raise unexpected exceptions, instead of continuing with the next pair.

    Raises
    ------
    InputError
        The list or the options are invalid; nothing was written.
    JobInterrupted
        The batch was stopped, or its cluster is unavailable; the same call resumes it.
    """
    # Zones are of all pairs together, and their file is read before anything runs.
    zones = None if options.run.zones is None else Zones.read(str(options.run.zones))
    own = replace(options, run=replace(options.run, zones=None))
    pairs = read_pairs(list_path, _with_absolute_aoi(own))
    if shard is not None:
        pairs = shard.of(pairs)
    methods = _scoring_methods(list_path, pairs, options.score)
    if options.score.scheduler is not None:
        require_scheduler(options.score.scheduler)
    results = [waiting_result(pair) for pair in pairs]
    folder = out if shard is None else shard.folder(out)
    read: list[str | Path] = [list_path, *(path for pair in pairs for path in _inputs(pair))]
    read += [] if options.run.zones is None else [options.run.zones]
    refuse_inputs(folder, read, (TABLE, REPORT, POLYGONS, INDEX, ZONES))
    refuse_place(folder, TABLE, REPORT, INDEX)
    # GDAL's cache is common to the process and all pairs.
    with Outputs.hold(folder), rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        clear_unfinished(folder, TABLE, REPORT, POLYGONS, INDEX)
        earlier = pairs_of_earlier_runs(out, overwrite=options.run.overwrite)
        name = None if shard is None else str(shard)
        batch_record = BatchRecord(list_path, out, folder, asdict(options), earlier, name)
        batch_record.write(BatchReport(results, None, None, []))
        stopped = True
        try:
            for number, pair in enumerate(pairs):
                batch_record.claim(pair.name)
                may_replace = options.run.overwrite or pair.name in batch_record.own
                results[number] = _run_pair(
                    pair, out / pair.name, methods[pair.options.score], may_replace, stop_at_defects
                )
                batch_record.progress(BatchReport(results, None, None, []))
                output(f"[{number + 1}/{len(pairs)}] {results[number]}")
            stopped = False
        finally:
            report = BatchReport(results, None, None, [], join)
            batch_record.write(report)
            if shard is None:
                report = write_batch_polygons(out, results, join=join, zones=zones)
            if options.run.report and shard is None:
                write_index(out, report.results)
            batch_record.write(report, finished=not stopped)
    return report


def _inputs(pair: BatchPair) -> list[str]:
    """Input paths of a pair in a batch run."""
    aoi = pair.options.pair.aoi
    given = (pair.before, pair.after, *pair.options.pair.masks, aoi, pair.options.score.model)
    return [each for each in given if isinstance(each, str)]


def _scoring_methods(
    list_path: Path, pairs: list[BatchPair], own: ScoreOptions
) -> dict[ScoreOptions, Method]:
    """Scoring methods of a batch run; errors name the pair whose row has other options than the batch."""
    methods: dict[ScoreOptions, Method] = {}
    for pair in pairs:
        score = pair.options.score
        try:
            methods[score] = methods.get(score) or _scoring_method(score)
        except InputError as error:
            if score == own:
                raise
            raise type(error)(f"{list_path}, columns of pair {pair.name!r}: {error}") from error
    return methods


def _scoring_method(score: ScoreOptions) -> Method:
    """Scoring method of a batch run for options."""
    on_cluster = score.scheduler is not None
    device = choose_device(score.detector, score.device, score.backend, on_cluster=on_cluster)
    detector = make_detector(score.detector, score.model, device, score.backend, score.detector_options)
    return Method(detector.bands, ScoringIdentity.of(detector, score.backend))


def _run_pair(
    pair: BatchPair, folder: Path, method: Method, may_replace: bool, stop_at_defects: bool
) -> PairResult:
    """Run a pair of the batch; its errors are reported in its row."""
    try:
        return _finish_pair(pair, folder, method, may_replace)
    except Exception as error:
        if was_interrupted(error):
            raise
        if isinstance(error, RsdetectError):
            _stop_if_batch_is_affected(error, pair.options.score.scheduler)
        elif stop_at_defects:
            raise
        status, why = status_of(error)
        if status == 1:
            why = f"a bug in rsdetect ({type(error).__name__}: {error}); `stop_at_defects=True` shows where."
    return PairResult(pair.name, State.FAILED, status, " ".join(why.split()), pair.before, pair.after)


def _finish_pair(pair: BatchPair, folder: Path, method: Method, may_replace: bool) -> PairResult:
    """Run the pending work of a pair of the batch."""
    left = pending_work(pair, folder, method)
    if left is PendingWork.NOTHING:
        with reading_record(folder):
            return PairResult.finished(pair, State.DONE_BEFORE, read_run(folder))
    wanted, run = pair.options.polygons, pair.options.run
    if left is PendingWork.POLYGONS:
        record = vectorize_run(
            folder,
            threshold="auto" if wanted.threshold is None else wanted.threshold,
            **wanted.outlines,
        )
        return PairResult.finished(pair, State.OUTLINED, record)
    options = replace(pair.options, run=replace(run, overwrite=may_replace))
    return PairResult.finished(pair, State.DONE, run_detect(pair.before, pair.after, folder, options).record)


def _stop_if_batch_is_affected(error: RsdetectError, scheduler: str | None) -> None:
    """Stop the batch run if an error is not specific to one pair."""
    if scheduler is None:
        return
    try:
        require_scheduler(scheduler)
    except JobInterrupted:
        raise JobInterrupted(
            f"the Dask scheduler at {scheduler} is unavailable; start one and run the same command to resume."
        ) from error


def _with_absolute_aoi(options: DetectOptions) -> DetectOptions:
    """Options of a batch run with an absolute path of the area of interest, as in records."""
    aoi = options.pair.aoi
    if not isinstance(aoi, str):
        return options
    return replace(options, pair=replace(options.pair, aoi=str(Path(aoi).absolute())))
