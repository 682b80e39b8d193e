"""Finished pairs of a batch, from their records: what decides which of them are joined, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from rsdetect.grid import Grid
from rsdetect.jobs.options import PolygonOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.polygons import polygon_options_of
from rsdetect.jobs.record import read_record, reading_record

Span = tuple[np.datetime64, np.datetime64]


@dataclass(frozen=True)
class FinishedPair:
    """Finished pair of a batch, from its record."""

    name: str
    folder: Path
    grid: Grid  # of its raster
    level: int  # percent of its raster from which a pixel is changed
    outlines: PolygonOptions  # without the threshold, which `level` has
    detector: str  # its name
    span: Span  # dates; NaT = unknown

    @property
    def raster(self) -> Path:
        """File of the change probability of the finished pair."""
        return self.folder / Outputs.RASTER


def read_finished(name: str, folder: Path, crs: str) -> FinishedPair:
    """Read a finished pair from its record.

    Parameters
    ----------
    crs
        WKT of its polygons' CRS.

    Raises
    ------
    InputError
        The record is damaged.
    """
    with reading_record(folder):
        record = read_record(folder / Outputs.RECORD)
        overlap = record["check"]["overlap"]
        grid = Grid(crs, Affine(*overlap["transform"]), int(overlap["height"]), int(overlap["width"]))
        before, after = (record["check"][date]["date"] for date in ("before", "after"))
        return FinishedPair(
            name=name,
            folder=folder,
            grid=grid,
            level=int(record["level_percent"]),
            outlines=replace(polygon_options_of(record), threshold=None),
            detector=record["detector"]["name"],
            span=(np.datetime64(before or "NaT", "D"), np.datetime64(after or "NaT", "D")),
        )


def spans_overlap(one: Any, other: Any) -> Any:
    """True where one change can be in both of two time spans; a common end day is not an overlap.

    Parameters
    ----------
    one, other
        (..., 2) dates, in either order; NaT = unknown, which overlaps with all.
    """
    one, other = np.asarray(one, "datetime64[D]"), np.asarray(other, "datetime64[D]")
    unknown = np.isnat(one).any(axis=-1) | np.isnat(other).any(axis=-1)
    start = np.maximum(one.min(axis=-1), other.min(axis=-1))
    return unknown | (start < np.minimum(one.max(axis=-1), other.max(axis=-1)))


def periods_of(spans: Sequence[Span]) -> list[int]:
    """Period of each pair: those of one period all overlap in time, so that a change can be in all of them.

    Pairs without a date are in the first period.

    >>> day = np.datetime64
    >>> periods_of([(day("2020-01-01"), day("2021-01-01")), (day("2021-01-01"), day("2022-01-01"))])
    [0, 1]
    """
    days = [np.array(span, "datetime64[D]") for span in spans]
    ends = [(each.max(), each.min()) for each in days]  # NaT if either is
    known = [number for number, (end, _) in enumerate(ends) if not np.isnat(end)]
    periods = [0] * len(spans)
    period, latest = -1, None
    for number in sorted(known, key=ends.__getitem__):
        end, start = ends[number]
        if latest is None or not (start < latest[0] or (end, start) == latest):
            period, latest = period + 1, (end, start)
        periods[number] = period
    return periods
