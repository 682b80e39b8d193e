"""Tracking of events: one rule turns the steps (comparisons) of all dates into events, in order of date.

The history is a function of the steps alone: no state is kept between runs. A run over n scenes therefore
equals n runs over one, and a late scene is simply inserted at its date.

Definitions, for every baseline policy:

- A comparison with the job's baseline finds *new* changes. Whether an event is *still present* is checked
  against the baseline from before the event: the one the policy gives among the scenes before the event's
  first scene. Against the previous scene a lasting change is seen once and never again; against the baseline
  from before it, it is seen on every date until it disappears.
- An event is judged by its core, the area in which it was first seen. A date is a *valid observation* if at
  least half of the core was valid on both dates. The event is *seen* if at least half of the observed pixels
  are changed. Clouds count neither for it nor against it.
- *Confirmed*: seen in k of its last n valid observations. *Resolved*: not seen in a given number of
  consecutive valid observations. *Unobserved*: open, and the latest scene was not a valid observation.
- A new region belongs to an open event if it covers a quarter of the smaller of the two, or shares an eighth
  of the shorter outline, and neither is ten times the other: the event grew. If a region belongs to several,
  they *merge* into the oldest. If an event falls into several parts it stays one event, and the *split* is
  recorded.
- The end of an event is also a change: the flood recedes. A region on the area of an event that is not seen,
  or is resolved, is new only if it differs from the baseline from before that event.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import shapely

from rsdetect.monitoring.comparison import Region, Step
from rsdetect.monitoring.events import Event, Observation
from rsdetect.monitoring.job import ConfirmSection
from rsdetect.monitoring.recheck import Evidence
from rsdetect.monitoring.tracks import Track, belongs

LEAST_OBSERVED = 0.5  # minimum observed share of an event's core in a valid observation
LEAST_CHANGED = 0.5  # minimum changed share of the observed pixels at which the event is seen

# (first step of the event, current step, core, extent) -> evidence; None = the baseline from before the event
# is no longer available.
Recheck = Callable[[Step, Step, Any, Any], Evidence | None]
AreaOf = Callable[[Any], float | None]


@dataclass(frozen=True)
class History:
    """History of a site: all tracked events and their observations."""

    events: tuple[Event, ...]  # by id
    observations: tuple[Observation, ...]  # by event, then date


class EventTracker:
    """Tracker of events, fed with steps in order of date."""

    def __init__(self, rules: ConfirmSection, recheck: Recheck, area_of: AreaOf) -> None:
        self._rules = rules
        self._recheck = recheck
        self._area_of = area_of
        self._tracks: list[Track] = []
        self._observations: list[Observation] = []
        self._merged_ids: dict[str, list[str]] = {}  # ids that merged into an event on the current date

    def add_step(self, step: Step) -> None:
        """Add the step of one date to the tracked history."""
        followed = self.followed_tracks(step.scene.taken)
        self._merged_ids = {}
        for track in self._tracks:
            track.hidden = False  # events that are no longer followed keep their status
        if step.scene.clouded:
            for track in followed:
                self._record_unobserved(track, step, None)
            return
        evidence = {
            track.id: self._recheck(track.first, step, track.core, track.extent) for track in followed
        }
        grown = self._assign_regions(step, followed, evidence)
        for track in followed:
            if track.id in grown:
                evidence[track.id] = self._recheck(track.first, step, track.core, track.extent)
            self._observe_event(track, step, evidence[track.id])

    def history(self) -> History:
        """Events and observations tracked so far."""
        events = sorted((track.as_event(self._area_of) for track in self._tracks), key=lambda event: event.id)
        observations = sorted(self._observations, key=lambda each: (each.event, each.taken, each.scene))
        return History(tuple(events), tuple(observations))

    @property
    def open_tracks(self) -> list[Track]:
        """Tracked events that are neither resolved nor merged."""
        return [track for track in self._tracks if track.is_open]

    def followed_tracks(self, taken: datetime) -> list[Track]:
        """Open tracks whose events are young enough to be followed at a moment."""
        days = self._rules.follow_days
        return [
            track
            for track in self.open_tracks
            if days is None or taken - track.first.scene.taken <= timedelta(days=days)
        ]

    def _assign_regions(
        self, step: Step, followed: Sequence[Track], evidence: dict[str, Evidence | None]
    ) -> set[str]:
        """Assign each region to the events it belongs to, or start a new one; returns ids of grown events."""
        present = [
            track
            for track in self._tracks
            if track.is_open and (track not in followed or _event_seen(evidence[track.id]) is not False)
        ]
        gone = [track for track in self._tracks if track.merged_into is None and track not in present]
        grown: set[str] = set()
        for region in step.regions:
            owners = [track for track in present if belongs(region.geometry, track.extent)]
            if owners:
                oldest = min(owners, key=lambda track: track.age_key)
                if not oldest.extent.covers(region.geometry):
                    oldest.extent = oldest.extent.union(region.geometry)
                    grown.add(oldest.id)
                for other in owners:
                    if other is not oldest and _events_seen(evidence, oldest, other):
                        self._merge(oldest, other)
                        grown.add(oldest.id)
                        present.remove(other)
            elif not self._is_return(region, step, gone):
                self._start_event(region, step, gone)
        return grown

    def _is_return(self, region: Region, step: Step, gone: Sequence[Track]) -> bool:
        """True if a region is the return to the state before an earlier event."""
        for track in reversed(gone):
            if belongs(region.geometry, track.extent):
                there = self._recheck(track.first, step, region.geometry, region.geometry)
                if _event_seen(there) is False:
                    return True
        return False

    def _start_event(self, region: Region, step: Step, gone: Sequence[Track]) -> None:
        """Start an event with a region of a step."""
        geometry = shapely.MultiPolygon(list(shapely.get_parts(region.geometry)))
        digest = hashlib.sha256(shapely.to_wkb(shapely.normalize(geometry))).hexdigest()[:8]
        before = [track for track in gone if belongs(region.geometry, track.extent)]
        track = Track(
            id=f"{step.scene.taken:%Y%m%d}-{digest}",
            first=step,
            core=geometry,
            extent=geometry,
            shape=geometry,
            probability=region.probability,
            recent=deque([True], maxlen=self._rules.of),
            follows=before[-1].id if before else None,
            kind=region.kind,
        )
        self._tracks.append(track)
        if self._rules.seen == 1:
            track.confirmed_on = step.scene.taken
        against = step.baseline.name if step.baseline is not None else ""
        whole = Evidence(1.0, 1.0, region.probability, geometry, against)
        self._record_observation(track, step, True, whole, "")

    def _merge(self, oldest: Track, other: Track) -> None:
        """Merge an event into an older one."""
        oldest.core = _event_multipolygon([oldest.core, other.core])
        oldest.extent = oldest.extent.union(other.extent)
        other.merged_into = oldest.id
        self._merged_ids.setdefault(oldest.id, []).append(other.id)

    def _observe_event(self, track: Track, step: Step, evidence: Evidence | None) -> None:
        """Update an event's counts, shape and status by the evidence of a step."""
        seen = _event_seen(evidence)
        if seen is None or evidence is None:
            if track.merged_into is None:
                self._record_unobserved(track, step, evidence)
            return
        track.valid += 1
        track.recent.append(seen)
        track.missed = 0 if seen else track.missed + 1
        relation = f"merged into {track.merged_into}" if track.merged_into else ""
        if track.id in self._merged_ids:
            relation = f"merged with {', '.join(self._merged_ids[track.id])}"
        if seen:
            shape = _event_multipolygon([evidence.geometry])
            parts = len(shape.geoms)
            if parts > len(track.shape.geoms) and not relation:
                relation = f"split into {parts} parts"
            track.shape, track.probability = shape, evidence.probability_mean
            track.seen, track.last_seen = track.seen + 1, step.scene.taken
            if track.confirmed_on is None and sum(track.recent) >= self._rules.seen:
                track.confirmed_on = step.scene.taken
        elif track.missed >= self._rules.resolve_after:
            track.resolved_on = step.scene.taken
        self._record_observation(track, step, seen, evidence, relation)

    def _record_unobserved(self, track: Track, step: Step, evidence: Evidence | None) -> None:
        """Record that an event could not be observed in a step."""
        track.hidden = True
        self._record_observation(track, step, None, evidence, "")

    def _record_observation(
        self, track: Track, step: Step, seen: bool | None, evidence: Evidence | None, relation: str
    ) -> None:
        """Append the observation of an event in a step."""
        valid = evidence is not None and seen is not None
        self._observations.append(
            Observation(
                event=track.id,
                scene=step.scene.id,
                taken=step.scene.taken,
                baseline="" if evidence is None else evidence.baseline,
                seen=seen,
                observed_share=0.0 if evidence is None else evidence.observed_share,
                changed_share=evidence.changed_share if valid and evidence else None,
                probability_mean=evidence.probability_mean if valid and evidence else None,
                geometry=track.shape,
                area_m2=self._area_of(track.shape) if seen else None,
                parts=len(track.shape.geoms) if seen else 0,
                status=track.status,
                relation=relation,
            )
        )


def _event_seen(evidence: Evidence | None) -> bool | None:
    """Tracking rule: True if the event is present in the evidence; None = not a valid observation."""
    if evidence is None or evidence.observed_share < LEAST_OBSERVED:
        return None
    return evidence.changed_share >= LEAST_CHANGED


def _events_seen(evidence: dict[str, Evidence | None], one: Track, other: Track) -> bool:
    """Tracking rule: True if two events are both present in a step's evidence."""
    return bool(_event_seen(evidence.get(one.id)) and _event_seen(evidence.get(other.id)))


def _event_multipolygon(areas: Iterable[Any]) -> Any:
    """Union of a tracked event's areas as a normalized MultiPolygon."""
    union = shapely.union_all(list(areas))
    parts = [part for part in shapely.get_parts(union) if part.geom_type == "Polygon"]
    return shapely.normalize(shapely.MultiPolygon(parts))
