"""Rivers and ponds: water that follows the ground and not the plots, and its floods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.canvas import Canvas, Cover, Texture
from rsdetect.simulate.materials import RANGES
from rsdetect.simulate.noise import Float32Array, Frame, rough, smooth

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Waters:
    """What a world's free water is drawn from; one a scene."""

    river_m: float  # distance between rivers, 0 = none
    width_m: float  # of the rivers
    pond_m: float  # size of ponds and their basins, 0 = none
    level: float  # in standard deviations of the ground: higher = fewer ponds
    flood: float  # share of the ground where the water rose or fell

    @staticmethod
    def draw(change: float, district_m: float, gsd_m: float, rng: np.random.Generator) -> Waters:
        """The waters of a world; four in ten have a river, a third have ponds."""
        river, pond = rng.random() < 0.4, rng.random() < 0.35
        return Waters(
            river_m=float(rng.uniform(2.5, 6)) * district_m * river,
            width_m=max(float(np.exp(rng.uniform(np.log(6), np.log(90)))), 1.5 * gsd_m),
            pond_m=float(rng.uniform(0.25, 0.9)) * district_m * pond,
            level=float(rng.uniform(1.5, 2.4)),
            flood=min(0.5, (0.4 if gsd_m < 3 else 1.2) * change),
        )


def lay_water(waters: Waters, frame: Frame) -> tuple[list[BoolArray], BoolArray]:
    """Where water stands before and after, and the banks on which nothing is built; (height, width)."""
    shape = (frame.height, frame.width)
    depth = np.full(shape, -9.0, dtype=np.float32)  # in widths of the bank below the water line
    if waters.river_m:
        course = rough(frame, 161, waters.river_m, 3, 0.3)
        # Noise of scale s has a slope of about 2.2 / s: from noise to metres.
        metres = np.abs(course) * np.float32(waters.river_m / 2.2)
        depth = (waters.width_m / 2 - metres) / np.float32(max(0.35 * waters.width_m, 12.0))
    if waters.pond_m:
        hollow = rough(frame, 171, waters.pond_m, 3, 0.4)
        depth = np.maximum(depth, (hollow - np.float32(waters.level)) * 3)
    dry = np.zeros(shape, dtype=np.bool_)
    if not (waters.river_m or waters.pond_m):
        return [dry, dry], dry
    swell = np.zeros(shape, dtype=np.float32)
    if waters.flood > 0:
        where = smooth(frame, 181, 2.0 * max(waters.river_m, waters.pond_m, 1.0) ** 0.9)
        # Half of what changes rose, half fell.
        rise = np.clip((np.abs(where) - np.float32(1.7 - 2 * waters.flood)) * 2, 0, 1)
        swell = np.sign(where) * rise * np.float32(1.5)
    after = depth + swell
    return [depth > 0, after > 0], np.maximum(depth, after) > -1


def paint_water(canvas: Canvas, water: BoolArray, bank: BoolArray, texture: Texture) -> None:
    """Paint the water of one date, and grass and trees on its banks."""
    at = np.flatnonzero(bank & ~water)
    t = texture.at(at)
    soil = np.full(1, RANGES["soil"][0] + 1, dtype=np.uint8)
    grass = np.full(1, RANGES["grass"][0] + 1, dtype=np.uint8)
    canvas.paint(
        at, soil, grass, 0.6 + 0.2 * t.patch + 0.15 * t.fine, 1 + 0.08 * t.fine + 0.08 * t.grain, Cover.OPEN
    )
    canvas.height_m.reshape(-1)[at] = 0
    canvas.trees.reshape(-1)[at] = 0.35
    at = np.flatnonzero(water)
    t = texture.at(at)
    clear = np.full(1, RANGES["water"][0] + 1, dtype=np.uint8)
    mud = np.full(1, RANGES["mud_water"][0] + 1, dtype=np.uint8)
    shade: Float32Array = 1 + 0.06 * t.broad + 0.015 * t.fine + 0.015 * t.grain
    canvas.paint(at, clear, mud, 0.3 + 0.2 * t.broad, shade, Cover.WATER)
    canvas.height_m.reshape(-1)[at] = 0
    canvas.trees.reshape(-1)[at] = 0
