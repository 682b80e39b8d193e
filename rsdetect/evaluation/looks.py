"""The log of looks: each time that a part kept for reporting was evaluated, and what was found.

A part that is evaluated as often as one likes, and chosen by, is no test any more. The log shows how often it
was, by which code and weights, and why. One JSON object a line.
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
class Log:
    """Where a look is logged, and why it is taken."""

    path: Path
    reason: str
    code: str  # see `code_version`

    def append(self, evaluation: Evaluation) -> None:
        """Add a row. Nothing of the evaluation is written or shown before.

        Raises
        ------
        OutputError
            The file cannot be written.
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
                        **_rounded(source.figures),
                    }
                    for source in evaluation.sources
                },
                "macro": _rounded(evaluation.macro),
                "macro_several": _rounded(evaluation.macro_several),
            }
        )
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise OutputError(f"the log of looks {self.path} cannot be written: {error.strerror}.") from error


def log_of(split: Split, path: Path, part: str, reason: str | None) -> Log | None:
    """Where the evaluation of a part is logged, tried before hours of work; None = nowhere.

    Raises
    ------
    InputError
        The part is kept for reporting and no reason is given, there is no such part, or the log cannot be
        written.
    """
    if part not in split.parts:
        raise InputError(f"`part` {part!r} is none of the parts of {path}: {', '.join(split.parts)}.")
    if reason is None:
        if part in split.reporting:
            raise InputError(
                f"the part {part!r} of {path} is kept for reporting: give the reason as `log_look`, which "
                f"logs the figures in {split.looks}."
            )
        return None
    log = Log(path=path.parent / split.looks, reason=reason, code=code_version())
    if not log.path.parent.is_dir():
        raise OutputError(f"there is no folder {log.path.parent} for the log of looks {log.path.name}.")
    if not os.access(log.path if log.path.exists() else log.path.parent, os.W_OK):
        raise OutputError(f"the log of looks {log.path} cannot be written.")
    return log


def code_version() -> str:
    """The commit of a checkout, with "+" where its code was changed since; else the version.

    Only a file of the package that git itself knows speaks for a checkout: an installed package may lie
    within the repository of another project.
    """
    folder = Path(rsdetect.__file__).parent
    known = _git(folder, "ls-files", "--", "__init__.py")
    commit = known and _git(folder, "rev-parse", "HEAD")
    if not commit:
        return version("rsdetect")
    return commit + ("+" if _git(folder, "status", "--porcelain", "--", ".") else "")


def _git(folder: Path, *arguments: str) -> str:
    """What git says; nothing where it is not installed, or the folder is of no repository."""
    git = shutil.which("git")
    if git is None:
        return ""
    command = [git, "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (no user's words)
    return done.stdout.strip() if done.returncode == 0 else ""


def _rounded(figures: dict[str, Interval]) -> dict[str, Any]:
    """Figure -> value and the ends of its interval."""
    return {
        name: [round(end, _DIGITS) for end in (figures[name].value, figures[name].low, figures[name].high)]
        for name in FIGURES
        if name in figures
    }
