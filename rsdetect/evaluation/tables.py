"""An evaluation as tables for a terminal."""

from __future__ import annotations

from rich.table import Table

from rsdetect.evaluation.results import Evaluation
from rsdetect.evaluation.summary import summaries
from rsdetect.tables import print_table


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the tables on stdout."""
    for summary in summaries(evaluation):
        titles = ("", *(column.title for column in summary.columns))
        table = Table(*titles, title=summary.title, title_justify="left")
        for row in summary.rows:
            table.add_row(*row)
        print_table(table)
