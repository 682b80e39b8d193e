"""Results of the pairs of a batch: rows of the CSV, of the JSON and of the terminal table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rich.table import Table

from rsdetect.amounts import area_text, count_text
from rsdetect.batches.pairs import BatchPair
from rsdetect.secrets import all_without_secrets


class State(StrEnum):
    """State of a pair's result after this run."""

    DONE = "done"
    DONE_BEFORE = "done before"  # by an earlier run with the same inputs and options
    OUTLINED = "outlined again"  # scored by an earlier run, polygons traced again
    FAILED = "failed"
    WAITING = "waiting"  # the batch was stopped first


FINISHED = (State.DONE, State.DONE_BEFORE, State.OUTLINED)
MOST_ROWS = 100  # of the terminal table; longer lists show only what is not finished


@dataclass(frozen=True)
class PairResult:
    """Result of a pair: one row; numbers are None where it is not finished."""

    name: str
    state: State
    exit_status: int | None  # as of `rsdetect detect`: 0, 1, 2 or 3; None = waiting
    why: str  # error message; "" without
    before: str
    after: str
    before_date: str | None = None
    after_date: str | None = None
    regions: int | None = None
    changed_area_m2: float | None = None  # None also without a CRS
    counted_twice_m2: float | None = None  # part of it that earlier pairs in the list already count
    changed_pixels: int | None = None
    observed_pixels: int | None = None
    threshold: float | None = None
    seconds: float | None = None  # total of its stages, in any run
    warnings: int | None = None  # number; their text is in `run.json` in the pair's folder

    @classmethod
    def of_record(cls, row: Mapping[str, Any]) -> PairResult:
        """Result of a pair from its row in `batch.json`."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if name in row}
        return cls(**known | {"state": State(row["state"])})

    def __str__(self) -> str:
        """Line on the pair's result for the terminal."""
        if self.regions is None:
            return f"{self.name}: {self.state}" + (f": {self.why}" if self.why else "")
        found = count_text(self.regions, "region")
        return f"{self.name}: {self.state}, {found}, {_changed_text(self)}"

    @classmethod
    def finished(cls, pair: BatchPair, state: State, record: Mapping[str, Any]) -> PairResult:
        """Result of a pair from the record of its run."""
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
            warnings=len(record.get("warnings", check["warnings"])),
        )


def waiting_result(pair: BatchPair) -> PairResult:
    """Result of a pair that was not run yet."""
    return PairResult(pair.name, State.WAITING, None, "", pair.before, pair.after)


def results_as_csv(results: list[PairResult]) -> str:
    """Results as CSV, one row per pair in the order of the list."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(PairResult.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(all_without_secrets(asdict(result)) for result in results)
    return text.getvalue()


def results_as_table(results: list[PairResult]) -> Table:
    """Results as a terminal table; of more than `MOST_ROWS`, those without a finished job."""
    table = Table(title="Pairs", title_justify="left")
    if len(results) > MOST_ROWS:
        results = [row for row in results if row.state not in FINISHED]
    for column in ("name", "state", "between"):
        table.add_column(column)
    for column in ("regions", "changed", "seconds"):
        table.add_column(column, justify="right")
    table.add_column("why", overflow="fold")
    for row in results:
        dates = f"{row.before_date or '?'} and {row.after_date or '?'}" if row.state in FINISHED else ""
        number = "" if row.regions is None else f"{row.regions:,}"
        seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
        table.add_row(row.name, row.state, dates, number, _changed_text(row), seconds, row.why)
    return table


def _changed_text(row: PairResult) -> str:
    """Changed area of a pair's result as text, in pixels without a CRS."""
    if row.changed_area_m2 is not None:
        return area_text(row.changed_area_m2)
    return "" if row.changed_pixels is None else f"{row.changed_pixels:,} px"
