"""The command `rsdetect info`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.messages import print_json
from rsdetect.commands.parameters import Debug


def info(
    what: Annotated[
        str, typer.Argument(metavar="MODEL|DIR", help="A model's name or file, or a result folder.")
    ],
    debug: Debug = False,
) -> None:
    """Print the card of a model, or the record of a run, as JSON."""
    if Path(what).is_dir():
        from rsdetect.jobs.vectorize import read_run

        print_json(read_run(Path(what)))
        return
    from rsdetect.nets.checkpoint import model_hash, read_card

    print_json(read_card(what).model_dump(mode="json") | {"sha256": model_hash(what)})
