"""Log of looks: each evaluation of a part reserved for reporting, with its figures.

A part that is evaluated without limit, and used for choices, is no longer a test set. The log records how
often it was evaluated, with which code and weights, and why. One JSON object per line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rsdetect
from rsdetect.errors import InputError, OutputError
from rsdetect.evaluation.results import Evaluation, Interval
from rsdetect.evaluation.split import Split
from rsdetect.jobs.record import plain
from rsdetect.reading import refuse_endless
from rsdetect.statuses import write_error

FIGURES = (
    "f1",
    "f1_best",
    "average_precision",
    "calibration_error",
    "false_regions_per_mpx",
    "boundary_f1",
    "false_alarm_share",
)
_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class LookLog:
    """Log of looks: its file, and the reason for the next entry."""

    path: Path
    reason: str
    code: str  # see `code_version`

    def append(self, evaluation: Evaluation) -> None:
        """Append an evaluation to the log of looks, before any of it is written or shown.

        Raises
        ------
        OutputError
            The log cannot be written.
        """
        row = plain(
            {
                "time": evaluation.created,
                "code": self.code,
                "reason": self.reason,
                "split": evaluation.split,
                "part": evaluation.part,
                "detector": evaluation.detector,
                "threshold": evaluation.threshold,
                "sources": {
                    source.name: {
                        "scenes": len(source.scenes),
                        "places": source.places,
                        **_logged_figures(source.figures),
                    }
                    for source in evaluation.sources
                },
                "macro": _logged_figures(evaluation.macro),
                "macro_several": _logged_figures(evaluation.macro_several),
            }
        )
        refuse_endless(self.path, OutputError)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise write_error(f"the log of looks {self.path}", error) from error


def open_look_log(split: Split, path: Path, part: str, reason: str | None) -> LookLog | None:
    """Open the log of looks for the evaluation of a part, checked in advance; None = not logged.

    Raises
    ------
    InputError
        The part is reserved for reporting and no reason is given, the part does not exist, or the log cannot
        be written.
    """
    if part not in split.parts:
        raise InputError(f"`part` {part!r} is not one of the parts of {path}: {', '.join(split.parts)}.")
    if reason is None:
        if part in split.reporting:
            raise InputError(
                f"the part {part!r} of {path} is reserved for reporting: give a reason as `log_look`, which "
                f"logs the figures in {split.looks}."
            )
        return None
    log = LookLog(path=path.parent / split.looks, reason=reason, code=code_version())
    if not log.path.parent.is_dir():
        raise OutputError(f"the folder {log.path.parent} of the log of looks {log.path.name} does not exist.")
    if not os.access(log.path if log.path.exists() else log.path.parent, os.W_OK):
        raise OutputError(f"the log of looks {log.path} cannot be written.")
    return log


def code_version() -> str:
    """Version of the code for the log of looks: the commit of a checkout, with "+" after local changes.

    Without a checkout, the release. A checkout is one whose git tracks the package: an installed package may
    lie within the repository of another project.
    """
    folder = Path(rsdetect.__file__).parent
    known = _git_output(folder, "ls-files", "--", "__init__.py")
    commit = known and _git_output(folder, "rev-parse", "HEAD")
    if not commit:
        return version("rsdetect")
    return commit + ("+" if _git_output(folder, "status", "--porcelain", "--", ".") else "")


def _git_output(folder: Path, *arguments: str) -> str:
    """Output of git for the log of looks; "" if git is missing or the folder is not in a repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (fixed arguments)
    return done.stdout.strip() if done.returncode == 0 else ""


def _logged_figures(figures: dict[str, Interval]) -> dict[str, Any]:
    """Rounded figures in the log of looks: value and ends of the interval."""
    return {
        name: [round(end, _DIGITS) for end in (figures[name].value, figures[name].low, figures[name].high)]
        for name in FIGURES
        if name in figures
    }
