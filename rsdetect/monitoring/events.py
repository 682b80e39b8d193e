"""What happened at a place: events, and what each date says of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """What is known of an event after the latest scene."""

    NEW = "new"  # seen, and not yet often enough to be believed
    CONFIRMED = "confirmed"  # seen in k of its last n valid observations
    UNOBSERVED = "unobserved"  # open, and the latest scene did not show its ground
    RESOLVED = "resolved"  # no longer there
    MERGED = "merged"  # grown together with an older event, which goes on for both


@dataclass(frozen=True)
class Observation:
    """What one scene says of one event."""

    event: str  # the event's id
    scene: str  # the scene's id
    taken: datetime
    baseline: str  # the ground before the event, in words; "" where the date showed nothing at all
    seen: bool | None  # the event is there; None = its ground could not be observed
    observed_share: float  # of the event's first ground that was valid on both dates, 0 to 1
    changed_share: float | None  # of what was observed, at or above the threshold
    probability_mean: float | None  # over what was observed of the event's first ground, 0 to 1
    geometry: Any  # shapely MultiPolygon: what was changed on that date; as last seen where it was not seen
    area_m2: float | None  # of what was changed; None where not seen
    parts: int  # separate polygons; 0 where not seen
    status: Status  # the event's after this scene
    relation: str  # "", or what happened to its shape: "split into 3 parts", "merged with ID"


@dataclass(frozen=True)
class Event:
    """One change at one place, followed over the dates. Ids do not depend on the order of delivery."""

    id: str  # first date and a hash of the first outline: "20240503-1f9a03c2"
    status: Status
    first_seen: datetime
    last_seen: datetime
    confirmed_on: datetime | None  # when the scene was taken that confirmed it
    resolved_on: (
        datetime | None
    )  # when the scene was taken that showed for the last needed time that it is gone
    observations: int  # valid ones, since and with the first
    seen: int  # of those, with the event there
    geometry: Any  # shapely MultiPolygon as last seen, in the job's CRS
    area_m2: float | None  # of that; None without a CRS
    probability_mean: float  # as last seen
    merged_into: str | None  # id of the event that goes on for this one
    follows: str | None  # id of a resolved event on the same ground before
