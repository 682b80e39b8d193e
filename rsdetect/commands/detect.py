"""The command `rsdetect detect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_summary
from rsdetect.commands.option_groups import PAIR, PERIODS, POLYGONS, SCORING, with_options
from rsdetect.commands.parameters import (
    After,
    AfterBand,
    Before,
    BeforeBand,
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
from rsdetect.jobs.parse import parse_scenes

if TYPE_CHECKING:
    from rsdetect.catalogue.options import PeriodOptions
    from rsdetect.jobs.options import DetectOptions, PolygonOptions, ScoreOptions
    from rsdetect.scenes.pair import PairOptions


@with_options(periods=PERIODS, scoring=SCORING, pair=PAIR, polygons=POLYGONS)
def detect(
    before: Before = None,
    after: After = None,
    *,
    before_band: BeforeBand = None,
    after_band: AfterBand = None,
    periods: PeriodOptions | None,
    list_scenes: Annotated[
        bool,
        typer.Option("--list", help="List the scenes of both periods, and which are taken; write nothing."),
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the results.")] = None,
    scoring: ScoreOptions,
    pair: PairOptions,
    polygons: PolygonOptions,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    no_resume: Annotated[
        bool, typer.Option("--no-resume", help="Start again after an interruption.")
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
    """Find what changed between BEFORE and AFTER; write raster, polygons and record into DIR.

    With --stac or --scenes, BEFORE and AFTER are composed from the scenes of two periods.
    """
    from rsdetect.jobs.detect import run_detect
    from rsdetect.jobs.options import DetectOptions, RunOptions

    run = RunOptions(
        overwrite=overwrite,
        resume=not no_resume,
        quiet=quiet or as_json,
        verify=verify,
        qgis_project=not no_qgis_project,
        report=not no_report,
        kinds=kinds,
        zones=zones,
    )
    options = DetectOptions(pair=pair, score=scoring, polygons=polygons, run=run)
    log_to_stderr(quiet=quiet, log_file=log_file)
    if periods is not None and any(each for each in (before, after, before_band, after_band)):
        raise InputError("scenes are given and periods to search; give BEFORE and AFTER, or the periods.")
    if list_scenes:
        _list(periods, options, as_json=as_json)
        return
    if out is None:
        raise InputError("`out` is missing; give a folder for the results.")
    if periods is None:
        changes = run_detect(*parse_scenes(before, after, before_band, after_band), out, options)
    else:
        from rsdetect.catalogue.detect import run_detect_periods

        changes = run_detect_periods(periods, out, options)
    if as_json:
        print_json(changes.record)
        return
    print_summary(changes.record, out, quiet=quiet)


def _list(periods: PeriodOptions | None, options: DetectOptions, *, as_json: bool) -> None:
    """List the scenes of both periods on stdout."""
    from rsdetect.catalogue.detect import run_list_periods
    from rsdetect.commands.periods_text import show_periods

    if periods is None:
        raise InputError("`list` is of scenes of two periods; give `stac` or `scenes`, and both periods.")
    found = run_list_periods(periods, options)
    if as_json:
        print_json(found.as_json())
    else:
        show_periods(found)
