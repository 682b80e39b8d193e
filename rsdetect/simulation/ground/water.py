"""Water: rivers and ponds that follow the ground and not the plots, their floods and changing levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.simulation.canvas import Canvas, Cover, Texture
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import cos_turns, power, sin_turns
from rsdetect.simulation.ground.patch import palette_row
from rsdetect.simulation.noise import Frame, rough, smooth, uniform
from rsdetect.simulation.salts import Salt


@dataclass(frozen=True)
class Waters:
    """Parameters of the rivers and ponds of one scene."""

    river_m: float  # distance between rivers, 0 = none
    width_m: float  # of the rivers
    pond_m: float  # size of ponds and their basins, 0 = none
    level: float  # in standard deviations of the ground: higher = fewer ponds
    flood: float  # share of the ground where the water level changed
    tide_m: tuple[float, float]  # by date: displacement of the water line from its mean, on the bank

    @staticmethod
    def draw(change: float, district_m: float, gsd_m: float, rng: Draws) -> Waters:
        """Parameters of the waters of a scene, drawn; a third have ponds, and most large scenes a river."""
        river, pond = rng.random() < (0.35 if gsd_m < 5 else 0.65), rng.random() < 0.35
        share = 0.4 if gsd_m < 3 else 1.2
        return Waters(
            river_m=float(rng.uniform(2.5, 6)) * district_m * river,
            width_m=max(rng.log_uniform(6, 90), 1.5 * gsd_m),
            pond_m=float(rng.uniform(0.25, 0.9)) * district_m * pond,
            level=float(rng.uniform(1.2, 2.4)),
            flood=min(0.5, share * change),
            tide_m=(rng.normal(0, 2.0), rng.normal(0, 2.0)),
        )


@dataclass(frozen=True)
class Shores:
    """Shores: masks of the water and its banks; (height, width)."""

    lying: tuple[BoolArray, BoolArray]  # by date: covered at the mean level
    seen: tuple[BoolArray, BoolArray]  # by date: covered on the acquisition date
    bank: BoolArray  # nothing is built here
    dry: BoolArray  # part of the bank, high enough for trees


def map_water(waters: Waters, frame: Frame) -> Shores:
    """Map the water and its banks before and after."""
    shape = (frame.height, frame.width)
    nowhere = np.zeros(shape, dtype=np.bool_)
    if not (waters.river_m or waters.pond_m):
        return Shores((nowhere, nowhere), (nowhere, nowhere), nowhere, nowhere)
    depth = np.full(shape, -9.0, dtype=np.float32)  # in bank widths below the water line
    bank_m = max(0.35 * waters.width_m, 12.0)
    if waters.river_m:
        course = rough(frame, Salt.RIVER, waters.river_m, 3, 0.3)
        # Noise of scale s has a slope of about 2.2 / s: from noise to metres.
        metres = np.abs(course) * np.float32(waters.river_m / 2.2)
        depth = (waters.width_m / 2 - metres) / np.float32(bank_m)
    if waters.pond_m:
        hollow = rough(frame, Salt.POND, waters.pond_m, 4, 0.45)
        depth = np.maximum(depth, (hollow - np.float32(waters.level)) * 3)
    swell = np.zeros(shape, dtype=np.float32)
    if waters.flood > 0:
        where = smooth(frame, Salt.FLOOD, 2.0 * power(max(waters.river_m, waters.pond_m, 1.0), 0.9))
        # Half of the changes rise, half fall.
        rise = 1.5 * np.clip((np.abs(where) - np.float32(1.7 - 2 * waters.flood)) * 2, 0, 1)
        # A few metres, or a pixel, are normal variation.
        rise *= rise * bank_m > max(8.0, 2 * frame.gsd_m)
        swell = (np.sign(where) * rise).astype(np.float32)
    after = depth + swell
    tide = [np.float32(metres / bank_m) for metres in waters.tide_m]
    top = np.maximum(depth, after)
    return Shores(
        (depth > 0, after > 0),
        (depth + tide[0] > 0, after + tide[1] > 0),
        top > -1,
        (top > -1) & (top < -0.35),
    )


def paint_water(canvas: Canvas, shores: Shores, date: int, texture: Texture, frame: Frame) -> None:
    """Paint the water of one date, the strip between levels, and the vegetation on its banks.

    The cover uses the mean level: a water line that moves by a few metres is no change.
    """
    lying, seen = shores.lying[date], shores.seen[date]
    bank = np.flatnonzero(shores.bank & ~lying & ~seen)
    t = texture.at(bank)
    mix = 0.6 + 0.2 * t.patch + 0.15 * t.fine + 0.15 * t.leaves
    soil, grass = palette_row("soil", np.full(1, 0.2)), palette_row("grass", np.full(1, 0.2))
    canvas.paint(bank, soil, grass, mix, 1 + 0.08 * t.fine + 0.08 * t.grain, Cover.OPEN)
    bared = np.flatnonzero(lying & ~seen)
    t = texture.at(bared)
    shade = 0.75 + 0.1 * t.patch + 0.06 * t.fine
    canvas.paint(bared, soil, palette_row("sand"), 0.3 + 0.2 * t.patch, shade, Cover.WATER)
    for cover, where in ((Cover.WATER, seen & lying), (Cover.OPEN, seen & ~lying)):
        at = np.flatnonzero(where)
        t = texture.at(at)
        clear, mud = palette_row("water", np.full(1, 0.3)), palette_row("mud_water")
        # On some dates wind roughens the surface, with sun glint on the waves.
        draw = float(uniform(frame.seed, Salt.WIND, date)[0])
        wind = draw * draw * draw
        waves: Float32Array = (0.015 + 0.22 * wind) * (
            t.fine + 0.3 * t.grain + 0.3 * t.patch
        ) + 0.06 * t.broad
        canvas.paint(at, clear, mud, 0.3 + 0.2 * t.broad, np.clip(1 + waves, 0.4, 3), cover)
    _paint_ships(canvas, seen & lying, frame, date)
    wet = shores.bank | lying | seen
    canvas.height_m[wet] = 0
    canvas.trees[wet] = 0
    canvas.trees[shores.dry] = 0.35


def _paint_ships(canvas: Canvas, water: BoolArray, frame: Frame, date: int) -> None:
    """Paint boats and ships on the water, independent on each date."""
    cell = 45.0
    if frame.gsd_m > 3 or not water.any():
        return
    row, col = np.floor(frame.y_m / cell), np.floor(frame.x_m / cell)
    draws = [
        uniform(frame.seed, salt, row, col, part=date)
        for salt in (Salt.SHIP_TURN, Salt.SHIP_LENGTH, Salt.SHIP)
    ]
    south, east = frame.y_m - (row + 0.5) * cell, frame.x_m - (col + 0.5) * cell
    sin, cos = sin_turns(draws[0] / 2), cos_turns(draws[0] / 2)
    ahead, aside = east * cos + south * sin, south * cos - east * sin
    half = 3 + 17 * draws[1] * draws[1]
    width = 0.22 * half * np.sqrt(np.clip(1 - np.square(ahead / half), 0, 1))
    hull = (np.abs(aside) < width) & (draws[2] < 0.07)
    at = np.flatnonzero(hull & water)
    lot = draws[2].ravel()[at] / 0.07
    colour = palette_row("car", lot)
    canvas.paint(at, colour, colour, np.zeros(1, np.float32), np.full(1, 1.1, np.float32), Cover.WATER)
