"""The command `rsdetect batch`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_message
from rsdetect.commands.option_groups import PAIR, POLYGONS, SCORING, with_options
from rsdetect.commands.parameters import (
    Debug,
    Json,
    Kinds,
    LogFile,
    NoQgisProject,
    NoReport,
    Quiet,
    Verify,
    Zones,
)
from rsdetect.errors import InputError

if TYPE_CHECKING:
    from rsdetect.batches.batch_report import BatchReport
    from rsdetect.jobs.options import PolygonOptions, ScoreOptions
    from rsdetect.scenes.pair import PairOptions


@with_options(scoring=SCORING, pair=PAIR.without("mask", "dates"), polygons=POLYGONS)
def batch(
    pairs: Annotated[
        Path | None,
        typer.Argument(
            metavar="[PAIRS.csv]",
            help="Columns name, before, after; optionally mask, dates, bands, ... per pair.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the results, one folder per pair.")
    ] = None,
    *,
    scoring: ScoreOptions,
    pair: PairOptions,
    polygons: PolygonOptions,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are not of this batch.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only part I of N of the list, to run parts on several machines."),
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Run nothing; collect the results of all shards in DIR.")
    ] = False,
    status: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Show what of the batch in DIR is done, failed and left, and end."),
    ] = None,
    no_join: Annotated[
        bool,
        typer.Option(
            "--no-join", help="Do not join neighbouring pairs in changes.gpkg: ground may count twice."
        ),
    ] = False,
    zones: Zones = None,
    verify: Verify = False,
    no_qgis_project: NoQgisProject = False,
    no_report: NoReport = False,
    kinds: Kinds = False,
    quiet: Quiet = False,
    log_file: LogFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find what changed in every pair of a list; finished pairs are skipped.

    Status 0: all done; 3: some failed for reasons that may pass; 2: some cannot be done as they are, or the
    list is wrong.
    """
    if status is not None:
        _show_status(status, as_json=as_json)
        return
    if pairs is None or out is None:
        raise InputError("give a list of pairs and `out`, or the folder of a batch to `status`.")
    from rsdetect.batches import run_batch
    from rsdetect.batches.shards import Shard, collect_batch
    from rsdetect.jobs.options import DetectOptions, RunOptions

    run = RunOptions(
        overwrite=overwrite,
        quiet=quiet or as_json,
        verify=verify,
        qgis_project=not no_qgis_project,
        report=not no_report,
        kinds=kinds,
        zones=zones,
    )
    options = DetectOptions(pair=pair, score=scoring, polygons=polygons, run=run)
    log_to_stderr(quiet=quiet, log_file=log_file)
    tell = (lambda _: None) if quiet or as_json else print_message
    if collect:
        report = collect_batch(pairs, out, join=not no_join)
    else:
        part = None if shard is None else Shard.parse(shard)
        report = run_batch(pairs, out, options, tell, shard=part, join=not no_join, stop_at_defects=debug)
    if as_json:
        print_json(report.as_content())
    else:
        _print_report(report)
    raise typer.Exit(report.exit_status)


def _print_report(report: BatchReport) -> None:
    """Print the table and the remarks of a batch."""
    from rsdetect.batches.pair_results import results_as_table
    from rsdetect.commands.tables import print_table
    from rsdetect.commands.wording import as_options

    table = results_as_table([replace(row, why=as_options(row.why)) for row in report.results])
    if table.row_count:
        print_table(table)
    for line in report.remarks():
        print_message(line)


def _show_status(folder: Path, *, as_json: bool) -> None:
    """Print the status of a batch."""
    from rsdetect.batches.status import batch_status
    from rsdetect.commands.wording import as_options

    found = batch_status(folder)
    if as_json:
        print_json(found.as_content())
    else:
        for line in found.lines():
            print_message(as_options(line))
