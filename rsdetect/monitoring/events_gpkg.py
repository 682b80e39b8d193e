"""GeoPackage of events for QGIS, with styles and a configured temporal controller.

Layer `events`: one feature per event, as last seen, visible from its first observation until it is resolved.
Layer `observations`: one feature per event and date. The file is written under a temporary name and renamed.
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
from rsdetect.geopackage.file import Layer, write_geopackage
from rsdetect.geopackage.metadata import LayerDescription
from rsdetect.geopackage.rows import Columns
from rsdetect.geopackage.styles.event_styles import events_styles, observations_styles
from rsdetect.monitoring.events import Event, Observation
from rsdetect.monitoring.tracking import History
from rsdetect.scenes.handles import one_line

EVENTS, OBSERVATIONS = "events", "observations"
_OUTCOMES = {True: "seen", False: "not seen", None: "unobserved"}


def write_events_gpkg(path: Path, history: History, crs: str | None, site: str) -> None:
    """Write the GeoPackage of events and observations at `path`, replacing an earlier one.

    Parameters
    ----------
    crs
        WKT of the job's CRS; None = a plain pixel grid.
    site
        Name of the site, a column of both layers.

    Raises
    ------
    JobInterrupted
        The disk is full, or another program holds the file.
    """
    events = Layer(
        EVENTS,
        _object_column([event.geometry for event in history.events]),
        _event_columns(history.events, site),
        events_styles(),
        "MultiPolygon",
        LayerDescription(f"Events of {site}", "Changes that were tracked over time, as last seen."),
    )
    observations = Layer(
        OBSERVATIONS,
        _object_column([each.geometry for each in history.observations]),
        _observation_columns(history.observations, site),
        observations_styles(),
        "MultiPolygon",
        LayerDescription(f"Observations of {site}", "Each event on each date."),
    )
    try:
        with atomic_path(path) as unfinished:
            write_geopackage(unfinished, (events, observations), crs)
    except (sqlite3.Error, OSError) as error:
        raise JobInterrupted(
            f"{path} could not be written: {one_line(error)}; fix that and run the job again to resume."
        ) from error


def _event_columns(events: tuple[Event, ...], site: str) -> Columns:
    """Columns of the layer `events` in events.gpkg."""
    return {
        "event_id": _object_column([event.id for event in events]),
        "status": _object_column([str(event.status) for event in events]),
        "kind": _object_column([event.kind for event in events]),
        "first_seen": _datetime_column(event.first_seen for event in events),
        "last_seen": _datetime_column(event.last_seen for event in events),
        "confirmed_on": _datetime_column(event.confirmed_on for event in events),
        "resolved_on": _datetime_column(event.resolved_on for event in events),
        "observations": np.array([event.observations for event in events], dtype=np.int32),
        "seen": np.array([event.seen for event in events], dtype=np.int32),
        "area_m2": _float_column(event.area_m2 for event in events),
        "probability_mean": _float_column(event.probability_mean for event in events),
        "parts": np.array([len(event.geometry.geoms) for event in events], dtype=np.int32),
        "merged_into": _object_column([event.merged_into for event in events]),
        "follows": _object_column([event.follows for event in events]),
        "site": _object_column([site for _ in events]),
    }


def _observation_columns(observations: tuple[Observation, ...], site: str) -> Columns:
    """Columns of the layer `observations` in events.gpkg."""
    return {
        "event_id": _object_column([each.event for each in observations]),
        "taken": _datetime_column(each.taken for each in observations),
        "outcome": _object_column([_OUTCOMES[each.seen] for each in observations]),
        "status": _object_column([str(each.status) for each in observations]),
        "observed_share": _float_column(each.observed_share for each in observations),
        "changed_share": _float_column(each.changed_share for each in observations),
        "probability_mean": _float_column(each.probability_mean for each in observations),
        "area_m2": _float_column(each.area_m2 for each in observations),
        "parts": np.array([each.parts for each in observations], dtype=np.int32),
        "relation": _object_column([each.relation for each in observations]),
        "scene": _object_column([each.scene for each in observations]),
        "baseline": _object_column([each.baseline for each in observations]),
        "site": _object_column([site for _ in observations]),
    }


def _object_column(values: list[object]) -> NDArray[np.object_]:
    """Column of objects in events.gpkg: text or geometries."""
    out = np.empty(len(values), dtype=np.object_)
    out[:] = values
    return out


def _float_column(values: Iterable[float | None]) -> NDArray[np.float64]:
    """Column of numbers in events.gpkg, rounded to four decimals; NaN for None."""
    return np.array([np.nan if value is None else round(value, 4) for value in values], dtype=np.float64)


def _datetime_column(values: Iterable[datetime | None]) -> NDArray[np.datetime64]:
    """Column of UTC times in events.gpkg, without a zone, because NumPy's times have none."""
    naive = [None if value is None else value.astimezone(UTC).replace(tzinfo=None) for value in values]
    return np.array([np.datetime64("NaT" if value is None else value, "ms") for value in naive], "M8[ms]")
