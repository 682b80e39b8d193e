"""The command `rsdetect train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import current_options, log_to_stderr, print_json, print_message
from rsdetect.commands.parameters import Bands, Debug, GroupBy, Json, LogFile, Quiet
from rsdetect.extras import require_training

if TYPE_CHECKING:
    from rsdetect.nets.card import Card

_AverageWith = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE|NAME", help="Average the trained weights with those of this model."),
]
_Folds = Annotated[
    int | None,
    typer.Option(
        help="Cross-validation: also train this many models, each tested on held-out places; with --from "
        "their scores decide how much of the fine-tuned weights is used."
    ),
]
_Recipe = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="A recipe or a TOML file; default: siamese, or with folders labelled or fine-tune.",
    ),
]


def train(
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Model file to write (.safetensors).")],
    folders: Annotated[
        list[str] | None, typer.Argument(metavar="[FOLDER]...", help="Folders of labelled pairs.")
    ] = None,
    recipe: _Recipe = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe: schedule.steps=500."),
    ] = None,
    base: Annotated[
        str | None, typer.Option("--from", metavar="FILE|NAME", help="Model to start from (fine-tuning).")
    ] = None,
    average_with: _AverageWith = None,
    folds: _Folds = None,
    group_by: GroupBy = None,
    unlabelled: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Unlabelled pairs, for a consistency loss.")
    ] = None,
    pseudo_labels: Annotated[str | None, typer.Option(hidden=True)] = None,
    bands: Bands = None,
    layout: Annotated[str, typer.Option(help="auto, folders, places, onera or csv.")] = "auto",
    images: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Output of rsdetect images, for recipes with composite scenes."),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for scenes, state and log; default: next to MODEL."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, scenes, chips and splits.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run in steps.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Length of the run in minutes, instead of steps.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda (all GPUs) or cuda:i.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(help="Processes that generate scenes and chips; default: all cores but one.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing model file.")] = False,
    quiet: Quiet = False,
    log_file: LogFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train a model by a recipe, on labelled or simulated pairs. The same command resumes a stopped run."""
    require_training()
    from rsdetect.scenes.bands import parse_bands
    from rsdetect.training.options import TrainOptions
    from rsdetect.training.run import train as train_model

    log_to_stderr(quiet=quiet, log_file=log_file)
    renamed = current_options(quiet=quiet, unlabelled=unlabelled, pseudo_labels=pseudo_labels)
    card = train_model(
        TrainOptions(
            out=out,
            folders=tuple(folders or ()),
            recipe=recipe,
            changes=(*(changes or ()), *_as_changes(seed, steps, minutes)),
            base=base,
            average_with=tuple(average_with or ()),
            folds=folds,
            group_by=group_by,
            bands=parse_bands(bands),
            layout=layout.lower(),
            unlabelled=renamed["unlabelled"],
            images=images,
            work=work,
            device=device,
            workers=workers,
            overwrite=overwrite,
            quiet=quiet or as_json,
        )
    )
    if card is not None:  # None in all but the first process of distributed training
        _report(card, out, as_json=as_json)


def _as_changes(seed: int | None, steps: int | None, minutes: float | None) -> list[str]:
    """Changes of the training recipe from options, as for --set."""
    keys = {"seed": seed, "schedule.steps": steps, "schedule.minutes": minutes}
    return [f"{key}={value}" for key, value in keys.items() if value is not None]


def _report(card: Card, out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(card.model_dump(mode="json"))
    else:
        print_message(f"Model {card.name}, threshold {card.threshold}: {out}")
