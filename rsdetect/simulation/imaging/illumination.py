"""Illumination: shadows on the ground, and the reflected light."""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.simulation.canvas import Canvas
from rsdetect.simulation.imaging.view import View


def cast_shadows(height_m: Float32Array, view: View, gsd_m: float, reach_px: int) -> BoolArray:
    """Cast shadows of the illumination: pixels with an object above the ray to the sun; (height, width).

    Steps towards the sun, pixel by pixel, over at most `reach_px`.
    """
    shadow = np.zeros(height_m.shape, dtype=np.bool_)
    rise = gsd_m * view.sun_tan
    steps = min(reach_px, int(height_m.max() / rise))
    rows, cols = height_m.shape
    for step in range(1, steps + 1):
        dy, dx = round(step * view.sun[0]), round(step * view.sun[1])
        here = (slice(max(0, -dy), rows - max(0, dy)), slice(max(0, -dx), cols - max(0, dx)))
        there = (slice(max(0, dy), rows - max(0, -dy)), slice(max(0, dx), cols - max(0, -dx)))
        shadow[here] |= height_m[there] > height_m[here] + np.float32(step * rise + 0.3)
    return shadow


def illuminate(canvas: Canvas, shadow: BoolArray, view: View, bands: tuple[int, ...]) -> list[Float32Array]:
    """Reflectance of the illuminated ground in each of `bands`, indices into `materials.BANDS`."""
    out = []
    for band in bands:
        tones = np.ascontiguousarray(view.palette[:, band])
        first = np.take(tones, canvas.first)
        first += canvas.mix * (np.take(tones, canvas.second) - first)
        first *= canvas.shade
        first *= np.where(shadow, view.skylight[band], np.float32(1))
        out.append(first)
    return out
