"""The command `rsdetect report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.messages import log_to_stderr, print_json, print_message
from rsdetect.commands.parameters import Debug, Json, Quiet


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Results of an earlier detect.")],
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make report.html in DIR again; scenes that are gone are left out of it."""
    from rsdetect.jobs.report.remake import remake_report

    log_to_stderr(quiet=quiet)
    page = remake_report(directory)
    if as_json:
        print_json({"page": str(page)})
        return
    print_message(f"Report: {page}")
