"""Polygons of a batch: the combined GeoPackage of its finished pairs, and the report on it."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

from rsdetect.batches.batch_report import BatchReport
from rsdetect.batches.combined_gpkg import write_combined_gpkg
from rsdetect.batches.pair_results import FINISHED, PairResult
from rsdetect.batches.pairs import POLYGONS, ZONES
from rsdetect.errors import JobInterrupted
from rsdetect.files import atomic_path
from rsdetect.jobs.zones import Zones, write_table
from rsdetect.scenes.handles import one_line


def write_batch_polygons(
    out: Path, results: list[PairResult], *, join: bool, zones: Zones | None = None
) -> BatchReport:
    """Write the combined GeoPackage of a batch and the table of its zones, and return its report.

    Raises
    ------
    InputError
        The record or the raster of a pair to join is damaged.
    JobInterrupted
        The file cannot be written.
    """
    finished = [(row.name, out / row.name) for row in results if row.state in FINISHED]
    if not finished:
        return BatchReport(results, None, None, [], join)
    try:
        with atomic_path(out / POLYGONS) as unfinished:
            collected = write_combined_gpkg(unfinished, finished, join=join, zones=zones)
    except (DataSourceError, DataLayerError, FeatureError, sqlite3.Error) as error:
        raise JobInterrupted(
            f"{out / POLYGONS} could not be written: {one_line(error)}; fix that and run the same command "
            "to resume."
        ) from error
    if collected.zones is None:
        (out / ZONES).unlink(missing_ok=True)
    else:
        write_table(out / ZONES, collected.zones)
    twice = collected.twice_m2
    results = [
        replace(row, counted_twice_m2=round(twice[row.name], 3)) if row.name in twice else row
        for row in results
    ]
    return BatchReport(
        results,
        out / POLYGONS,
        collected.crs,
        collected.unplaced,
        join,
        collected.regions,
        round(collected.changed_area_m2, 3),
        collected.notes,
    )
