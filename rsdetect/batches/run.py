"""Run of a batch: pair after pair, on the cores of this machine or on one Dask cluster.

The pairs run one after another, and the tiles of each are distributed over all workers; memory is that of one
pair. Each pair is a run of `rsdetect detect` with its own folder, so that finished pairs stay, and
interrupted ones resume from their tiles. Table, report and GeoPackage are rewritten at the end of every run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import rasterio
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

from rsdetect.amounts import area_text
from rsdetect.batches.combined_gpkg import write_combined_gpkg
from rsdetect.batches.pair_results import FINISHED, PairResult, State, results_as_csv
from rsdetect.batches.pairs import POLYGONS, REPORT, TABLE, BatchPair, read_pairs
from rsdetect.batches.pending import Method, PendingWork, pending_work
from rsdetect.detectors import choose_device, make_detector
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.errors import InputError, JobInterrupted, OutputError, RsdetectError
from rsdetect.files import as_json, atomic_path, clear_unfinished, write_text
from rsdetect.folders import refuse_place
from rsdetect.jobs.detect import run_detect
from rsdetect.jobs.inputs import refuse_inputs
from rsdetect.jobs.options import DetectOptions, ScoreOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import reading_record
from rsdetect.jobs.vectorize import read_run, vectorize_run
from rsdetect.jsontypes import JsonObject
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.reading import refuse_endless
from rsdetect.scenes.handles import one_line
from rsdetect.schema import BATCH, require_known
from rsdetect.scoring.engine import require_scheduler
from rsdetect.statuses import status_of

Printer = Callable[[str], None]
_LEAST_REPORTED_M2 = 0.5  # less would be displayed as 0


@dataclass(frozen=True)
class BatchReport:
    """Report of a batch: its results and files."""

    results: list[PairResult]  # in the order of the list
    polygons: Path | None  # combined GeoPackage; None if no pair is finished
    crs: str | None  # name of its CRS
    unplaced: list[str]  # pairs without a CRS, not in it
    join: bool = True  # neighbouring pairs are joined in it
    regions: int | None = None  # features of it
    changed_area_m2: float | None = None  # of these

    @property
    def exit_status(self) -> int:
        """Exit status of a batch run: 0 all finished; 3 some may finish later; 2 some cannot; 1 a bug."""
        found = {result.exit_status for result in self.results}
        return next((status for status in (1, 3, 2) if status in found), 0)

    def remarks(self) -> list[str]:
        """Remarks on a batch run that are not in the table, one per line."""
        lines = []
        failed = sum(row.state is State.FAILED for row in self.results)
        if failed:
            lines.append(f"{failed} of {len(self.results)} pairs failed; the others are done.")
        if self.unplaced:
            lines.append(f"Not in {POLYGONS}, because they have no CRS: {', '.join(self.unplaced)}.")
        if self.polygons is not None:
            lines += self._overlap_remark()
            lines.append(f"All changes, in {self.crs}: {self.polygons}")
        return lines

    @property
    def counted_twice_m2(self) -> float:
        """Changed area of a batch run in m2 that several pairs count; see `rsdetect.batches.overlap`."""
        return round(sum(row.counted_twice_m2 or 0.0 for row in self.results), 3)

    def _overlap_remark(self) -> list[str]:
        """Remark of a batch run on the area counted twice, if any."""
        area = self.counted_twice_m2
        if area < _LEAST_REPORTED_M2:
            return []
        once = f" {POLYGONS} counts it once." if self.join else ""
        return [
            f"Counted twice: {area_text(area)} of the changed area, where pairs overlap. "
            f"{TABLE} has the part of each pair that earlier pairs count (counted_twice_m2).{once}"
        ]

    def as_content(self) -> JsonObject:
        """Content of `batch.json` for a batch run."""
        counts = {str(state): sum(row.state is state for row in self.results) for state in State}
        return {
            "exit_status": self.exit_status,
            "counts": counts,
            "polygons": None if self.polygons is None else self.polygons.name,
            "crs": self.crs,
            "join": self.join,
            "regions": self.regions,
            "changed_area_m2": self.changed_area_m2,
            "counted_twice_m2": self.counted_twice_m2,
            "pairs_without_crs": self.unplaced,
            "pairs": [asdict(row) for row in self.results],
        }


def run_batch(
    list_path: Path,
    out: Path,
    options: DetectOptions,
    output: Printer = lambda _: None,
    *,
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
    pairs = read_pairs(list_path, _with_absolute_aoi(options))
    methods = _scoring_methods(list_path, pairs, options.score)
    if options.score.scheduler is not None:
        require_scheduler(options.score.scheduler)
    results = [PairResult(pair.name, State.WAITING, None, "", pair.before, pair.after) for pair in pairs]
    read: list[str | Path] = [list_path, *(path for pair in pairs for path in _inputs(pair))]
    refuse_inputs(out, read, (TABLE, REPORT, POLYGONS))
    refuse_place(out, TABLE, REPORT)
    # GDAL's cache is common to the process and all pairs.
    with Outputs.hold(out), rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        clear_unfinished(out, TABLE, REPORT, POLYGONS)
        earlier = _pairs_of_earlier_runs(out, overwrite=options.run.overwrite)
        batch_record = _BatchRecord(list_path, out, options, earlier)
        try:
            for number, pair in enumerate(pairs):
                batch_record.claim(pair.name, BatchReport(results, None, None, []))
                may_replace = options.run.overwrite or pair.name in batch_record.own
                results[number] = _run_pair(
                    pair, out / pair.name, methods[pair.options.score], may_replace, stop_at_defects
                )
                batch_record.write(BatchReport(results, None, None, []))
                output(f"[{number + 1}/{len(pairs)}] {results[number]}")
        finally:
            report = _write_batch_outputs(out, results, join=join)
            batch_record.write(report, finished=True)
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
    except RsdetectError as error:
        _stop_if_batch_is_affected(error, pair.options.score.scheduler)
        status, why = error.exit_status, str(error)
    except Exception as error:
        if stop_at_defects:
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
    if isinstance(error.__context__, KeyboardInterrupt):  # reported by the engine
        raise error
    if scheduler is None:
        return
    try:
        require_scheduler(scheduler)
    except JobInterrupted:
        raise JobInterrupted(
            f"the Dask scheduler at {scheduler} is unavailable; start one and run the same command to resume."
        ) from error


def _write_batch_outputs(out: Path, results: list[PairResult], *, join: bool) -> BatchReport:
    """Write the table and the combined GeoPackage of a batch run."""
    write_text(out / TABLE, results_as_csv(results))
    finished = [(row.name, out / row.name) for row in results if row.state in FINISHED]
    if not finished:
        return BatchReport(results, None, None, [], join)
    try:
        with atomic_path(out / POLYGONS) as unfinished:
            collected = write_combined_gpkg(unfinished, finished, join=join)
    except (DataSourceError, DataLayerError, FeatureError, sqlite3.Error) as error:
        raise JobInterrupted(
            f"{out / POLYGONS} could not be written: {one_line(error)}; fix that and run the same command "
            "to resume."
        ) from error
    twice = collected.twice_m2
    results = [
        replace(row, counted_twice_m2=round(twice[row.name], 3)) if row.name in twice else row
        for row in results
    ]
    write_text(out / TABLE, results_as_csv(results))
    return BatchReport(
        results,
        out / POLYGONS,
        collected.crs,
        collected.unplaced,
        join,
        collected.regions,
        round(collected.changed_area_m2, 3),
    )


@dataclass
class _BatchRecord:
    """Record of the batch, `batch.json`, which also lists whose results the folders contain."""

    list_path: Path
    out: Path
    options: DetectOptions
    own: set[str]  # names of pairs begun or finished by this batch, now or before

    def claim(self, name: str, report: BatchReport) -> None:
        """Record a pair as part of the batch run before its first file, unless there are other results."""
        folder = self.out / name
        if name not in self.own and not any((folder / each).exists() for each in Outputs.RESULTS):
            self.own.add(name)
            self.write(report)

    def write(self, report: BatchReport, *, finished: bool = False) -> None:
        """Write the state of a batch run."""
        self.own |= {row.name for row in report.results if row.state in FINISHED}
        failed = {row.name for row in report.results if row.state is State.FAILED}
        self.own -= {name for name in failed if not (self.out / name / Outputs.RECORD).exists()}
        content = {
            "rsdetect": "batch",
            "schema": BATCH,
            "list": str(self.list_path.absolute()),
            "options": asdict(self.options),
            "finished": datetime.now(UTC).isoformat(timespec="seconds") if finished else None,
            "made": sorted(self.own),
        }
        write_text(self.out / REPORT, as_json(content | report.as_content()))


def _pairs_of_earlier_runs(out: Path, *, overwrite: bool) -> set[str]:
    """Names of the pairs that earlier runs of the batch began or finished."""
    refuse_endless(out / REPORT)
    try:
        content = json.loads((out / REPORT).read_text(encoding="utf-8"))
        made = set(content["made"])
        require_known(content, BATCH, out / REPORT)
        return made
    except FileNotFoundError:
        for name in (TABLE, POLYGONS):
            if (out / name).exists() and not overwrite:
                raise OutputError(
                    f"{out / name} exists and is of no batch; add `overwrite=True` to replace it, or choose "
                    "another folder."
                ) from None
        return set()
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{out / REPORT} is not the report of a batch; choose another folder.") from error


def _with_absolute_aoi(options: DetectOptions) -> DetectOptions:
    """Options of a batch run with an absolute path of the area of interest, as in records."""
    aoi = options.pair.aoi
    if not isinstance(aoi, str):
        return options
    return replace(options, pair=replace(options.pair, aoi=str(Path(aoi).absolute())))
