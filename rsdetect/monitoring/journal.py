"""What a job has done and found, in one SQLite file.

One writer at a time (the folder's lock sees to that) and SQLite's plain rollback journal: write-ahead logging
needs shared memory, which network drives do not have. Every change is one transaction. A step is written down
as begun before anything happens, and as done after its results lie at their final names; whatever is not done
is done again. Nothing that can be worked out anew from what is here is kept for its own sake, so that no two
entries can disagree.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsdetect.errors import JobInterrupted
from rsdetect.monitoring.journal_file import open_journal


@dataclass(frozen=True)
class SceneRow:
    """A scene as the journal knows it."""

    id: str
    taken: datetime
    fingerprint: str  # of the files and of how they are read
    state: str  # "usable", "clouded", "set aside" or "failed"
    reason: str  # why it is not usable
    content: dict[str, Any]  # what intake found: path, mask, valid share, ...
    attempts: int  # how often it failed
    listed: bool  # the source named it on the last run


@dataclass(frozen=True)
class StepRow:
    """One comparison of a scene with its baseline."""

    key: str  # of everything that the result depends on
    scene: str
    taken: datetime
    baseline: str  # in words
    state: str  # "begun", "done" or "failed"
    reason: str
    content: dict[str, Any]  # folder, level, counts
    attempts: int  # how often it failed
    ended: str | None  # when it was done or failed


class Journal:
    """An open journal, as a context manager."""

    def __init__(self, path: Path, *, write: bool) -> None:
        """Open `path`; with `write` it is made where it is missing.

        Raises
        ------
        OutputError
            No journal of ours, or one of a newer version: it stays as it is.
        """
        self.path = path
        self._db = open_journal(path, write=write)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._db.close()
        if isinstance(error, sqlite3.OperationalError):
            raise JobInterrupted(
                f"{self.path} could not be written: {error}; mend that and run the job again to resume."
            ) from error

    def fact(self, name: str) -> Any:
        """A fact; None where it was never written."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put_fact(self, name: str, value: Any) -> None:
        """Write a fact, in the place of an earlier one."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def scenes(self) -> list[SceneRow]:
        """Every scene that was ever taken in, by date."""
        rows = self._db.execute(
            "SELECT id, taken, fingerprint, state, reason, content, attempts, listed FROM scenes"
            " ORDER BY taken, id"
        )
        return [
            SceneRow(
                each, _time(taken), fingerprint, state, reason, json.loads(content), attempts, bool(listed)
            )
            for each, taken, fingerprint, state, reason, content, attempts, listed in rows
        ]

    def put_scene(self, row: SceneRow) -> None:
        """Write a scene, in the place of what was known of it."""
        values = (row.id, _text(row.taken), row.fingerprint, row.state, row.reason)
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO scenes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, json.dumps(row.content), row.attempts, row.listed),
            )

    def set_listed(self, ids: Iterable[str]) -> None:
        """Remember which scenes the source named on this run."""
        with self._db:
            self._db.execute("UPDATE scenes SET listed = 0")
            self._db.executemany("UPDATE scenes SET listed = 1 WHERE id = ?", [(each,) for each in ids])

    def baseline(self, request: str) -> dict[str, Any] | None:
        """The baseline that was made for a request; None = none yet."""
        row = self._db.execute("SELECT content FROM baselines WHERE request = ?", (request,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def put_baseline(self, request: str, content: dict[str, Any]) -> None:
        """Write down the baseline of a request."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO baselines VALUES (?, ?)", (request, json.dumps(content)))

    def steps(self, key: str | None = None) -> dict[str, StepRow]:
        """Every step, or the one of exactly this key, by its key, in the order of the scenes' dates."""
        rows = self._db.execute(
            "SELECT key, scene, taken, baseline, state, reason, content, attempts, ended FROM steps"
            " WHERE ?1 IS NULL OR key = ?1 ORDER BY taken, scene, began",
            (key,),
        )
        return {
            key: StepRow(key, scene, _time(taken), baseline, state, why, json.loads(content), attempts, ended)
            for key, scene, taken, baseline, state, why, content, attempts, ended in rows
        }

    def begin_step(self, key: str, scene: str, taken: datetime, baseline: str) -> None:
        """Write down that a step begins; how often it failed before is kept."""
        with self._db:
            self._db.execute(
                "INSERT INTO steps VALUES (?, ?, ?, ?, 'begun', '', '{}', 0, ?, NULL)"
                " ON CONFLICT (key) DO UPDATE SET state = 'begun', reason = '', began = excluded.began",
                (key, scene, _text(taken), baseline, _text(datetime.now(UTC))),
            )

    def end_step(
        self, key: str, content: dict[str, Any], regions: Iterable[tuple[bytes, Any, float]]
    ) -> None:
        """Mark a step as done, with its regions (WKB, area, mean probability), in one transaction."""
        with self._db:
            self._db.execute("DELETE FROM regions WHERE step = ?", (key,))
            self._db.executemany(
                "INSERT INTO regions VALUES (?, ?, ?, ?, ?)",
                [(key, number, *region) for number, region in enumerate(regions)],
            )
            self._db.execute(
                "UPDATE steps SET state = 'done', reason = '', content = ?, ended = ? WHERE key = ?",
                (json.dumps(content), _text(datetime.now(UTC)), key),
            )

    def fail_step(self, key: str, reason: str) -> None:
        """Mark a step as failed; the next run tries it again."""
        with self._db:
            self._db.execute(
                "UPDATE steps SET state = 'failed', reason = ?, attempts = attempts + 1, ended = ?"
                " WHERE key = ?",
                (reason, _text(datetime.now(UTC)), key),
            )

    def regions(self, step: str) -> list[tuple[bytes, float | None, float]]:
        """(WKB, area in m², mean probability) of a step's regions, in their order."""
        return self._db.execute(
            "SELECT geometry, area_m2, probability FROM regions WHERE step = ? ORDER BY number", (step,)
        ).fetchall()

    def look(self, key: str) -> tuple[dict[str, Any], bytes | None] | None:
        """What an earlier look at an event's ground found; None = nobody looked."""
        row = self._db.execute("SELECT content, geometry FROM looks WHERE key = ?", (key,)).fetchone()
        return None if row is None else (json.loads(row[0]), row[1])

    def put_look(self, key: str, content: dict[str, Any], geometry: bytes | None) -> None:
        """Write down what a look found."""
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO looks VALUES (?, ?, ?)", (key, json.dumps(content), geometry)
            )

    def events(self) -> list[tuple[str, dict[str, Any], bytes]]:
        """(id, content, WKB) of the events as the last run left them."""
        rows = self._db.execute("SELECT id, content, geometry FROM events ORDER BY id")
        return [(row[0], json.loads(row[1]), row[2]) for row in rows]

    def observations(self) -> list[tuple[dict[str, Any], bytes | None]]:
        """(content, WKB) of the observations as the last run left them, by event and date."""
        rows = self._db.execute("SELECT content, geometry FROM observations ORDER BY event, taken, scene")
        return [(json.loads(row[0]), row[1]) for row in rows]

    def put_history(
        self,
        events: Iterable[tuple[str, dict[str, Any], bytes]],
        observations: Iterable[tuple[str, str, str, dict[str, Any], bytes | None]],
    ) -> None:
        """Write all events and observations, in the place of what the last run left, in one transaction."""
        with self._db:
            self._db.execute("DELETE FROM events")
            self._db.execute("DELETE FROM observations")
            self._db.executemany(
                "INSERT INTO events VALUES (?, ?, ?)",
                [(each[0], json.dumps(each[1]), each[2]) for each in events],
            )
            self._db.executemany(
                "INSERT INTO observations VALUES (?, ?, ?, ?, ?)",
                [(*each[:3], json.dumps(each[3]), each[4]) for each in observations],
            )

    def begin_run(self) -> int:
        """Write down that a run begins; its number."""
        with self._db:
            done = self._db.execute("INSERT INTO runs (began) VALUES (?)", (_text(datetime.now(UTC)),))
        assert done.lastrowid is not None
        return done.lastrowid

    def end_run(self, number: int, status: int, content: dict[str, Any]) -> None:
        """Write down how a run ended."""
        with self._db:
            self._db.execute(
                "UPDATE runs SET ended = ?, status = ?, content = ? WHERE number = ?",
                (_text(datetime.now(UTC)), status, json.dumps(content), number),
            )

    def last_run(self) -> dict[str, Any] | None:
        """When the last run began and ended, its status and what it said of itself."""
        row = self._db.execute(
            "SELECT number, began, ended, status, content FROM runs ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        found = dict(zip(("number", "began", "ended", "status", "content"), row, strict=True))
        return found | {"content": json.loads(row[4]) if row[4] else None}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
