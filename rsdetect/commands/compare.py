"""The command `rsdetect compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsdetect.commands.messages import print_json
from rsdetect.commands.parameters import Debug, Json

if TYPE_CHECKING:
    from rsdetect.evaluation.comparison import Comparison


def compare(
    first: Annotated[Path, typer.Argument(metavar="DIR", help="Output of rsdetect evaluate.")],
    second: Annotated[Path, typer.Argument(metavar="DIR", help="Another evaluation of the same pairs.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare two evaluations of the same pairs: differences with cluster bootstrap intervals."""
    from rsdetect.evaluation.comparison import compare as compare_evaluations

    comparison = compare_evaluations(first, second, seed=seed)
    if as_json:
        print_json(comparison.as_json())
    else:
        _print(comparison)


def _print(comparison: Comparison) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from rsdetect.commands.tables import print_table
    from rsdetect.evaluation.summary_tables import COMPARED, comparison_texts

    for column in COMPARED:
        table = Table(title=column.title, title_justify="left", box=SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for title in ("first", "second", "second - first", "nine of ten draws"):
            table.add_column(title, justify="right", no_wrap=True)
        for row in comparison.rows:
            table.add_row(row.name, *comparison_texts(row, column))
        print_table(table)
