"""Tables that commands print."""

from __future__ import annotations

from rich.table import Table

from rsdetect.commands.tables import print_table


def test_a_table_that_goes_to_a_file_is_not_cut_at_the_width_of_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    columns = [f"column {number}" for number in range(9)]
    table = Table(*columns)
    table.add_row(*(f"{number}.123456" for number in range(9)))
    print_table(table)
    text = capsys.readouterr().out
    assert all(word in text for word in (*columns, "0.123456", "8.123456"))
