"""Evaluation tables for the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rsdetect.commands.tables import print_table
from rsdetect.evaluation.results import Evaluation
from rsdetect.evaluation.summary_tables import summary_tables


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the tables of an evaluation on stdout."""
    for summary in summary_tables(evaluation):
        table = Table(title=summary.title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True)
        table.add_column("", no_wrap=True)
        for column in summary.columns:
            # An interval may be on a separate line, and is never truncated.
            width = 11 if column.has_interval else max(map(len, column.title.split()))
            table.add_column(column.title, justify="right", min_width=width)
        for row in summary.rows:
            table.add_row(*row)
        print_table(table)
