"""The history as a GeoPackage that QGIS opens styled, with its temporal controller set up.

Layer `events`: one feature an event, as last seen, shown from its first sight until it is resolved. Layer
`observations`: one feature an event and date. The file is written whole under another name and renamed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsdetect.errors import JobInterrupted
from rsdetect.files import atomic_path
from rsdetect.geopackage.file import Columns, Layer, write_geopackage
from rsdetect.geopackage.styles import read_style
from rsdetect.monitoring.events import Event, Observation
from rsdetect.monitoring.tracking import History
from rsdetect.scenes.handles import one_line

EVENTS, OBSERVATIONS = "events", "observations"
_OUTCOMES = {True: "seen", False: "not seen", None: "unobserved"}


def write_history(path: Path, history: History, crs: str | None, site: str) -> None:
    """Write both layers at `path`, in the place of what was there.

    Parameters
    ----------
    crs
        WKT of the job's CRS; None = a plain pixel grid.
    site
        Name of the place, a column of both.

    Raises
    ------
    JobInterrupted
        The disk is full, or another program holds the file.
    """
    events = Layer(
        EVENTS,
        _array([event.geometry for event in history.events]),
        _event_columns(history.events, site),
        read_style("events.qml"),
        "MultiPolygon",
    )
    observations = Layer(
        OBSERVATIONS,
        _array([each.geometry for each in history.observations]),
        _observation_columns(history.observations, site),
        read_style("observations.qml"),
        "MultiPolygon",
    )
    try:
        with atomic_path(path) as unfinished:
            write_geopackage(unfinished, (events, observations), crs)
    except (sqlite3.Error, OSError) as error:
        raise JobInterrupted(
            f"{path} could not be written: {one_line(error)}; mend that and run the job again to resume."
        ) from error


def _event_columns(events: tuple[Event, ...], site: str) -> Columns:
    return {
        "event_id": _array([event.id for event in events]),
        "status": _array([str(event.status) for event in events]),
        "first_seen": _times(event.first_seen for event in events),
        "last_seen": _times(event.last_seen for event in events),
        "confirmed_on": _times(event.confirmed_on for event in events),
        "resolved_on": _times(event.resolved_on for event in events),
        "observations": np.array([event.observations for event in events], dtype=np.int32),
        "seen": np.array([event.seen for event in events], dtype=np.int32),
        "area_m2": _numbers(event.area_m2 for event in events),
        "probability_mean": _numbers(event.probability_mean for event in events),
        "parts": np.array([len(event.geometry.geoms) for event in events], dtype=np.int32),
        "merged_into": _array([event.merged_into for event in events]),
        "follows": _array([event.follows for event in events]),
        "site": _array([site for _ in events]),
    }


def _observation_columns(observations: tuple[Observation, ...], site: str) -> Columns:
    return {
        "event_id": _array([each.event for each in observations]),
        "taken": _times(each.taken for each in observations),
        "outcome": _array([_OUTCOMES[each.seen] for each in observations]),
        "status": _array([str(each.status) for each in observations]),
        "observed_share": _numbers(each.observed_share for each in observations),
        "changed_share": _numbers(each.changed_share for each in observations),
        "probability_mean": _numbers(each.probability_mean for each in observations),
        "area_m2": _numbers(each.area_m2 for each in observations),
        "parts": np.array([each.parts for each in observations], dtype=np.int32),
        "relation": _array([each.relation for each in observations]),
        "scene": _array([each.scene for each in observations]),
        "baseline": _array([each.baseline for each in observations]),
        "site": _array([site for _ in observations]),
    }


def _array(values: list[object]) -> NDArray[np.object_]:
    out = np.empty(len(values), dtype=np.object_)
    out[:] = values
    return out


def _numbers(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _times(values: Iterable[datetime | None]) -> NDArray[np.datetime64]:
    """UTC, without saying so: NumPy's times know no zone."""
    naive = [None if value is None else value.astimezone(UTC).replace(tzinfo=None) for value in values]
    return np.array([np.datetime64("NaT" if value is None else value, "ms") for value in naive], "M8[ms]")
