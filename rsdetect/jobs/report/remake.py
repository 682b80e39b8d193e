"""Report page of a finished run, made again from its files and scenes."""

from __future__ import annotations

import logging
from pathlib import Path

import rasterio

from rsdetect.errors import InputError
from rsdetect.files import write_text
from rsdetect.jobs.inputs import refuse_inputs
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.record import reading_record
from rsdetect.jobs.report.page import render_report
from rsdetect.jobs.report.write import report_of_scenes
from rsdetect.jobs.vectorize import open_scored, read_run

_log = logging.getLogger(__name__)
_CACHE_BYTES = 256 * 2**20


def remake_report(folder: Path) -> Path:
    """Make the report page of a finished run again, without pictures of scenes that are gone.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        The folder holds no finished run.
    JobInterrupted
        Another run is active in it, or the disk fails.
    """
    record = read_run(folder)
    for name in (Outputs.RASTER, Outputs.POLYGONS):
        if not (folder / name).exists():
            raise InputError(f"{folder} holds no {name}; run detect again.")
    with Outputs.hold(folder), reading_record(folder), rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
        pair, missing = open_scored(record)
        if pair is not None:
            refuse_inputs(folder, pair.local_files, (Outputs.PAGE,))
        given = report_of_scenes(folder / Outputs.RASTER, folder / Outputs.POLYGONS, record, pair, missing)
        if given.missing:
            _log.warning(f"{Outputs.PAGE} has no pictures of the scenes: {given.missing}")
        write_text(folder / Outputs.PAGE, render_report(given))
    return folder / Outputs.PAGE
