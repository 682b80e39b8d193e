"""Failures of monitoring runs: reported by the job's hook, and by the heartbeat, however a run ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rsdetect.errors import RsdetectError
from rsdetect.jsontypes import JsonObject
from rsdetect.monitoring.heartbeat import RUNNING, beat_at_end, read_heartbeat
from rsdetect.monitoring.hooks import HookFailed, call_failure_hook
from rsdetect.monitoring.job import FailureSection
from rsdetect.monitoring.job_file import read_content, read_job
from rsdetect.monitoring.job_folder import FolderBusy, JobFolder
from rsdetect.monitoring.journal_file import is_journal
from rsdetect.secrets import all_without_secrets, without_secrets
from rsdetect.statuses import status_of

if TYPE_CHECKING:
    from rsdetect.monitoring.run import NotifiedRun

_log = logging.getLogger(__name__)


def reporting_failure(job_file: Path, run: Callable[[ExitStack], NotifiedRun]) -> NotifiedRun:
    """Outcome of a run, reported unless it is a success; errors are raised again after the report.

    Parameters
    ----------
    run
        Runs the job, and enters what holds its folder into the stack that it is given. The folder is held
        until the end of the run is in the heartbeat, and free while the hook is called.
    """
    with ExitStack() as held:
        try:
            done = run(held)
        except BaseException as error:
            status, reason = status_of(error)
            report_failure(job_file, status, reason, ours=not isinstance(error, FolderBusy), held=held)
            raise
        if done.status:
            found = done.result
            gone = [each for each in found.set_aside if each[0] in found.given_up]
            named = [f"{scene}: {reason.rstrip('.')}" for scene, reason in (*gone, *found.failed)]
            reason = "; ".join([*named, *([done.notify_error] if done.notify_error else [])])
            report_failure(job_file, done.status, reason, run=done.result.summary(), held=held)
            return done
        beat = beat_at_end(done.result.folder, 0, "")
    if beat is not None and beat["killed"]:
        _call(job_file, -9, _killed(beat["killed"]), {})
    return done


def report_failure(
    job_file: Path,
    status: int,
    reason: str,
    *,
    run: JsonObject | None = None,
    ours: bool = True,
    held: ExitStack,
) -> None:
    """Report the failure of a run to the job's hook and in its heartbeat.

    Parameters
    ----------
    run
        Summary of the run, where it came to its end.
    ours
        False where another run holds the folder, whose heartbeat stays.
    held
        What holds the folder, closed before the hook is called.
    """
    folder = _folder_of(job_file)
    beat = beat_at_end(folder, status, without_secrets(reason)) if ours and folder is not None else None
    held.close()
    if beat is not None and beat["killed"]:
        reason = f"{reason.rstrip('.')}. {_killed(beat['killed'])}"
    last = None if beat is None else beat["last_success"]
    _call(job_file, status, reason, {"run": run, "last_success": last})


def report_killed(job_file: Path, status: int, started: datetime) -> None:
    """Report the failure of a run whose process has ended, unless the run did so itself.

    Parameters
    ----------
    status
        Exit status of the process; negative = the signal that killed it.
    started
        When the process was started.
    """
    folder = _folder_of(job_file)
    reason = f"was killed by signal {-status}" if status < 0 else "was killed before its end"
    with ExitStack() as held:
        is_left = folder is not None and _is_left(folder, started, held)
        if status < 0 or is_left:
            report_failure(job_file, status, f"the run {reason}.", ours=is_left, held=held)


def _is_left(folder: JobFolder, started: datetime, held: ExitStack) -> bool:
    """True if a run that began since `started` was killed before it wrote how it ended; enters the folder.

    Of a run in progress the heartbeat says the same, but that one holds the folder.
    """
    if not is_journal(folder.journal):
        return False
    try:
        held.enter_context(folder.held(0.0))
    except RsdetectError:
        return False
    beat = read_heartbeat(folder)
    return (
        beat is not None
        and beat["state"] == RUNNING
        and datetime.fromisoformat(beat["began"]) >= started.replace(microsecond=0)
    )


def _killed(began: str) -> str:
    return f"The run that began at {began} was killed before its end."


def _call(job_file: Path, status: int, reason: str, more: dict[str, Any]) -> None:
    """Call the hook for a failure; a hook that fails is printed, and changes no status."""
    section, site = _section_of(job_file)
    if section.hook is None:
        return
    content = {
        "rsdetect": "failure",
        "version": 1,
        "site": site,
        "job": str(job_file.absolute()),
        "status": status,
        "reason": reason,
        "run": None,
        "last_success": None,
    } | more
    try:
        call_failure_hook(section, all_without_secrets(content), job_file.absolute().parent)
    except (HookFailed, RsdetectError, OSError) as error:
        _log.error(f"the failure was not reported: {without_secrets(' '.join(str(error).split()))}")


def _folder_of(job_file: Path) -> JobFolder | None:
    try:
        job = read_job(job_file)
    except RsdetectError:
        out = _raw(job_file).get("out")
        return JobFolder(job_file.absolute().parent / out) if isinstance(out, str) else None
    return JobFolder(job.resolve_path(job.out, job_file))


def _section_of(job_file: Path) -> tuple[FailureSection, str]:
    """Section on failures of a job, and its site; of an invalid job file as far as they can be read."""
    raw = _raw(job_file)
    try:
        return FailureSection.model_validate(raw.get("on_failure") or {}), str(raw.get("site", ""))
    except ValidationError:
        return FailureSection(), ""


def _raw(job_file: Path) -> dict[str, Any]:
    """Content of a job file that may be invalid, for the report of its failure."""
    try:
        return read_content(job_file)
    except (RsdetectError, OSError):
        return {}
