"""Status of a batch while it runs, from its records: done, failed with reasons, time left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rsdetect.batches.batch_record import read_batch, shard_folders
from rsdetect.batches.pair_results import FINISHED, PairResult, State
from rsdetect.errors import InputError
from rsdetect.folders import is_held
from rsdetect.jsontypes import JsonObject


@dataclass(frozen=True)
class BatchStatus:
    """Status of a batch, of all its shards together."""

    pairs: int  # of the shards that have begun
    done: int
    waiting: int
    failed: list[PairResult]
    running: list[str]  # what runs now: "batch", or shards as "i/n"
    stopped: list[str]  # what was stopped before its end
    missing: list[str]  # shards that have not begun
    seconds_left: float | None  # by the pace so far; None = nothing runs, or no pair is finished

    def lines(self) -> list[str]:
        """Text of the status of a batch, one sentence a line."""
        first = f"{self.done} of {self.pairs} pairs done, {len(self.failed)} failed, {self.waiting} waiting."
        lines = [first]
        if self.running:
            left = "" if self.seconds_left is None else f", about {_duration(self.seconds_left)} left"
            lines.append(f"Running: {', '.join(self.running)}{left}.")
        if self.stopped:
            lines.append(f"Stopped: {', '.join(self.stopped)}; the same command resumes it.")
        if self.missing:
            lines.append(f"Not begun: {', '.join(self.missing)}.")
        return lines + [f"{row.name} failed with status {row.exit_status}: {row.why}" for row in self.failed]

    def as_content(self) -> JsonObject:
        """Status of a batch in JSON types."""
        return asdict(self)


def batch_status(out: Path) -> BatchStatus:
    """Status of the batch in a folder.

    Raises
    ------
    InputError
        The folder has no batch.
    """
    records = _current_records(out)
    rows = [PairResult.of_record(row) for _, record in records for row in record["pairs"]]
    named = [(record["shard"] or "batch", folder, record) for folder, record in records]
    running = [(name, record) for name, folder, record in named if is_held(folder)]
    begun = {name for name, _, _ in named}
    count = max((int(name.partition("/")[2]) for name in begun - {"batch"}), default=0)
    paces = [_seconds_left(record) for _, record in running]
    return BatchStatus(
        pairs=len(rows),
        done=sum(row.state in FINISHED for row in rows),
        waiting=sum(row.state is State.WAITING for row in rows),
        failed=[row for row in rows if row.state is State.FAILED],
        running=[name for name, _ in running],
        stopped=[
            name
            for name, folder, record in named
            if record["finished"] is None and (name, record) not in running
        ],
        missing=[f"{i}/{count}" for i in range(1, count + 1) if f"{i}/{count}" not in begun],
        seconds_left=max((pace for pace in paces if pace is not None), default=None),
    )


def _current_records(out: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Records that the status of a batch is about: its own, or those of its shards if they are newer."""
    shards = [(folder, read_batch(folder)) for folder in shard_folders(out)]
    try:
        own = read_batch(out)
    except FileNotFoundError:
        if not shards:
            raise InputError(f"{out} has no batch.") from None
        return shards
    newest = max((record["updated"] for _, record in shards), default="")
    return shards if newest > own["updated"] else [(out, own)]


def _seconds_left(record: dict[str, Any]) -> float | None:
    """Seconds that the waiting pairs of a batch take at the pace of those of this run."""
    states = [row["state"] for row in record["pairs"]]
    ran = sum(state not in (State.WAITING, State.DONE_BEFORE) for state in states)
    if not ran:
        return None
    took = datetime.fromisoformat(record["updated"]) - datetime.fromisoformat(record["started"])
    return round(states.count(State.WAITING) * took.total_seconds() / ran, 1)


def _duration(seconds: float) -> str:
    """A duration in the status of a batch.

    >>> _duration(40), _duration(200), _duration(9000)
    ('1 min', '4 min', '2 h 30 min')
    """
    minutes = max(1, -int(-seconds // 60))
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
