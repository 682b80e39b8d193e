"""A batch: pair after pair, on the cores of this machine or on one Dask cluster.

The pairs run one after another, and the tiles of each spread over all workers; memory is that of one pair.
Each pair is a run of `rsdetect detect` with a folder of its own, so that what is finished stays, and what
was stopped resumes from its tiles. Table, report and GeoPackage are written anew at the end of every run.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import rasterio
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

from rsdetect.batches.collect import collect_changes
from rsdetect.batches.pairs import POLYGONS, REPORT, TABLE, BatchPair, read_pairs
from rsdetect.batches.pending import Left, Method, what_is_left
from rsdetect.batches.results import FINISHED, PairResult, State, as_csv
from rsdetect.detectors import choose_device, make_detector
from rsdetect.detectors.identity import ScoringIdentity
from rsdetect.errors import InputError, JobInterrupted, RsdetectError
from rsdetect.files import as_json, atomic_path, write_text
from rsdetect.jobs.detect import run_detect
from rsdetect.jobs.options import DetectOptions, ScoreOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.vectorize import read_run, vectorize_run
from rsdetect.memory import GDAL_CACHE_BYTES
from rsdetect.scenes.handles import one_line
from rsdetect.schema import BATCH, require_known
from rsdetect.scoring.engine import require_scheduler

Tell = Callable[[str], None]
_LEAST_TOLD_M2 = 0.5  # less would be said as 0


@dataclass(frozen=True)
class BatchReport:
    """What a batch left behind."""

    results: list[PairResult]  # in the order of the list
    polygons: Path | None  # the GeoPackage over all pairs; None where no pair is finished
    crs: str | None  # name of its CRS
    unplaced: list[str]  # pairs that are not in it, because they have no CRS

    @property
    def exit_status(self) -> int:
        """0 all finished; 3 some may finish next time; 2 some cannot as they are; 1 a defect of rsdetect."""
        found = {result.exit_status for result in self.results}
        return next((status for status in (1, 3, 2) if status in found), 0)

    def remarks(self) -> list[str]:
        """What the table does not say, a line each."""
        lines = []
        failed = sum(row.state is State.FAILED for row in self.results)
        if failed:
            lines.append(f"{failed} of {len(self.results)} pairs failed; the others are done.")
        if self.unplaced:
            lines.append(f"Without a CRS, and so not in {POLYGONS}: {', '.join(self.unplaced)}.")
        if self.polygons is not None:
            lines += self._said_of_twice()
            lines.append(f"All changes, in {self.crs}: {self.polygons}")
        return lines

    @property
    def counted_twice_m2(self) -> float:
        """Changed area that more than one pair counts, in m2; see `rsdetect.batches.overlap`."""
        return round(sum(row.counted_twice_m2 or 0.0 for row in self.results), 3)

    def _said_of_twice(self) -> list[str]:
        area = self.counted_twice_m2
        if area < _LEAST_TOLD_M2:
            return []
        return [
            f"Counted twice: {area:,.0f} m² ({area / 1e4:,.2f} ha) of the changed area, where pairs overlap. "
            f"{TABLE} says how much of each pair earlier ones count already (counted_twice_m2)."
        ]

    def as_content(self) -> dict[str, Any]:
        """What `batch.json` tells of it."""
        counts = {str(state): sum(row.state is state for row in self.results) for state in State}
        return {
            "exit_status": self.exit_status,
            "counts": counts,
            "polygons": None if self.polygons is None else self.polygons.name,
            "crs": self.crs,
            "counted_twice_m2": self.counted_twice_m2,
            "pairs_without_crs": self.unplaced,
            "pairs": [asdict(row) for row in self.results],
        }


def run_batch(
    list_path: Path,
    out: Path,
    options: DetectOptions,
    tell: Tell = lambda _: None,
    *,
    stop_at_defects: bool = False,
) -> BatchReport:
    """Find the changes of every pair of a list.

    Parameters
    ----------
    list_path
        A CSV as `rsdetect.batches.pairs` describes it.
    out
        Folder for the results: a folder a pair, `summary.csv`, `batch.json`, and `changes.gpkg` over all.
    options
        What holds for all pairs that say nothing else. `options.run.overwrite` lets a pair replace results
        that no earlier run of the batch made.
    tell
        Gets a line about each pair.
    stop_at_defects
        Raise what is no `RsdetectError`, instead of going on with the next pair.

    Raises
    ------
    InputError
        The list or the options are wrong; nothing was written.
    JobInterrupted
        The batch was stopped, or its cluster went away; the same call resumes the job.
    """
    pairs = read_pairs(list_path, _with_full_paths(options))
    methods = {score: _method(score) for score in {p.options.score for p in pairs}}
    if options.score.scheduler is not None:
        require_scheduler(options.score.scheduler)
    results = [PairResult(pair.name, State.WAITING, None, "", pair.before, pair.after) for pair in pairs]
    # GDAL's cache is one for the whole process and all pairs.
    with Outputs.hold(out), rasterio.Env(GDAL_CACHEMAX=GDAL_CACHE_BYTES):
        book = _Book(list_path, out, options, _names_of_earlier_runs(out))
        try:
            for number, pair in enumerate(pairs):
                may_replace = options.run.overwrite or pair.name in book.own
                results[number] = _run_pair(
                    pair, out / pair.name, methods[pair.options.score], may_replace, stop_at_defects
                )
                book.write(BatchReport(results, None, None, []))
                tell(f"[{number + 1}/{len(pairs)}] {results[number]}")
        finally:
            report = _finish(out, results)
            book.write(report, finished=True)
    return report


def _method(score: ScoreOptions) -> Method:
    on_cluster = score.scheduler is not None
    device = choose_device(score.detector, score.device, score.backend, on_cluster=on_cluster)
    detector = make_detector(score.detector, score.model, device, score.backend)
    return Method(detector.bands, ScoringIdentity.of(detector, score.backend))


def _run_pair(
    pair: BatchPair, folder: Path, method: Method, may_replace: bool, stop_at_defects: bool
) -> PairResult:
    """Do what is left of one pair; what fails in it is told in its row."""
    try:
        return _do(pair, folder, method, may_replace)
    except RsdetectError as error:
        _stop_if_all_are_concerned(error, pair.options.score.scheduler)
        status, why = error.exit_status, str(error)
    except Exception as error:
        if stop_at_defects:
            raise
        status, why = (
            1,
            f"a defect of rsdetect ({type(error).__name__}: {error}); `stop_at_defects=True` shows where.",
        )
    return PairResult(pair.name, State.FAILED, status, " ".join(why.split()), pair.before, pair.after)


def _do(pair: BatchPair, folder: Path, method: Method, may_replace: bool) -> PairResult:
    left = what_is_left(pair, folder, method)
    if left is Left.NOTHING:
        return PairResult.finished(pair, State.DONE_BEFORE, read_run(folder))
    wanted, run = pair.options.polygons, pair.options.run
    if left is Left.POLYGONS:
        threshold: Any = "auto" if wanted.threshold is None else wanted.threshold
        record = vectorize_run(
            folder, threshold=threshold, min_area=wanted.min_area, simplify=wanted.simplify
        )
        return PairResult.finished(pair, State.OUTLINED, record)
    options = replace(pair.options, run=replace(run, overwrite=may_replace))
    return PairResult.finished(pair, State.DONE, run_detect(pair.before, pair.after, folder, options).record)


def _stop_if_all_are_concerned(error: RsdetectError, scheduler: str | None) -> None:
    """End the batch where the error is not about one pair."""
    if isinstance(error.__context__, KeyboardInterrupt):  # which the engine makes known in words of its own
        raise error
    if scheduler is None:
        return
    try:
        require_scheduler(scheduler)
    except InputError:
        raise JobInterrupted(
            f"the Dask scheduler at {scheduler} went away; start one and run the same command to resume."
        ) from error


def _finish(out: Path, results: list[PairResult]) -> BatchReport:
    """Write the table and the GeoPackage over what is finished."""
    write_text(out / TABLE, as_csv(results))
    finished = [(row.name, out / row.name / Outputs.POLYGONS) for row in results if row.state in FINISHED]
    if not finished:
        return BatchReport(results, None, None, [])
    try:
        with atomic_path(out / POLYGONS) as unfinished:
            collected = collect_changes(unfinished, finished)
    except (DataSourceError, DataLayerError, FeatureError, sqlite3.Error) as error:
        raise JobInterrupted(
            f"{out / POLYGONS} could not be written: {one_line(error)}; mend that and run the same command "
            "to resume."
        ) from error
    twice = collected.twice_m2
    results = [
        replace(row, counted_twice_m2=round(twice[row.name], 3)) if row.name in twice else row
        for row in results
    ]
    write_text(out / TABLE, as_csv(results))
    return BatchReport(results, out / POLYGONS, collected.crs, collected.unplaced)


@dataclass
class _Book:
    """Keeps `batch.json`, which also says whose results the folders of the pairs hold."""

    list_path: Path
    out: Path
    options: DetectOptions
    own: set[str]  # names of the pairs that this batch has finished, in this run or before

    def write(self, report: BatchReport, *, finished: bool = False) -> None:
        """Put down how far the batch is."""
        self.own |= {row.name for row in report.results if row.state in FINISHED}
        content = {
            "rsdetect": "batch",
            "schema": BATCH,
            "list": str(self.list_path.absolute()),
            "options": asdict(self.options),
            "finished": datetime.now(UTC).isoformat(timespec="seconds") if finished else None,
            "made": sorted(self.own),
        }
        write_text(self.out / REPORT, as_json(content | report.as_content()))


def _names_of_earlier_runs(out: Path) -> set[str]:
    try:
        content = json.loads((out / REPORT).read_text(encoding="utf-8"))
        made = set(content["made"])
        require_known(content, BATCH, out / REPORT)
        return made
    except FileNotFoundError:
        return set()
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{out / REPORT} is not the report of a batch; choose another folder.") from error


def _with_full_paths(options: DetectOptions) -> DetectOptions:
    """As the record of a run keeps them, so that the two can be compared."""
    aoi = options.pair.aoi
    if not isinstance(aoi, str):
        return options
    return replace(options, pair=replace(options.pair, aoi=str(Path(aoi).absolute())))
