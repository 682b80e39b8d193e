"""What terrain and weather do to the ground's brightness: hill shade, wet patches, lying snow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import Float32Array, UInt8Array
from rsdetect.simulation.canvas import Canvas, Cover
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.ground.land import URBAN, Land
from rsdetect.simulation.imaging.look import Look
from rsdetect.simulation.materials import RANGES
from rsdetect.simulation.noise import Frame, rough, smooth, uniform
from rsdetect.simulation.salts import Salt

# How much of the hills each kind of land lies on: towns and fields keep to the flat.
_STEEP = np.full(len(Land), 1.0, dtype=np.float32)
_STEEP[[int(land) for land in URBAN]] = 0.2
_STEEP[Land.FARM], _STEEP[Land.LAKE] = 0.5, 0.0


@dataclass(frozen=True)
class Relief:
    """The hills of a world; one a scene."""

    scale_m: float  # distance between ridges
    slope: float  # usual slope, 0 = flat
    ridged: bool  # sharp crests and gullies, not round hills

    @staticmethod
    def draw(gsd_m: float, rng: Draws) -> Relief:
        """The hills of a world; half of the worlds are flat."""
        scale = max(rng.log_uniform(60, 1500), 9 * gsd_m)
        hilly = rng.random() < 0.5
        # Plots and houses are laid on gentle ground; coarse scenes look at mountains too.
        steep = 0.11 if gsd_m < 5 else 0.22
        return Relief(scale, rng.gamma(1.5, steep) * hilly, rng.random() < 0.5)


def shade_hills(canvas: Canvas, relief: Relief, land: UInt8Array, frame: Frame, look: Look) -> None:
    """Brighten slopes that face the sun and darken those that turn away; Lambert's cosine law."""
    if relief.slope < 0.03:
        return
    reach = 0.06 * relief.scale_m
    ahead = _height(relief, frame, (look.sun[0] * reach, look.sun[1] * reach))
    behind = _height(relief, frame, (-look.sun[0] * reach, -look.sun[1] * reach))
    # Noise of scale s rises by about 2.2 / s a metre; the sun stands towards `ahead`.
    rise = (ahead - behind) * np.float32(relief.scale_m / (2 * reach * 2.2) * relief.slope)
    steep = _STEEP[land] * ((canvas.cover != Cover.BUILDING) & (canvas.cover != Cover.WATER))
    canvas.shade[:] *= np.clip(1 - steep * rise / np.float32(look.sun_tan), 0.3, 1.7)


def _height(relief: Relief, frame: Frame, offset_m: tuple[float, float]) -> Float32Array:
    total = np.zeros((frame.height, frame.width), dtype=np.float32)
    scale, amplitude = relief.scale_m, 1.0
    for octave in range(3):
        if scale < 4 * frame.gsd_m:
            break
        hill = smooth(frame, Salt.HILLS, scale, offset_m, part=octave)
        total += np.float32(amplitude) * (1 - np.abs(hill) if relief.ridged else hill)
        scale, amplitude = scale / 2.3, amplitude * 0.4
    return total


def lay_weather(canvas: Canvas, frame: Frame, date: int) -> None:
    """Wet patches on one date in six, snow in patches on one in thirty; neither is a change of the ground."""
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
