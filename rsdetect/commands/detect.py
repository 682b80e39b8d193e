"""The command `rsdetect detect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_message, result_message
from rsdetect.commands.option_groups import PAIR, POLYGONS, SCORING, with_options
from rsdetect.commands.parameters import (
    After,
    AfterBand,
    Before,
    BeforeBand,
    Debug,
    Json,
    NoQgisProject,
    Quiet,
    Verify,
)
from rsdetect.jobs.parse import parse_scenes

if TYPE_CHECKING:
    from rsdetect.jobs.options import PolygonOptions, ScoreOptions
    from rsdetect.scenes.pair import PairOptions


@with_options(scoring=SCORING, pair=PAIR, polygons=POLYGONS)
def detect(
    before: Before = None,
    after: After = None,
    *,
    before_band: BeforeBand = None,
    after_band: AfterBand = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    scoring: ScoreOptions,
    pair: PairOptions,
    polygons: PolygonOptions,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")] = False,
    no_resume: Annotated[
        bool, typer.Option("--no-resume", help="Start again after an interruption.")
    ] = False,
    verify: Verify = False,
    no_qgis_project: NoQgisProject = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find what changed between BEFORE and AFTER; write raster, polygons and record into DIR."""
    from rsdetect.jobs.detect import run_detect
    from rsdetect.jobs.options import DetectOptions, RunOptions

    scenes = parse_scenes(before, after, before_band, after_band)
    run = RunOptions(
        overwrite=overwrite,
        resume=not no_resume,
        quiet=quiet or as_json,
        verify=verify,
        qgis_project=not no_qgis_project,
    )
    options = DetectOptions(pair=pair, score=scoring, polygons=polygons, run=run)
    log_to_stderr(quiet=quiet)
    changes = run_detect(*scenes, out, options)
    if as_json:
        print_json(changes.record)
        return
    print_message(result_message(changes.record["counts"], changes.polygons))
