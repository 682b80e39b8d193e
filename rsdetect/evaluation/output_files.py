"""Output files of an evaluation: locked before scoring, and renamed when complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rsdetect.errors import OutputError
from rsdetect.evaluation.html_page import render_page
from rsdetect.evaluation.results import Evaluation
from rsdetect.files import move, scratch_folder
from rsdetect.folders import refuse_place
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import write_record

RECORD, PAGE = "evaluation.json", "evaluation.html"
COMPARISON, COMPARISON_PAGE = "comparison.json", "comparison.html"


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
    with _claimed(out, (RECORD, PAGE), overwrite) as work:
        yield work


@contextmanager
def claim_comparison(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Lock the output folder of a comparison of detectors, as `claim_output` that of an evaluation."""
    with _claimed(out, (COMPARISON, COMPARISON_PAGE), overwrite) as work:
        yield work


@contextmanager
def _claimed(out: Path, names: tuple[str, ...], overwrite: bool) -> Iterator[Path]:
    """Lock a folder for output files of these names."""
    refuse_place(out, *names)
    for name in names:
        if (out / name).exists() and not overwrite:
            raise OutputError(f"{out / name} exists; add `overwrite=True` to replace it.")
    with Outputs.hold(out), scratch_folder(out / Outputs.WORK) as work:
        yield work


def write_evaluation(evaluation: Evaluation, work: Path, out: Path) -> None:
    """Write the output files of an evaluation; the record is renamed last."""
    _write_both(work, out, (PAGE, render_page(evaluation)), (RECORD, evaluation.as_json()))


def write_comparison(content: dict[str, Any], page: str, work: Path, out: Path) -> None:
    """Write the output files of a comparison of detectors; the record is renamed last."""
    _write_both(work, out, (COMPARISON_PAGE, page), (COMPARISON, content))


def _write_both(work: Path, out: Path, page: tuple[str, str], record: tuple[str, dict[str, Any]]) -> None:
    """Write a page and a record as output files, each by name and content."""
    (work / page[0]).write_text(page[1], encoding="utf-8")
    write_record(work / record[0], record[1])
    for name in (page[0], record[0]):
        move(work / name, out / name)
