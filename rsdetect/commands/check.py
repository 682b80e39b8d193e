"""The command `rsdetect check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_warnings
from rsdetect.commands.option_groups import PAIR, with_options
from rsdetect.commands.parameters import (
    After,
    AfterBand,
    Before,
    BeforeBand,
    Debug,
    Json,
    LogFile,
    Quiet,
)
from rsdetect.jobs.parse import parse_scenes

if TYPE_CHECKING:
    from rsdetect.scenes.pair import PairOptions


@with_options(pair=PAIR.without("normalise"))
def check(
    before: Before = None,
    after: After = None,
    before_band: BeforeBand = None,
    after_band: AfterBand = None,
    *,
    pair: PairOptions,
    deep: Annotated[
        bool, typer.Option("--deep", help="Verify checksums or lengths of all blocks of the scenes too.")
    ] = False,
    quiet: Quiet = False,
    log_file: LogFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check a pair without scoring it: grids, overlap, valid share, band statistics, measured shift."""
    from rsdetect.commands.tables import print_check
    from rsdetect.jobs.check import run_check

    log_to_stderr(quiet=quiet, log_file=log_file)
    report = run_check(
        *parse_scenes(before, after, before_band, after_band),
        pair,
        deep=deep,
    )
    if as_json:
        print_json(report.as_json())
        return
    print_check(report)
    if not quiet:
        print_warnings(report.warnings)
