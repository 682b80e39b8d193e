"""The command `rsdetect info`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rsdetect.commands.messages import print_json, print_lines
from rsdetect.commands.parameters import Debug, Json, Quiet


def info(
    what: Annotated[
        str,
        typer.Argument(metavar="MODEL|DIR", help="A model's name or file, `best`, or a result folder."),
    ],
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the card of a model or of `best`, or the record of a run; with --json as they are stored."""
    from rsdetect.commands.info_text import aligned, card_rows, ensemble_rows, run_rows

    if Path(what).is_dir():
        from rsdetect.jobs.record import reading_record
        from rsdetect.jobs.vectorize import read_run

        record = read_run(Path(what))
        if as_json:
            print_json(record)
            return
        with reading_record(Path(what)):
            lines = list(aligned(run_rows(record, Path(what))))
        print_lines(lines)
        return
    if what == "best" and not Path(what).exists():
        from rsdetect.detectors.best_card import best_card

        ensemble = best_card()
        if as_json:
            print_json(asdict(ensemble))
        else:
            print_lines(aligned(ensemble_rows(ensemble)))
        return
    from rsdetect.nets.checkpoint import model_hash, read_card

    card, sha256 = read_card(what), model_hash(what)
    if as_json:
        print_json(card.model_dump(mode="json") | {"sha256": sha256})
    else:
        print_lines(aligned(card_rows(card, sha256)))
