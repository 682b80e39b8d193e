"""Roads between districts, and vehicles on roads, streets and car parks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, IndexArray, UInt8Array, UInt32Array
from rsdetect.simulation.canvas import Canvas, Cover, Texture
from rsdetect.simulation.ground.districts import ROADLESS, Districts
from rsdetect.simulation.ground.land import Land, Use
from rsdetect.simulation.ground.patch import Numbers, line
from rsdetect.simulation.ground.plots import Plots
from rsdetect.simulation.materials import RANGES
from rsdetect.simulation.noise import Frame, hashed, uniform
from rsdetect.simulation.salts import Salt
from rsdetect.simulation.spec import ChangeKind

_WIDEST_M = 18.0
_PAVED = 0.5  # roads of a lower rank are tracks
_CAR_M = (5.2, 2.1)  # length of a vehicle's parking place, and its width
_SLOT_M, _AISLE_M = 2.6, 17.0  # of car parks: width of a slot, from one aisle to the next
_SEEN_M = 1.6  # vehicles are not drawn in larger pixels


@dataclass(frozen=True)
class _Traffic:
    """Traffic density of the roads: share of occupied places, and the salts to draw them."""

    share: float
    taken: Salt
    tone: Salt


_ON_ROAD = _Traffic(0.06, Salt.VEHICLE_ON_ROAD, Salt.VEHICLE_TONE_ON_ROAD)
_ON_STREET = _Traffic(0.12, Salt.VEHICLE_ON_STREET, Salt.VEHICLE_TONE_ON_STREET)
_IN_PARK = _Traffic(0.55, Salt.VEHICLE_IN_PARK, Salt.VEHICLE_TONE_IN_PARK)


class Roads:
    """Roads on the district borders of a frame: the pixels that they may cover, by date."""

    def __init__(self, districts: Districts, change: float, frame: Frame) -> None:
        widest = max(_WIDEST_M, 1.6 * frame.gsd_m)
        self.at: IndexArray = np.flatnonzero(districts.border_m < widest)
        self.rank = rank = districts.rank.ravel()[self.at]
        steps = [rank < ROADLESS, rank < _PAVED, rank < 0.85, rank < 0.95]
        self.width_m = np.select(steps, [0.0, 3.5, 6.5, 11.0], 17.0).astype(np.float32)
        if frame.gsd_m > 5:  # a lane far narrower than a pixel appears as a faint line, one pixel wide
            self.width_m = np.where(self.width_m > 5, np.maximum(self.width_m, 1.05 * frame.gsd_m), 0)
        self.rail = (rank > 0.88) & (rank < 0.92)
        renewed = districts.renewed.ravel()[self.at]
        self.key: UInt32Array = (renewed * np.float32(2**24)).astype(np.uint32)  # one per road
        self.new = renewed < min(0.5, (0.7 if frame.gsd_m < 3 else 1.6) * change)
        self.across_m = districts.border_m.ravel()[self.at]
        self.along_m = districts.along_m.ravel()[self.at]

    def clear_of(self, border_m: NDArray[np.floating]) -> BoolArray:
        """Pixels clear of roads, where buildings are allowed; (height, width)."""
        clear = np.ones(border_m.shape, dtype=np.bool_)
        clear.reshape(-1)[self.at] = self.across_m > self.width_m / 2 + 2.5
        return clear

    def on(self, date: int) -> BoolArray:
        """Mask of the pixels `at` that lie on a road on `date`."""
        there = self.across_m < self.width_m / 2
        return np.asarray(there if date else there & ~self.new)

    def mark(self, kind: NDArray[np.integer]) -> None:
        """Mark new roads in the kinds of change (height, width); old roads are no change."""
        flat = kind.reshape(-1)
        flat[self.at[self.on(0)]] = ChangeKind.NONE
        flat[self.at[self.on(1) & ~self.on(0)]] = ChangeKind.ROAD

    def paint(self, canvas: Canvas, texture: Texture, date: int, gsd_m: float) -> None:
        """Paint the roads: carriageway, markings and verge."""
        on = self.on(date)
        verge = ~on & (self.across_m < self.width_m / 2 + 2.5) & (self.width_m > 0)
        if not date:
            verge &= ~self.new
        canvas.trees.reshape(-1)[self.at[on | verge]] = 0
        at = self.at[on]
        track, across = self.rank[on] < _PAVED, self.across_m[on]
        t = texture.at(at)
        rail = self.rail[on]
        asphalt, variants = RANGES["asphalt"]
        # Resurfacing of some roads is no change.
        road = self.key[on]
        renewed = uniform(0, Salt.ROAD_RESURFACED, road) < 0.29
        surface = hashed(0, Salt.ROAD_SURFACE, road, renewed & (date > 0)) % np.uint32(variants)
        row = np.where(track | rail, RANGES["gravel"][0] + rail, asphalt + surface).astype(np.uint8)
        dashed = line(self.along_m[on], 12.0, 5.0, gsd_m) * (across < max(0.15, gsd_m / 2))
        sides = np.abs(across - (self.width_m[on] / 2 - 0.6)) < max(0.1, gsd_m / 2)
        rails = np.minimum(np.abs(across - 1.2), np.abs(across - 2.7)) < max(0.12, gsd_m / 2)
        marks = np.where(track | rail, 0, 0.55 * min(1.0, 0.25 / gsd_m) * (dashed + 0.7 * sides))
        shade = 1 + 0.04 * t.patch + 0.04 * t.fine + 0.02 * t.grain + 0.07 * t.leaves
        shade *= np.where(rail, 0.75 - 0.35 * rails * min(1.0, 0.25 / gsd_m), 1.0)
        paint_row = np.full(1, RANGES["paint"][0], dtype=np.uint8)
        canvas.paint(at, row, paint_row, marks.astype(np.float32), shade, Cover.PAVED)
        canvas.height_m.reshape(-1)[at] = 0

    def paint_vehicles(self, canvas: Canvas, frame: Frame, date: int) -> None:
        """Paint vehicles on the lanes of roads, independent on each date."""
        on = self.on(date) & (self.width_m > 5) & ~self.rail
        lane = np.floor(self.across_m[on] / 3.2)
        in_lane = self.across_m[on] - lane * 3.2 - 1.6
        _paint_vehicles_in_places(
            canvas, frame, self.at[on], (self.along_m[on], in_lane), lane, _ON_ROAD, date
        )
        self._paint_trains(canvas, frame, date)

    def _paint_trains(self, canvas: Canvas, frame: Frame, date: int) -> None:
        """Paint trains on the rails: coaches of one colour in a row."""
        if frame.gsd_m > _SEEN_M:
            return
        place = np.floor(self.along_m / 160)
        drawn = uniform(frame.seed, Salt.TRAIN, place, self.key, part=date)
        train = self.on(date) & self.rail & (np.abs(self.across_m - 1.95) < 1.5) & (drawn < 0.3)
        train &= np.mod(self.along_m, 20.0) > 0.8
        at, (start, count) = self.at[train], RANGES["car"]
        row = (start + np.floor(drawn[train] / 0.3 * count).clip(0, count - 1)).astype(np.uint8)
        canvas.paint(at, row, row, np.zeros(1, np.float32), np.ones(1, np.float32), Cover.PAVED)
        canvas.height_m.reshape(-1)[at] = 3.6


def park_vehicles(canvas: Canvas, plots: Plots, use: UInt8Array, frame: Frame, date: int) -> None:
    """Paint parked vehicles along roads, streets and in car parks that are not built over or flooded."""
    if frame.gsd_m > _SEEN_M:
        return
    paved = canvas.cover == Cover.PAVED
    streets = np.flatnonzero(plots.street & (plots.land >= Land.SUBURB) & paved)
    across, run = plots.street_m.ravel()[streets], plots.run_m.ravel()[streets]
    _paint_vehicles_in_places(
        canvas, frame, streets, (run, np.abs(across) - 2.4), np.sign(across), _ON_STREET, date
    )

    # Two rows of slots on either side of each aisle.
    slots = np.flatnonzero((use == Use.PARKING) & paved)
    away = np.mod(plots.away_m.ravel()[slots], _AISLE_M)
    slots, away = slots[away < 2 * _CAR_M[0]], away[away < 2 * _CAR_M[0]]
    slot = np.floor(plots.along_m.ravel()[slots] / _SLOT_M)
    beside = plots.along_m.ravel()[slots] - (slot + 0.5) * _SLOT_M
    _paint_vehicles_in_places(canvas, frame, slots, (away, beside), slot, _IN_PARK, date)


def _paint_vehicles_in_places(
    canvas: Canvas,
    frame: Frame,
    at: IndexArray,
    place: tuple[Numbers, Numbers],
    lane: Numbers,
    traffic: _Traffic,
    date: int,
) -> None:
    """Paint vehicles on roads or car parks where a place is occupied.

    Parameters
    ----------
    place
        (along, across) metres: along the vehicle from any origin, across it from its middle.
    lane
        Integer of the row of places; all rows of one number have the same vehicles.
    """
    if not at.size or frame.gsd_m > _SEEN_M:
        return
    along, across = place
    length, width = _CAR_M
    number = np.floor(along / length)
    within = np.abs(along - (number + 0.5) * length)
    taken = uniform(frame.seed, traffic.taken, number, lane, part=date) < traffic.share
    car = taken & (within < 2.2) & (np.abs(across) < width / 2)
    at, tone = at[car], uniform(frame.seed, traffic.tone, number, lane, part=date)[car]
    start, count = RANGES["car"]
    row = (start + np.minimum(tone * count, count - 1)).astype(np.uint8)
    shade = np.where(within[car] < 1.0, np.float32(1.15), np.float32(0.9))
    canvas.paint(at, row, row, np.zeros(1, np.float32), shade, Cover.PAVED)
    canvas.height_m.reshape(-1)[at] = 1.4
