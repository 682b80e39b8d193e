"""The command `rsdetect compare`: detectors on two scenes, or two evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_message
from rsdetect.commands.option_groups import PAIR, with_options
from rsdetect.commands.parameters import (
    Backend,
    Debug,
    Json,
    LogFile,
    Quiet,
)
from rsdetect.errors import InputError

if TYPE_CHECKING:
    from rsdetect.evaluation.comparison import Comparison
    from rsdetect.evaluation.detector_results import DetectorComparison
    from rsdetect.scenes.pair import PairOptions

_OUT = Path("comparison")


@with_options(pair=PAIR.without("register"))
def compare(
    first: Annotated[
        str, typer.Argument(metavar="BEFORE|DIR", help="The earlier scene, or the output of evaluate.")
    ],
    second: Annotated[
        str,
        typer.Argument(metavar="AFTER|DIR", help="The later scene, or an evaluation of the same pairs."),
    ],
    detectors: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME,...", help="Detectors to compare on the scenes, as --detector."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Label of the changes: a raster or polygons.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for comparison.html and .json; default: comparison."),
    ] = None,
    *,
    pair: PairOptions,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")] = "auto",
    backend: Backend = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing comparison.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap, for evaluations.")] = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare --detectors on two scenes: scores, agreement, cost, pictures; or compare two evaluations.

    Status 0: all detectors have results; else that of those that failed, as rsdetect detect has it. The
    results of the others are written all the same.
    """
    log_to_stderr(quiet=quiet, log_file=log_file)
    if detectors is None:
        if truth is not None or out is not None:
            raise InputError("`truth` and `out` are for scenes; name the `detectors` to compare on them.")
        _compare_evaluations(first, second, seed, as_json)
        return
    from rsdetect.evaluation.detector_comparison import run_compare
    from rsdetect.evaluation.detector_options import CompareOptions, as_detectors

    options = CompareOptions(
        detectors=as_detectors(detectors),
        pair=pair,
        truth=truth,
        device=device,
        backend=backend,
    )
    found = run_compare(
        first,
        second,
        out or _OUT,
        options,
        overwrite=overwrite,
        quiet=quiet or as_json,
        stop_at_defects=debug,
    )
    _show(found, out or _OUT, as_json=as_json, quiet=quiet)
    if found.exit_status:
        raise typer.Exit(found.exit_status)


def _show(found: DetectorComparison, out: Path, *, as_json: bool, quiet: bool) -> None:
    from rsdetect.evaluation.detector_page import (
        COST_TITLES,
        SCORE_TITLES,
        agreement_rows,
        cost_row,
        score_row,
    )
    from rsdetect.evaluation.output_files import COMPARISON_PAGE

    if as_json:
        print_json(found.as_json())
    else:
        _print_rows("Detectors", COST_TITLES, [cost_row(result) for result in found.detectors])
        if found.truth is not None:
            _print_rows("Scores", SCORE_TITLES, [score_row(result) for result in found.detectors])
        elif len(found.detectors) > 1:
            titles = ["IoU", *(result.name for result in found.detectors)]
            _print_rows("Agreement", titles, agreement_rows(found))
        print_message(f"Pictures: {out / COMPARISON_PAGE}")
    for failure in found.failed if quiet else ():  # else they were logged as they failed
        print_message(f"Error: {failure.name} has no result: {failure.why}")


def _print_rows(title: str, columns: Sequence[str], rows: list[list[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from rsdetect.commands.tables import print_table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for number, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        table.add_row(*map(Text, row))
    print_table(table)


def _compare_evaluations(first: str, second: str, seed: int, as_json: bool) -> None:
    from rsdetect.evaluation.comparison import compare as compare_evaluations
    from rsdetect.evaluation.output_files import RECORD

    for given in map(Path, (first, second)):
        if not ((given / RECORD).exists() or given.suffix == ".json"):
            raise InputError(
                f"{given} holds no {RECORD}; to compare detectors on two scenes, name them: "
                "`detectors='cva,sfa'`."
            )
    comparison = compare_evaluations(first, second, seed=seed)
    if as_json:
        print_json(comparison.as_json())
    else:
        _print_evaluations(comparison)


def _print_evaluations(comparison: Comparison) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from rsdetect.commands.tables import print_table
    from rsdetect.evaluation.summary_tables import COMPARED, comparison_texts

    for column in COMPARED:
        table = Table(title=column.title, title_justify="left", box=SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for title in ("first", "second", "second - first", "nine of ten draws"):
            table.add_column(title, justify="right", no_wrap=True)
        for row in comparison.rows:
            table.add_row(row.name, *comparison_texts(row, column))
        print_table(table)
