"""Journal of a monitoring job: what it has done and found, in one SQLite file.

There is one writer at a time, which the folder's lock ensures, and SQLite's plain rollback journal:
write-ahead logging needs shared memory, which network drives lack. Every change is one transaction, except
that rechecks share one. A step (one comparison) is recorded as begun before it starts, and as done once its
results have their final names; steps that are not done are repeated. Values that can be computed from others
are not stored, so that no two entries can disagree.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsdetect.errors import JobInterrupted
from rsdetect.ingestion.scene_row import SceneRow
from rsdetect.ingestion.tries import MOST_TRIES
from rsdetect.monitoring.journal_file import open_journal
from rsdetect.secrets import all_without_secrets

_SECONDS_UNCOMMITTED = 5.0  # of rechecks
TRIES_OF_RECHECKS = "tries of rechecks"  # fact: {scene: [tries, ISO date of the last failure, reason]}


@dataclass(frozen=True)
class StepRow:
    """Step in the journal: one comparison of a scene with its baseline."""

    key: str  # hash of all inputs of the comparison
    scene: str
    taken: datetime
    baseline: str  # its description
    state: str  # "begun", "done" or "failed"
    reason: str
    content: dict[str, Any]  # folder, level, counts
    attempts: int  # number of failed attempts
    ended: str | None  # when it was done or failed


class Journal:
    """Journal of a monitoring job, opened as a context manager."""

    def __init__(self, path: Path, *, write: bool) -> None:
        """Open the journal at `path`; with `write` it is created where it is missing.

        Raises
        ------
        OutputError
            Not a journal of a monitoring job, or one of a newer version; the file is not changed.
        """
        self.path = path
        self._db = open_journal(path, write=write)
        self._committed = time.monotonic()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._db.close()
        if isinstance(error, sqlite3.OperationalError):
            raise JobInterrupted(
                f"{self.path} could not be written: {error}; fix that and run the job again to resume."
            ) from error

    def fact(self, name: str) -> Any:
        """Fact in the journal by its name; None where it was never stored."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put_fact(self, name: str, value: Any) -> None:
        """Store a fact in the journal, replacing an earlier one."""
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, _content_as_text(value)))

    def scenes(self) -> list[SceneRow]:
        """All scenes in the journal, by date."""
        rows = self._db.execute(
            "SELECT id, taken, fingerprint, state, reason, content, attempts, listed FROM scenes"
            " ORDER BY taken, id"
        )
        return [
            SceneRow(
                each,
                _text_as_timestamp(taken),
                fingerprint,
                state,
                reason,
                json.loads(content),
                attempts,
                bool(listed),
            )
            for each, taken, fingerprint, state, reason, content, attempts, listed in rows
        ]

    def put_scene(self, row: SceneRow) -> None:
        """Store a scene in the journal, replacing its earlier row."""
        values = (row.id, _timestamp_as_text(row.taken), row.fingerprint, row.state, row.reason)
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO scenes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*values, _content_as_text(row.content), row.attempts, row.listed),
            )

    def set_listed(self, ids: Iterable[str]) -> None:
        """Store in the journal which scenes the source listed in this run."""
        with self._db:
            self._db.execute("UPDATE scenes SET listed = 0")
            self._db.executemany("UPDATE scenes SET listed = 1 WHERE id = ?", [(each,) for each in ids])

    def baseline(self, request: str) -> dict[str, Any] | None:
        """Baseline stored for a request; None = none yet."""
        row = self._db.execute("SELECT content FROM baselines WHERE request = ?", (request,)).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def put_baseline(self, request: str, content: dict[str, Any]) -> None:
        """Store the baseline of a request in the journal."""
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO baselines VALUES (?, ?)", (request, _content_as_text(content))
            )

    def steps(self, key: str | None = None) -> dict[str, StepRow]:
        """Steps in the journal by key, in the order of the scenes' dates; with `key` that one only."""
        rows = self._db.execute(
            "SELECT key, scene, taken, baseline, state, reason, content, attempts, ended FROM steps"
            " WHERE ?1 IS NULL OR key = ?1 ORDER BY taken, scene, began",
            (key,),
        )
        return {
            key: StepRow(
                key,
                scene,
                _text_as_timestamp(taken),
                baseline,
                state,
                why,
                json.loads(content),
                attempts,
                ended,
            )
            for key, scene, taken, baseline, state, why, content, attempts, ended in rows
        }

    def begin_step(self, key: str, scene: str, taken: datetime, baseline: str) -> None:
        """Record in the journal that a step begins; its number of failures is kept."""
        with self._db:
            self._db.execute(
                "INSERT INTO steps VALUES (?, ?, ?, ?, 'begun', '', '{}', 0, ?, NULL)"
                " ON CONFLICT (key) DO UPDATE SET state = 'begun', reason = '', began = excluded.began",
                (key, scene, _timestamp_as_text(taken), baseline, _timestamp_as_text(datetime.now(UTC))),
            )

    def end_step(
        self, key: str, content: dict[str, Any], regions: Iterable[tuple[bytes, Any, float]]
    ) -> None:
        """Record a step as done in the journal, with its regions (WKB, area, mean probability)."""
        with self._db:
            self._db.execute("DELETE FROM regions WHERE step = ?", (key,))
            self._db.executemany(
                "INSERT INTO regions VALUES (?, ?, ?, ?, ?)",
                [(key, number, *region) for number, region in enumerate(regions)],
            )
            self._db.execute(
                "UPDATE steps SET state = 'done', reason = '', content = ?, ended = ? WHERE key = ?",
                (_content_as_text(content), _timestamp_as_text(datetime.now(UTC)), key),
            )

    def fail_step(self, key: str, reason: str, *, is_try: bool = True) -> None:
        """Record a step as failed in the journal, by a failure that counts as a try or not."""
        with self._db:
            self._db.execute(
                "UPDATE steps SET state = 'failed', reason = ?, attempts = attempts + ?, ended = ?"
                " WHERE key = ?",
                (reason, int(is_try), _timestamp_as_text(datetime.now(UTC)), key),
            )

    def forget_tries(self) -> None:
        """Set all tries of scenes and steps in the journal back, so that the next run tries each again."""
        with self._db:
            self._db.execute(
                "UPDATE scenes SET state = 'failed', attempts = 0"
                " WHERE state = 'set aside' AND attempts >= ?",
                (MOST_TRIES,),
            )
            self._db.execute("UPDATE steps SET attempts = 0 WHERE state = 'failed'")
            self._db.execute("DELETE FROM facts WHERE name = ?", (TRIES_OF_RECHECKS,))

    def regions(self, step: str) -> list[tuple[bytes, float | None, float]]:
        """(WKB, area in m², mean probability) of a step's regions in the journal, in their order."""
        return self._db.execute(
            "SELECT geometry, area_m2, probability FROM regions WHERE step = ? ORDER BY number", (step,)
        ).fetchall()

    def recheck(self, key: str) -> tuple[dict[str, Any], bytes | None] | None:
        """Stored result of rechecking an event: content and WKB; None = not rechecked yet."""
        row = self._db.execute("SELECT content, geometry FROM looks WHERE key = ?", (key,)).fetchone()
        return None if row is None else (json.loads(row[0]), row[1])

    def put_recheck(self, key: str, content: dict[str, Any], geometry: bytes | None) -> None:
        """Store the result of rechecking an event in the journal, within seconds.

        A step rechecks thousands of events, and a transaction for each would take longer than the recheck.
        What a killed run loses by this is rechecked by the next.
        """
        self._db.execute(
            "INSERT OR REPLACE INTO looks VALUES (?, ?, ?)", (key, _content_as_text(content), geometry)
        )
        if time.monotonic() - self._committed > _SECONDS_UNCOMMITTED:
            self._db.commit()
            self._committed = time.monotonic()

    def events(self) -> list[tuple[str, dict[str, Any], bytes]]:
        """(id, content, WKB) of the events in the journal, as of the last run."""
        rows = self._db.execute("SELECT id, content, geometry FROM events ORDER BY id")
        return [(row[0], json.loads(row[1]), row[2]) for row in rows]

    def observations(self) -> list[tuple[dict[str, Any], bytes | None]]:
        """(content, WKB) of the observations in the journal, by event and date."""
        rows = self._db.execute("SELECT content, geometry FROM observations ORDER BY event, taken, scene")
        return [(json.loads(row[0]), row[1]) for row in rows]

    def put_history(
        self,
        events: Iterable[tuple[str, dict[str, Any], bytes]],
        observations: Iterable[tuple[str, str, str, dict[str, Any], bytes | None]],
    ) -> None:
        """Store all events and observations in the journal in one transaction, replacing the last run's."""
        with self._db:
            self._db.execute("DELETE FROM events")
            self._db.execute("DELETE FROM observations")
            self._db.executemany(
                "INSERT INTO events VALUES (?, ?, ?)",
                [(each[0], _content_as_text(each[1]), each[2]) for each in events],
            )
            self._db.executemany(
                "INSERT INTO observations VALUES (?, ?, ?, ?, ?)",
                [(*each[:3], _content_as_text(each[3]), each[4]) for each in observations],
            )

    def begin_run(self) -> int:
        """Record in the journal that a run begins; returns its number."""
        with self._db:
            done = self._db.execute(
                "INSERT INTO runs (began) VALUES (?)", (_timestamp_as_text(datetime.now(UTC)),)
            )
        assert done.lastrowid is not None
        return done.lastrowid

    def end_run(self, number: int, status: int, content: dict[str, Any]) -> None:
        """Record in the journal that a run ended, with its status and summary."""
        with self._db:
            self._db.execute(
                "UPDATE runs SET ended = ?, status = ?, content = ? WHERE number = ?",
                (_timestamp_as_text(datetime.now(UTC)), status, _content_as_text(content), number),
            )

    def count_runs(self, before: datetime) -> int:
        """Number of runs in the journal that began before a moment, without the last run."""
        row = self._db.execute(
            "SELECT count(*) FROM runs WHERE began < ? AND number < (SELECT max(number) FROM runs)",
            (_timestamp_as_text(before),),
        )
        return int(row.fetchone()[0])

    def forget_runs(self, before: datetime) -> None:
        """Remove runs from the journal that began before a moment, except the last run."""
        with self._db:
            self._db.execute(
                "DELETE FROM runs WHERE began < ? AND number < (SELECT max(number) FROM runs)",
                (_timestamp_as_text(before),),
            )

    def last_run(self) -> dict[str, Any] | None:
        """Number, begin, end, status and summary of the last run in the journal."""
        row = self._db.execute(
            "SELECT number, began, ended, status, content FROM runs ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        found = dict(zip(("number", "began", "ended", "status", "content"), row, strict=True))
        return found | {"content": json.loads(row[4]) if row[4] else None}


def _timestamp_as_text(moment: datetime) -> str:
    """Journal text of a moment, UTC, which sorts by time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _text_as_timestamp(text: str) -> datetime:
    """Moment of a journal text."""
    return datetime.fromisoformat(text)


def _content_as_text(content: Any) -> str:
    return json.dumps(all_without_secrets(content))
