"""Relief of the terrain: hills, and the shading of their slopes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import Float32Array, UInt8Array
from rsdetect.simulation.canvas import Canvas, Cover
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.ground.land import URBAN, Land
from rsdetect.simulation.imaging.view import View
from rsdetect.simulation.noise import Frame, smooth
from rsdetect.simulation.salts import Salt

# Relative steepness of each kind of land: towns and fields are on flat ground.
_STEEP = np.full(len(Land), 1.0, dtype=np.float32)
_STEEP[[int(land) for land in URBAN]] = 0.2
_STEEP[Land.FARM], _STEEP[Land.LAKE] = 0.5, 0.0


@dataclass(frozen=True)
class Relief:
    """Relief of the hills of one scene."""

    scale_m: float  # distance between ridges
    slope: float  # usual slope, 0 = flat
    ridged: bool  # sharp crests and gullies, not round hills

    @staticmethod
    def draw(gsd_m: float, rng: Draws) -> Relief:
        """Relief of the hills of a scene, drawn; half of the scenes are flat."""
        scale = max(rng.log_uniform(60, 1500), 9 * gsd_m)
        hilly = rng.random() < 0.5
        # Fine scenes have gentle slopes for plots and houses; coarse scenes include mountains.
        steep = 0.11 if gsd_m < 5 else 0.22
        return Relief(scale, rng.gamma(1.5, steep) * hilly, rng.random() < 0.5)


def shade_hills(canvas: Canvas, relief: Relief, land: UInt8Array, frame: Frame, view: View) -> None:
    """Shade the relief by Lambert's cosine law: slopes towards the sun are brighter."""
    if relief.slope < 0.03:
        return
    step_m = 0.06 * relief.scale_m
    ahead = _relief_height(relief, frame, (view.sun[0] * step_m, view.sun[1] * step_m))
    behind = _relief_height(relief, frame, (-view.sun[0] * step_m, -view.sun[1] * step_m))
    # Noise of scale s rises by about 2.2 / s per metre; the sun is in the direction of `ahead`.
    rise = (ahead - behind) * np.float32(relief.scale_m / (2 * step_m * 2.2) * relief.slope)
    steep = _STEEP[land] * ((canvas.cover != Cover.BUILDING) & (canvas.cover != Cover.WATER))
    canvas.shade[:] *= np.clip(1 - steep * rise / np.float32(view.sun_tan), 0.3, 1.7)


def _relief_height(relief: Relief, frame: Frame, offset_m: tuple[float, float]) -> Float32Array:
    total = np.zeros((frame.height, frame.width), dtype=np.float32)
    scale, amplitude = relief.scale_m, 1.0
    for octave in range(3):
        if scale < 4 * frame.gsd_m:
            break
        hill = smooth(frame, Salt.HILLS, scale, offset_m, part=octave)
        total += np.float32(amplitude) * (1 - np.abs(hill) if relief.ridged else hill)
        scale, amplitude = scale / 2.3, amplitude * 0.4
    return total
