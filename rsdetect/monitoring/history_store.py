"""Storage of the history: events and observations to the journal and back, for commands between runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import shapely

from rsdetect.monitoring.events import Event, Observation, Status
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.tracking import History

_EVENT_TIMES = ("first_seen", "last_seen", "confirmed_on", "resolved_on")


def store_history(journal: Journal, history: History) -> None:
    """Store a history in the journal, replacing the earlier one."""
    events = [(event.id, _stored_columns(event), shapely.to_wkb(event.geometry)) for event in history.events]
    observations = [
        (each.event, each.taken.isoformat(), each.scene, _stored_columns(each), shapely.to_wkb(each.geometry))
        for each in history.observations
    ]
    journal.put_history(events, observations)


def load_events(journal: Journal) -> tuple[Event, ...]:
    """Load the stored events of the last run, by id."""
    return tuple(_stored_event(content, geometry) for _, content, geometry in journal.events())


def load_observations(journal: Journal) -> tuple[Observation, ...]:
    """Load the stored observations of the last run, by event and date."""
    return tuple(_stored_observation(content, geometry) for content, geometry in journal.observations())


def _stored_columns(noun: Event | Observation) -> dict[str, Any]:
    """Fields of an event or observation as stored in JSON, without its geometry."""
    content = {name: value for name, value in vars(noun).items() if name != "geometry"}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in content.items()
    }


def _stored_event(content: dict[str, Any], geometry: bytes) -> Event:
    """Event from its stored content and WKB."""
    times = {name: _stored_time(content[name]) for name in _EVENT_TIMES}
    rest = content | times | {"status": Status(content["status"]), "geometry": shapely.from_wkb(geometry)}
    return Event(**rest)


def _stored_observation(content: dict[str, Any], geometry: bytes | None) -> Observation:
    """Observation from its stored content and WKB."""
    rest = {"taken": _stored_time(content["taken"]), "status": Status(content["status"])}
    return Observation(**content | rest | {"geometry": shapely.from_wkb(geometry)})


def _stored_time(text: str | None) -> datetime | None:
    """Moment from its stored text; None stays None."""
    return None if text is None else datetime.fromisoformat(text)
