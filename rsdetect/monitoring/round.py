"""One round of a job, as cron, systemd or `monitor serve` ask for it: a run, and then its news."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsdetect.errors import JobInterrupted
from rsdetect.monitoring.notify import tell_news
from rsdetect.monitoring.run import RunResult, run_job


@dataclass(frozen=True)
class Round:
    """What a round did."""

    result: RunResult
    summary: dict[str, Any] | None  # as in summary.json; None where nobody could be told
    untold: str  # why the news were not told; "" where they were, or where there were none

    @property
    def status(self) -> int:
        """0 = done; 3 = something failed, and the next round tries it again."""
        return 3 if self.untold else self.result.status


def run_round(job_file: Path, *, wait_s: float = 0.0) -> Round:
    """Bring a job up to date and tell its news; what goes wrong in telling leaves the run as it is.

    Raises
    ------
    InputError
        As `run_job`.
    JobInterrupted
        As `run_job`.
    """
    result = run_job(job_file, wait_s=wait_s)
    try:
        summary = tell_news(job_file, result.job, result.folder, result.summary())
    except JobInterrupted as error:
        return Round(result, None, str(error))
    return Round(result, summary, "")
