"""Events and their observations: a change at one location, and its state on each date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Status of an event after the latest scene."""

    NEW = "new"  # seen, but not often enough to be confirmed
    CONFIRMED = "confirmed"  # seen in k of its last n valid observations
    UNOBSERVED = "unobserved"  # open, and not observable in the latest scene
    RESOLVED = "resolved"  # no longer there
    MERGED = "merged"  # merged into an older event, which continues for both


@dataclass(frozen=True)
class Observation:
    """Observation of one event in one scene."""

    event: str  # the event's id
    scene: str  # the scene's id
    taken: datetime
    baseline: str  # description of the baseline; "" where the scene was clouded
    seen: bool | None  # the event is present; None = not observable
    observed_share: float  # share of the event's core that is valid on both dates, 0 to 1
    changed_share: float | None  # share of the observed pixels at or above the threshold
    probability_mean: float | None  # mean over the observed pixels of the event's core, 0 to 1
    geometry: Any  # shapely MultiPolygon: the changed area on this date, or the last seen one
    area_m2: float | None  # area of the change; None where not seen
    parts: int  # number of polygons; 0 where not seen
    status: Status  # status of the event after this scene
    relation: str  # "", or a change of its shape: "split into 3 parts", "merged with ID"


@dataclass(frozen=True)
class Event:
    """Event: one change at one location, tracked over time; ids do not depend on the delivery order."""

    id: str  # first date and a hash of the first outline: "20240503-1f9a03c2"
    status: Status
    first_seen: datetime
    last_seen: datetime
    confirmed_on: datetime | None  # acquisition time of the confirming scene
    resolved_on: datetime | None  # acquisition time of the resolving scene
    observations: int  # number of valid observations, including the first
    seen: int  # number of those in which the event is present
    geometry: Any  # shapely MultiPolygon as last seen, in the job's CRS
    area_m2: float | None  # area of `geometry`; None without a CRS
    probability_mean: float  # as of the last observation
    merged_into: str | None  # id of the event that continues for this one
    follows: str | None  # id of an earlier, resolved event at the same location
    kind: str | None = None  # kind of change when first seen; None = not recorded
