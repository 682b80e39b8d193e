"""Events and observations into the journal and back, for what asks between runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import shapely

from rsdetect.monitoring.events import Event, Observation, Status
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.tracking import History

_EVENT_TIMES = ("first_seen", "last_seen", "confirmed_on", "resolved_on")


def keep_history(journal: Journal, history: History) -> None:
    """Write a history into the journal, in the place of what was there."""
    events = [(event.id, _plain(event), shapely.to_wkb(event.geometry)) for event in history.events]
    observations = [
        (each.event, each.taken.isoformat(), each.scene, _plain(each), shapely.to_wkb(each.geometry))
        for each in history.observations
    ]
    journal.put_history(events, observations)


def load_events(journal: Journal) -> tuple[Event, ...]:
    """The events as the last run left them, by id."""
    return tuple(_event(content, geometry) for _, content, geometry in journal.events())


def load_observations(journal: Journal) -> tuple[Observation, ...]:
    """The observations as the last run left them, by event and date."""
    return tuple(_observation(content, geometry) for content, geometry in journal.observations())


def _plain(noun: Event | Observation) -> dict[str, Any]:
    content = {name: value for name, value in vars(noun).items() if name != "geometry"}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in content.items()
    }


def _event(content: dict[str, Any], geometry: bytes) -> Event:
    times = {name: _time(content[name]) for name in _EVENT_TIMES}
    rest = content | times | {"status": Status(content["status"]), "geometry": shapely.from_wkb(geometry)}
    return Event(**rest)


def _observation(content: dict[str, Any], geometry: bytes | None) -> Observation:
    rest = {"taken": _time(content["taken"]), "status": Status(content["status"])}
    return Observation(**content | rest | {"geometry": shapely.from_wkb(geometry)})


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
