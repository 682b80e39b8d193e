"""Weather on the ground: wet patches and patches of snow."""

from __future__ import annotations

import numpy as np

from rsdetect.simulation.canvas import Canvas, Cover
from rsdetect.simulation.materials import RANGES
from rsdetect.simulation.noise import Frame, rough, uniform
from rsdetect.simulation.salts import Salt


def paint_weather(canvas: Canvas, frame: Frame, date: int) -> None:
    """Paint the weather: wet patches on one date in six, snow on one in thirty; neither is a change."""
    chance, part = (float(uniform(frame.seed, salt, date)[0]) for salt in (Salt.WEATHER, Salt.WEATHER_EXTENT))
    ground = (canvas.cover == Cover.OPEN) | (canvas.cover == Cover.PAVED)
    if chance < 0.17:
        wet = rough(frame, Salt.WET_PATCHES, max(60.0, 15 * frame.gsd_m), 4, part=date) > 0.3 + 1.5 * part
        canvas.shade[:] *= np.where(wet & ground, np.float32(0.68), np.float32(1))
    elif chance > 0.967:
        lies = rough(frame, Salt.SNOW_PATCHES, max(40.0, 12 * frame.gsd_m), 4, part=date) > 1.5 - 3 * part
        lies &= ground & (canvas.height_m < 1.5)
        start = RANGES["snow"][0]
        canvas.first[lies] = start
        canvas.second[lies] = start + 1
        canvas.shade[lies] = 0.85 + 0.15 * np.clip(canvas.shade[lies], 0.5, 1.3)
