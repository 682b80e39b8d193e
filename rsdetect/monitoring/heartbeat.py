"""Heartbeat of a monitoring job: one small file on how the last run went, for supervision."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypedDict

from rsdetect.files import as_json, write_text
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal_file import is_journal

RUNNING, OK, FAILED = "running", "ok", "failed"


class Heartbeat(TypedDict):
    """Content of heartbeat.json."""

    rsdetect: str
    state: str  # "running", "ok" or "failed"
    began: str  # ISO time of the last run
    ended: str | None  # None = it runs, or was killed
    status: int | None  # exit status
    reason: str  # why it failed
    last_success: str | None  # ISO time at which a run ended with status 0
    failures: int  # runs in a row that failed
    killed: str | None  # when a run began that the last one found killed


def read_heartbeat(folder: JobFolder) -> Heartbeat | None:
    """Read the heartbeat of a job; None without one, or if it is damaged."""
    try:
        found: Any = json.loads(folder.heartbeat.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or set(found) != set(Heartbeat.__annotations__):
            return None
        for name in ("began", "ended", "last_success"):
            if found[name] is not None:
                datetime.fromisoformat(found[name])
    except (OSError, ValueError, TypeError):
        return None
    heartbeat: Heartbeat = found  # type: ignore[assignment]
    return heartbeat


def beat_at_begin(folder: JobFolder) -> None:
    """Write the heartbeat of a run that begins, and holds the folder."""
    last = read_heartbeat(folder)
    killed = last["began"] if last is not None and last["state"] == RUNNING else None
    _write(
        folder,
        {
            "rsdetect": "heartbeat",
            "state": RUNNING,
            "began": _now(),
            "ended": None,
            "status": None,
            "reason": "",
            "last_success": None if last is None else last["last_success"],
            "failures": (0 if last is None else last["failures"]) + (killed is not None),
            "killed": killed,
        },
    )


def beat_at_end(folder: JobFolder, status: int, reason: str) -> Heartbeat | None:
    """Write the heartbeat of a run that ended; None where the job has no folder."""
    if not is_journal(folder.journal):
        return None
    last, now = read_heartbeat(folder), _now()
    found: Heartbeat = {
        "rsdetect": "heartbeat",
        "state": FAILED if status else OK,
        "began": now if last is None or last["state"] != RUNNING else last["began"],
        "ended": now,
        "status": status,
        "reason": reason,
        "last_success": now if not status else (None if last is None else last["last_success"]),
        "failures": (0 if last is None else last["failures"]) + 1 if status else 0,
        "killed": None if last is None or last["state"] != RUNNING else last["killed"],
    }
    _write(folder, found)
    return found


def _write(folder: JobFolder, content: Heartbeat) -> None:
    """Write a heartbeat; a disk that takes none is reported by the run itself."""
    with suppress(OSError):
        write_text(folder.heartbeat, as_json(content))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
