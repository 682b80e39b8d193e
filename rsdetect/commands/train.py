"""Train a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, say
from rsdetect.commands.parameters import Debug, Json, Quiet


def train(
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Model file to write (.safetensors).")],
    recipe: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="Recipe by its name, or a TOML file.")
    ] = "siamese",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Another value in the recipe: schedule.steps=500."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for scenes, state and log; default: beside MODEL."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Prepared images, for recipes that cut scenes from them."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, scenes and chips.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of the run in minutes instead.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda (all GPUs) or cuda:i.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes that make scenes and chips; default: all cores but one.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier model file.")] = False,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model by a recipe. The same command carries on where it was interrupted."""
    from rsdetect.training.extra import require_lightning

    require_lightning()
    from rsdetect.training.run import TrainOptions
    from rsdetect.training.run import train as train_model

    log_to_stderr(quiet=quiet)
    given = {"seed": seed, "schedule.steps": steps, "schedule.minutes": minutes}
    card = train_model(
        TrainOptions(
            out=out,
            recipe=recipe,
            changes=(
                *(changes or ()),
                *(f"{key}={value}" for key, value in given.items() if value is not None),
            ),
            work=work,
            images=images,
            device=device,
            workers=workers,
            overwrite=overwrite,
            quiet=quiet or as_json,
        )
    )
    if card is None:
        return
    if as_json:
        print_json(card.model_dump(mode="json"))
        return
    say(f"Model {card.name}, threshold {card.threshold}: {out}")
