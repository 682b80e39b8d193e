"""The command `rsdetect detect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_message, result_message
from rsdetect.commands.pair_options import with_pair_options
from rsdetect.commands.parameters import (
    After,
    AfterBand,
    Backend,
    Before,
    BeforeBand,
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
from rsdetect.jobs.parse import parse_scenes, parse_threshold

if TYPE_CHECKING:
    from rsdetect.scenes.pair import PairOptions


@with_pair_options()
def detect(
    before: Before = None,
    after: After = None,
    *,
    before_band: BeforeBand = None,
    after_band: AfterBand = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    detector: DetectorName = None,
    model: Annotated[str | None, typer.Option(metavar="FILE|NAME", help="Model of the detector.")] = None,
    detector_options: DetectorOptions = None,
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
    from rsdetect.detectors.settings import as_settings
    from rsdetect.jobs.detect import run_detect
    from rsdetect.jobs.options import DetectOptions, PolygonOptions, RunOptions, ScoreOptions

    scenes = parse_scenes(before, after, before_band, after_band)
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
            overwrite=overwrite,
            resume=not no_resume,
            quiet=quiet or as_json,
            verify=verify,
            qgis_project=not no_qgis_project,
        ),
    )
    log_to_stderr(quiet=quiet)
    changes = run_detect(*scenes, out, options)
    if as_json:
        print_json(changes.record)
        return
    print_message(result_message(changes.record["counts"], changes.polygons))
