"""The command `rsdetect quantise`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json
from rsdetect.commands.parameters import Debug, Json, LogFile, Quiet
from rsdetect.extras import missing_torch


def quantise(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model file, whose card is updated.")],
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FOLDER[:BANDS]]...", help="Labelled pairs to also measure the loss of F1 on."
        ),
    ] = None,
    quiet: Quiet = False,
    log_file: LogFile = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Post-training int8 quantization of MODEL: store activation ranges and the loss of F1 in its card."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from rsdetect.backends.select import EIGHT_BIT
    from rsdetect.commands.tables import print_table

    if find_spec("torch") is None:
        raise missing_torch("rsdetect quantise")
    from rsdetect.evaluation.quantise import quantise as measure

    log_to_stderr(quiet=quiet, log_file=log_file)
    found = measure(model, folders or (), quiet=quiet or as_json)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    backends = ("torch", *EIGHT_BIT)
    table = Table("F1", *backends, box=SIMPLE_HEAD)
    for name, scores in found.f1.items():
        table.add_row(name, *(f"{scores[backend]:.4f}" for backend in backends))
    lost = (found.f1_lost(backend) for backend in EIGHT_BIT)
    table.add_row("lost, mean", "", *(f"{mean:.4f}" for mean in lost if mean is not None))
    print_table(table)
