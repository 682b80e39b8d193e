"""The command `rsdetect evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_message
from rsdetect.commands.parameters import (
    Align,
    Backend,
    Bands,
    Debug,
    DetectorName,
    DetectorOptions,
    GroupBy,
    Json,
    LogFile,
    Quiet,
)
from rsdetect.jobs.parse import parse_shifts


def evaluate(
    folders: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER[:BANDS]...", help="Folders of labelled pairs, one per source."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for evaluation.json and .html.")],
    detector: DetectorName = None,
    model: Annotated[str | None, typer.Option(metavar="FILE|NAME", help="Model of the detector.")] = None,
    detector_options: DetectorOptions = None,
    bands: Bands = None,
    layout: Annotated[str, typer.Option(help="auto, folders, places, onera or csv.")] = "auto",
    align: Align = False,
    shifts: Annotated[
        str,
        typer.Option(metavar="PX,..|none", help="Synthetic misregistration of the after scenes, in pixels."),
    ] = "0.5,1,2",
    disturb: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,..",
            help="Synthetic disturbances of the after scenes: noise, haze, blur, jpeg, gain.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    group_by: GroupBy = None,
    split: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Splits the pairs into parts by place.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="The part of --split to evaluate.")] = None,
    log_look: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Reason for the log; required for parts reserved for reporting."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:i.")] = "auto",
    backend: Backend = "auto",
    into_card: Annotated[
        bool, typer.Option("--into-card", help="Also store the scores in the card of the model file.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing evaluation.")] = False,
    quiet: Quiet = False,
    log_file: LogFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Evaluate a detector on labelled pairs: metrics by scene and source, confidence intervals, a page."""
    from rsdetect.commands.evaluation_tables import print_evaluation
    from rsdetect.detectors.settings import as_settings
    from rsdetect.evaluation.model_card import store_scores, writable_model_card
    from rsdetect.evaluation.options import EvaluateOptions
    from rsdetect.evaluation.output_files import PAGE
    from rsdetect.evaluation.run import run_evaluate
    from rsdetect.scenes.bands import parse_bands

    options = EvaluateOptions(
        detector=detector,
        model=model,
        detector_options=as_settings(detector_options or ()),
        device=device,
        backend=backend,
        bands=parse_bands(bands),
        layout=layout.lower(),
        align=align,
        shifts_px=parse_shifts(shifts),
        disturb=tuple(disturb.split(",")) if disturb else (),
        seed=seed,
        group_by=group_by,
        split=split,
        part=part,
        log_look=log_look,
    )
    log_to_stderr(quiet=quiet, log_file=log_file)
    model_file = writable_model_card(model) if into_card else None
    evaluation = run_evaluate(folders, out, options, overwrite=overwrite, quiet=quiet or as_json)
    if model_file is not None:
        store_scores(evaluation, model_file)
    if as_json:
        print_json(evaluation.as_json())
        return
    print_evaluation(evaluation)
    print_message(f"Pictures of the worst tiles: {out / PAGE}")
