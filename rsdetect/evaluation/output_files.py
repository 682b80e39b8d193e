"""Output files of an evaluation: locked before scoring, and renamed when complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rsdetect.errors import OutputError
from rsdetect.evaluation.html_page import render_page
from rsdetect.evaluation.results import Evaluation
from rsdetect.files import move, scratch_folder
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import write_record

RECORD, PAGE = "evaluation.json", "evaluation.html"


@contextmanager
def claim_output(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Lock the output folder of an evaluation; yields a folder for unfinished files in it.

    Raises
    ------
    OutputError
        It already contains an evaluation, cannot be written, or is locked by another run.
    JobInterrupted
        The disk failed or is full.
    """
    for name in (RECORD, PAGE):
        if (out / name).exists() and not overwrite:
            raise OutputError(f"{out / name} exists; add `overwrite=True` to replace it.")
    with Outputs.hold(out), scratch_folder(out / Outputs.WORK) as work:
        yield work


def write_evaluation(evaluation: Evaluation, work: Path, out: Path) -> None:
    """Write the output files of an evaluation; the record is renamed last."""
    (work / PAGE).write_text(render_page(evaluation), encoding="utf-8")
    write_record(work / RECORD, evaluation.as_json())
    for name in (PAGE, RECORD):
        move(work / name, out / name)
