"""What became of each pair: the rows of the table, of the JSON and of the terminal."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.table import Table

from rsdetect.batches.pairs import BatchPair


class State(StrEnum):
    """What became of a pair in this run."""

    DONE = "done"
    DONE_BEFORE = "done before"  # by an earlier run, from the same inputs with the same options
    OUTLINED = "outlined again"  # scored by an earlier run, its polygons made anew
    FAILED = "failed"
    WAITING = "waiting"  # the batch was stopped before


FINISHED = (State.DONE, State.DONE_BEFORE, State.OUTLINED)


@dataclass(frozen=True)
class PairResult:
    """One row; numbers are None where nothing is finished."""

    name: str
    state: State
    exit_status: int | None  # as `rsdetect detect` would end: 0, 1, 2 or 3; None = waiting
    why: str  # what went wrong, in a sentence; "" where nothing did
    before: str
    after: str
    before_date: str | None = None
    after_date: str | None = None
    regions: int | None = None
    changed_area_m2: float | None = None  # None without a CRS, too
    counted_twice_m2: float | None = None  # of it, what earlier pairs of the list count already
    changed_pixels: int | None = None
    observed_pixels: int | None = None
    threshold: float | None = None
    seconds: float | None = None  # that its stages took, whenever that was
    warnings: int | None = None  # how many; `run.json` in the pair's folder holds their text

    def __str__(self) -> str:
        """One line for people."""
        if self.regions is None:
            return f"{self.name}: {self.state}" + (f": {self.why}" if self.why else "")
        found = f"{self.regions:,} region{'s' if self.regions != 1 else ''}"
        return f"{self.name}: {self.state}, {found}, {_changed(self)}"

    @classmethod
    def finished(cls, pair: BatchPair, state: State, record: Mapping[str, Any]) -> PairResult:
        """The row of a pair from the record of its run."""
        counts, check = record["counts"], record["check"]
        return cls(
            name=pair.name,
            state=state,
            exit_status=0,
            why="",
            before=pair.before,
            after=pair.after,
            before_date=check["before"]["date"],
            after_date=check["after"]["date"],
            regions=counts["regions"],
            changed_area_m2=counts["changed_area_m2"],
            changed_pixels=counts["changed_pixels"],
            observed_pixels=counts["observed_pixels"],
            threshold=record["threshold"],
            seconds=round(sum(record["seconds"].values()), 3),
            warnings=len(check["warnings"]),
        )


def as_csv(results: list[PairResult]) -> str:
    """The table as CSV, one row a pair in the order of the list."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(PairResult.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(result) for result in results)
    return text.getvalue()


def as_table(results: list[PairResult]) -> Table:
    """The table for a terminal."""
    table = Table(title="Pairs", title_justify="left")
    for column in ("name", "state", "between"):
        table.add_column(column)
    for column in ("regions", "changed", "seconds"):
        table.add_column(column, justify="right")
    table.add_column("why", overflow="fold")
    for row in results:
        dates = f"{row.before_date or '?'} and {row.after_date or '?'}" if row.state in FINISHED else ""
        number = "" if row.regions is None else f"{row.regions:,}"
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        table.add_row(row.name, row.state, dates, number, _changed(row), seconds, row.why)
    return table


def _changed(row: PairResult) -> str:
    if row.changed_area_m2 is not None:
        return f"{row.changed_area_m2 / 1e4:,.2f} ha"
    return "" if row.changed_pixels is None else f"{row.changed_pixels:,} px"
