"""Writing the report page of a job: with its results, or again for a finished run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rsdetect.devices import usable_cores
from rsdetect.errors import JobInterrupted, RsdetectError
from rsdetect.files import write_text
from rsdetect.jobs.report.page import ReportInput, render_report
from rsdetect.scenes.handles import one_line
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.scene_overview import Lattice, SceneOverview, read_overview
from rsdetect.statuses import status_of

_log = logging.getLogger(__name__)


def try_report(path: Path, given: Callable[[], ReportInput]) -> str | None:
    """Write a report page to `path`; if it cannot be made, an empty one, for `Outputs` to publish none.

    Returns
    -------
    str or None
        Warning on the failure, which spoils no result.

    Raises
    ------
    OSError, MemoryError, JobInterrupted
        What may pass: a full disk, lack of memory, an interruption.
    """
    try:
        write_text(path, render_report(given()))
    except Exception as error:
        if status_of(error)[0] == JobInterrupted.exit_status:
            raise
        path.write_bytes(b"")
        warning = (
            f"{path.name} could not be made ({type(error).__name__}: {one_line(error)}); the other results "
            "are complete. `rsdetect report` makes it again."
        )
        _log.warning(warning)
        return warning
    return None


def report_of_scenes(
    raster: Path, polygons: Path, record: Mapping[str, Any], pair: Pair | None, missing: str = ""
) -> ReportInput:
    """Input of a report page whose pictures are read from the scenes, as far as these can be read."""
    found = ReportInput(raster, polygons, record, missing=missing)
    if pair is None:
        return found
    try:
        overview: SceneOverview = read_overview(pair, Lattice.of(pair), usable_cores())
    except RsdetectError as error:
        return replace(found, missing=str(error))
    return replace(found, pair=pair, overview=overview)
