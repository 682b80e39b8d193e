"""From what each date showed to events: one rule, played from the first date to the last.

The history is a function of the steps and of nothing else: no state is carried from run to run. So a run of n
scenes is n runs of one, and a scene that arrives late is simply played in its place.

What the words mean, under every baseline policy:

- A comparison with the job's baseline finds what is *new*. Whether an event is *still there* is asked of the
  ground before the event: the scene is compared with the baseline that the policy gives among the scenes
  before the one that showed the event first. Against the previous scene a lasting change is seen once and
  never again; against the ground before it, it is seen on every date until it is gone.
- An event is judged by the ground on which it was first seen. A date is a *valid observation* of it when at
  least half of that ground was observed on both dates. It is *seen* when at least half of what was observed
  is changed. A cloud is no evidence against it, nor for it.
- *Confirmed*: seen in k of its last n valid observations. *Resolved*: not seen in so many valid observations
  in a row. *Unobserved*: open, and the latest scene was no valid observation.
- A new region belongs to an open event when it covers a quarter of the smaller of the two, or shares an
  eighth of the shorter outline, and neither is ten times the other: it grew. When a region belongs to
  several, they *merge* into the oldest. When what is seen of an event falls into several parts it stays one
  event, and the *split* is recorded.
- The end of an event is a change too: the water goes. A region on the ground of an event that is not seen, or
  resolved, is new only when the ground differs there from what it was before that event.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import shapely

from rsdetect.monitoring.comparison import Region, Step
from rsdetect.monitoring.events import Event, Observation
from rsdetect.monitoring.job import ConfirmSection
from rsdetect.monitoring.recheck import Evidence
from rsdetect.monitoring.tracks import Track, belongs

LEAST_OBSERVED = 0.5  # share of an event's first ground that makes a date a valid observation of it
LEAST_CHANGED = 0.5  # share of what was observed that makes the event seen

# (the event's first step, the step that is looked at, core, extent) -> what is there; None = the ground
# before the event is not known any more.
Look = Callable[[Step, Step, Any, Any], Evidence | None]
AreaOf = Callable[[Any], float | None]


@dataclass(frozen=True)
class History:
    """All events and observations of a job."""

    events: tuple[Event, ...]  # by id
    observations: tuple[Observation, ...]  # by event, then date


class Player:
    """Plays steps in the order of their dates."""

    def __init__(self, rules: ConfirmSection, look: Look, area_of: AreaOf) -> None:
        self._rules = rules
        self._look = look
        self._area_of = area_of
        self._tracks: list[Track] = []
        self._observations: list[Observation] = []
        self._joined: dict[str, list[str]] = {}  # ids that merged into an event on the date being played

    def play(self, step: Step) -> None:
        """Take one date into the history."""
        followed = [track for track in self._tracks if track.is_open and self._follows(track, step)]
        self._joined = {}
        for track in self._tracks:
            track.hidden = False  # of one that is no longer followed, what was known stays
        if step.scene.clouded:
            for track in followed:
                self._note_hidden(track, step, None)
            return
        evidence = {track.id: self._look(track.first, step, track.core, track.extent) for track in followed}
        grown = self._share_out(step, followed, evidence)
        for track in followed:
            if track.id in grown:
                evidence[track.id] = self._look(track.first, step, track.core, track.extent)
            self._judge(track, step, evidence[track.id])

    def history(self) -> History:
        """What was found so far."""
        events = sorted((track.as_event(self._area_of) for track in self._tracks), key=lambda event: event.id)
        observations = sorted(self._observations, key=lambda each: (each.event, each.taken, each.scene))
        return History(tuple(events), tuple(observations))

    @property
    def open_tracks(self) -> list[Track]:
        """The events that are neither resolved nor merged."""
        return [track for track in self._tracks if track.is_open]

    def _follows(self, track: Track, step: Step) -> bool:
        days = self._rules.follow_days
        return days is None or step.scene.taken - track.first.scene.taken <= timedelta(days=days)

    def _share_out(
        self, step: Step, followed: Sequence[Track], evidence: dict[str, Evidence | None]
    ) -> set[str]:
        """Give each region to the events that it belongs to, or begin a new one; ids of those that grew."""
        present = [
            track
            for track in self._tracks
            if track.is_open and (track not in followed or _is_seen(evidence[track.id]) is not False)
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
                    if other is not oldest and _both_seen(evidence, oldest, other):
                        self._merge(oldest, other)
                        grown.add(oldest.id)
                        present.remove(other)
            elif not self._is_ending(region, step, gone):
                self._begin(region, step, gone)
        return grown

    def _is_ending(self, region: Region, step: Step, gone: Sequence[Track]) -> bool:
        """True when the ground is as it was before an event that was here."""
        for track in reversed(gone):
            if belongs(region.geometry, track.extent):
                there = self._look(track.first, step, region.geometry, region.geometry)
                if _is_seen(there) is False:
                    return True
        return False

    def _begin(self, region: Region, step: Step, gone: Sequence[Track]) -> None:
        geometry = shapely.MultiPolygon([region.geometry])
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
        )
        self._tracks.append(track)
        if self._rules.seen == 1:
            track.confirmed_on = step.scene.taken
        against = step.baseline.name if step.baseline is not None else ""
        whole = Evidence(1.0, 1.0, region.probability, geometry, against)
        self._note(track, step, True, whole, "")

    def _merge(self, oldest: Track, other: Track) -> None:
        oldest.core = _multi([oldest.core, other.core])
        oldest.extent = oldest.extent.union(other.extent)
        other.merged_into = oldest.id
        self._joined.setdefault(oldest.id, []).append(other.id)

    def _judge(self, track: Track, step: Step, evidence: Evidence | None) -> None:
        seen = _is_seen(evidence)
        if seen is None or evidence is None:
            if track.merged_into is None:
                self._note_hidden(track, step, evidence)
            return
        track.valid += 1
        track.recent.append(seen)
        track.missed = 0 if seen else track.missed + 1
        relation = f"merged into {track.merged_into}" if track.merged_into else ""
        if track.id in self._joined:
            relation = f"merged with {', '.join(self._joined[track.id])}"
        if seen:
            shape = _multi([evidence.geometry])
            parts = len(shape.geoms)
            if parts > len(track.shape.geoms) and not relation:
                relation = f"split into {parts} parts"
            track.shape, track.probability = shape, evidence.probability_mean
            track.seen, track.last_seen = track.seen + 1, step.scene.taken
            if track.confirmed_on is None and sum(track.recent) >= self._rules.seen:
                track.confirmed_on = step.scene.taken
        elif track.missed >= self._rules.resolve_after:
            track.resolved_on = step.scene.taken
        self._note(track, step, seen, evidence, relation)

    def _note_hidden(self, track: Track, step: Step, evidence: Evidence | None) -> None:
        track.hidden = True
        self._note(track, step, None, evidence, "")

    def _note(
        self, track: Track, step: Step, seen: bool | None, evidence: Evidence | None, relation: str
    ) -> None:
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


def _is_seen(evidence: Evidence | None) -> bool | None:
    """Is the event there? None = this date is no valid observation of it."""
    if evidence is None or evidence.observed_share < LEAST_OBSERVED:
        return None
    return evidence.changed_share >= LEAST_CHANGED


def _both_seen(evidence: dict[str, Evidence | None], one: Track, other: Track) -> bool:
    return bool(_is_seen(evidence.get(one.id)) and _is_seen(evidence.get(other.id)))


def _multi(areas: Iterable[Any]) -> Any:
    """The union as a normalised MultiPolygon."""
    union = shapely.union_all(list(areas))
    parts = [part for part in shapely.get_parts(union) if part.geom_type == "Polygon"]
    return shapely.normalize(shapely.MultiPolygon(parts))
