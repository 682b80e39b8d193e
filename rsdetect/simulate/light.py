"""Light: shadows on the ground, clouds and their shadows, haze."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.canvas import Canvas
from rsdetect.simulate.look import Look
from rsdetect.simulate.noise import Float32Array, Frame, rough, smooth

BoolArray = NDArray[np.bool_]

# The share of the sky that cloud noise fills when it counts from each level upwards; as measured.
_SHARES = np.array([0.0, 0.02, 0.05, 0.10, 0.20, 0.40, 0.60])
_LEVELS = np.array([9.0, 2.05, 1.65, 1.28, 0.84, 0.25, -0.25])


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


def cloud_cover(
    frame: Frame, look: Look, share: float, date: int, scale_m: float
) -> tuple[Float32Array, BoolArray, BoolArray, Float32Array]:
    """Clouds over a frame on one date.

    Returns
    -------
    tuple
        Opacity of the clouds (0 to 1), thick cloud, its shadow, and the light left under it (0 to 1);
        all (height, width).
    """
    if share <= 0:
        clear = np.zeros((frame.height, frame.width), dtype=np.bool_)
        return np.zeros(clear.shape, np.float32), clear, clear, np.ones(clear.shape, np.float32)
    level = np.float32(np.interp(share, _SHARES, _LEVELS))
    height_m = 0.35 * scale_m
    away = (look.sun[0] * height_m / look.sun_tan, look.sun[1] * height_m / look.sun_tan)
    body = _cloud_noise(frame, date, scale_m, (0.0, 0.0)) - level
    # The cloud that shades a pixel stands between it and the sun.
    above = _cloud_noise(frame, date, scale_m, away) - level
    opacity = np.clip(body * 2.2 + 0.12, 0, 1)
    thick = body > 0.05
    shadow = (above > 0.05) & ~thick
    return opacity, thick, shadow, 1 - 0.6 * np.clip(above * 2.2 + 0.1, 0, 1)


def _cloud_noise(frame: Frame, date: int, scale_m: float, offset_m: tuple[float, float]) -> Float32Array:
    total = smooth(frame, 101 + date, scale_m, offset_m)
    amplitude, power, scale = 1.0, 1.0, scale_m
    for octave in range(1, 5):
        amplitude, scale = amplitude * 0.45, scale / 2.3
        if scale < 3 * frame.gsd_m:
            break
        total += np.float32(amplitude) * smooth(frame, 101 + date + 10 * octave, scale, offset_m)
        power += amplitude**2
    return np.asarray(total * np.float32(power**-0.5), dtype=np.float32)


def haze_swing(frame: Frame, look: Look, date: int, scale_m: float) -> Float32Array:
    """Haze against its mean, from place to place; (height, width)."""
    swing = 1 + np.float32(look.haze_swing) * rough(frame, 151 + date, scale_m, 2)
    return np.asarray(np.clip(swing, 0, 3), dtype=np.float32)
