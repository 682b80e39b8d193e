"""Text of the scenes of two periods for the terminal."""

from __future__ import annotations

from rich.table import Table

from rsdetect.catalogue.candidates import PeriodListing
from rsdetect.commands.messages import print_message
from rsdetect.commands.tables import print_table


def show_periods(found: PeriodListing) -> None:
    """Print the scenes of two periods on stdout, and what was left out on stderr."""
    table = Table("period", "date", "tile", "clear", "taken", "scene", "")
    for which, scenes in (("before", found.before), ("after", found.after)):
        for each in scenes:
            clear = "" if each.clear_share is None else f"{each.clear_share:.0%}"
            taken = "yes" if each.is_taken else "no"
            table.add_row(which, each.date, each.tile, clear, taken, each.scene, each.reason)
    print_table(table)
    for sentence in found.left_out:
        print_message(f"Warning: {sentence}")
