"""The command `rsdetect batch`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_message
from rsdetect.commands.pair_options import with_pair_options
from rsdetect.commands.parameters import (
    Backend,
    Debug,
    DetectorName,
    DetectorOptions,
    FillHoles,
    Json,
    Memory,
    MergeGap,
    MinArea,
    MinWidth,
    NoQgisProject,
    Opening,
    Quiet,
    ShapeAttributes,
    Simplify,
    Threshold,
    TileSize,
    Verify,
    Workers,
)
from rsdetect.jobs.parse import parse_threshold

if TYPE_CHECKING:
    from rsdetect.scenes.pair import PairOptions


@with_pair_options("mask", "dates")
def batch(
    pairs: Annotated[
        Path,
        typer.Argument(
            metavar="PAIRS.csv",
            help="Columns name, before, after; optionally mask, dates, bands, ... per pair.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results, one folder per pair.")],
    detector: DetectorName = None,
    model: Annotated[str | None, typer.Option(metavar="FILE|NAME", help="Model of the detector.")] = None,
    detector_options: DetectorOptions = None,
    *,
    pair: PairOptions,
    threshold: Threshold = "auto",
    opening: Opening = 0,
    min_area: MinArea = 0.0,
    fill_holes: FillHoles = 0.0,
    min_width: MinWidth = 0.0,
    merge_gap: MergeGap = 0.0,
    simplify: Simplify = 0.0,
    shape_attributes: ShapeAttributes = False,
    tile_size: TileSize = None,
    memory: Memory = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")] = "auto",
    backend: Backend = "auto",
    workers: Workers = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A running Dask scheduler.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that are not of this batch.")
    ] = False,
    verify: Verify = False,
    no_qgis_project: NoQgisProject = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find what changed in every pair of a list; finished pairs are skipped.

    Status 0: all done; 3: some failed for reasons that may pass; 2: some cannot be done as they are, or the
    list is wrong.
    """
    from rsdetect.batches import run_batch
    from rsdetect.batches.pair_results import results_as_table
    from rsdetect.commands.tables import print_table
    from rsdetect.commands.wording import as_options
    from rsdetect.detectors.settings import as_settings
    from rsdetect.jobs.options import DetectOptions, PolygonOptions, RunOptions, ScoreOptions

    options = DetectOptions(
        pair=pair,
        score=ScoreOptions(
            detector=detector,
            model=model,
            detector_options=as_settings(detector_options or ()),
            tile_size=tile_size,
            device=device,
            workers=workers,
            scheduler=scheduler,
            backend=backend,
            memory=memory,
        ),
        polygons=PolygonOptions(
            threshold=parse_threshold(threshold),
            opening=opening,
            min_area=min_area,
            fill_holes=fill_holes,
            min_width=min_width,
            merge_gap=merge_gap,
            simplify=simplify,
            shape_attributes=shape_attributes,
        ),
        run=RunOptions(
            overwrite=overwrite, quiet=quiet or as_json, verify=verify, qgis_project=not no_qgis_project
        ),
    )
    log_to_stderr(quiet=quiet)
    tell = (lambda _: None) if quiet or as_json else print_message
    report = run_batch(pairs, out, options, tell, stop_at_defects=debug)
    if as_json:
        print_json(report.as_content())
    else:
        print_table(results_as_table([replace(row, why=as_options(row.why)) for row in report.results]))
        for line in report.remarks():
            print_message(line)
    raise typer.Exit(report.exit_status)
