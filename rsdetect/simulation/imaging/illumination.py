"""Light: shadows on the ground, and what the ground sends back."""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.simulation.canvas import Canvas
from rsdetect.simulation.imaging.look import Look


def cast_shadows(height_m: Float32Array, look: Look, gsd_m: float, reach_px: int) -> BoolArray:
    """Where something between the pixel and the sun stands higher than the ray; (height, width).

    Walks towards the sun, pixel by pixel, over at most `reach_px`.
    """
    shadow = np.zeros(height_m.shape, dtype=np.bool_)
    rise = gsd_m * look.sun_tan
    steps = min(reach_px, int(height_m.max() / rise))
    rows, cols = height_m.shape
    for step in range(1, steps + 1):
        dy, dx = round(step * look.sun[0]), round(step * look.sun[1])
        here = (slice(max(0, -dy), rows - max(0, dy)), slice(max(0, -dx), cols - max(0, dx)))
        there = (slice(max(0, dy), rows - max(0, -dy)), slice(max(0, dx), cols - max(0, -dx)))
        shadow[here] |= height_m[there] > height_m[here] + np.float32(step * rise + 0.3)
    return shadow


def reflect(canvas: Canvas, shadow: BoolArray, look: Look, bands: tuple[int, ...]) -> list[Float32Array]:
    """Reflectance of the painted ground in each of `bands`, which are places in `materials.BANDS`."""
    out = []
    for band in bands:
        tones = np.ascontiguousarray(look.palette[:, band])
        first = np.take(tones, canvas.first)
        first += canvas.mix * (np.take(tones, canvas.second) - first)
        first *= canvas.shade
        first *= np.where(shadow, look.skylight[band], np.float32(1))
        out.append(first)
    return out
