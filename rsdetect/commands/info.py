"""The command `rsdetect info`."""

from __future__ import annotations

from typing import Annotated

import typer

from rsdetect.commands.messages import print_json, print_lines
from rsdetect.commands.parameters import Debug, Json, Quiet


def info(
    what: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DIR",
            help="A model's name or file, `best`, the folder of results of detect, batch or monitor, a file "
            "in it, or a job file.",
        ),
    ],
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a model's card, or the record of results; with --json as they are stored."""
    from rsdetect.commands.info_subject import subject_of
    from rsdetect.commands.info_text import aligned

    found = subject_of(what)
    if as_json:
        print_json(found.content)
    else:
        print_lines(aligned(found.rows))
