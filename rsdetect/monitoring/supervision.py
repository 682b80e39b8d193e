"""Supervision of a monitoring job: one line and one of four states, by the convention of Nagios plugins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from rsdetect.monitoring.heartbeat import FAILED, OK, Heartbeat, read_heartbeat
from rsdetect.monitoring.job_file import read_job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.periods import parse_period

FRESH, LATE, FAILING, UNKNOWN = range(4)
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
_CLOCKS_DIFFER = timedelta(minutes=5)  # between the machine that runs the job and this one


def supervise(job_file: Path, late_after: str) -> tuple[int, str]:
    """State of a job, 0 = fresh, 1 = late, 2 = failing, 3 = unknown, and a line that explains it.

    Whatever prevents the answer is the state 3, and raises nothing.

    Parameters
    ----------
    late_after
        Age of the last success beyond which the job is late: "36h", "8d".
    """
    try:
        most = parse_period("late_after", late_after)
        job = read_job(job_file)
        folder = JobFolder(job.resolve_path(job.out, job_file))
        state, text, age = _state(read_heartbeat(folder) or _from_journal(folder), most, datetime.now(UTC))
    except Exception as error:  # a supervisor would take Python's status 1 for late
        return UNKNOWN, _line(UNKNOWN, job_file.name, " ".join(str(error).split()))
    measured = "" if age is None else f" | age={age.total_seconds():.0f}s;{most.total_seconds():.0f}"
    return state, _line(state, job.site, text) + measured


def _line(state: int, name: str, text: str) -> str:
    return f"rsdetect {_WORDS[state]}: {name}: {text.replace('|', '/')}"


def _state(beat: Heartbeat | None, most: timedelta, now: datetime) -> tuple[int, str, timedelta | None]:
    """State of a heartbeat, a text, and the age of the last success."""
    if beat is None:
        return UNKNOWN, "it never ran", None
    success = beat["last_success"]
    age = None if success is None else now - datetime.fromisoformat(success)
    if age is not None and age < -_CLOCKS_DIFFER:
        return UNKNOWN, f"the last success, {success}, lies in the future; a clock is wrong", None
    last = "none yet" if success is None else f"{success}"
    if beat["state"] == FAILED:
        count = f"{beat['failures']} run{'s' if beat['failures'] != 1 else ''}"
        return FAILING, f"{count} failed, status {beat['status']}: {beat['reason']} Last success: {last}", age
    if age is None or age > most:
        runs = "" if beat["state"] == OK else f"; a run began at {beat['began']} and has not ended"
        return LATE, f"last success: {last}{runs}", age
    return FRESH, f"last success: {last}", age


def _from_journal(folder: JobFolder) -> Heartbeat | None:
    """Heartbeat of a job whose last run was by a version without one; None if it never ran."""
    if not folder.journal.exists():
        return None
    with Journal(folder.journal, write=False) as journal:
        last = journal.last_run()
    if last is None:
        return None
    status = last["status"]
    return {
        "rsdetect": "heartbeat",
        "state": OK if status == 0 else FAILED,
        "began": last["began"],
        "ended": last["ended"],
        "status": status,
        "reason": "" if status == 0 else "the last run did not end with success.",
        "last_success": last["ended"] if status == 0 else None,
        "failures": int(status != 0),
        "killed": None,
    }
