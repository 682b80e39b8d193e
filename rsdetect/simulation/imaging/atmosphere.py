"""Atmosphere: clouds and their shadows, thin cirrus, haze."""

from __future__ import annotations

from bisect import bisect_left
from math import sqrt

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.simulation.imaging.view import View
from rsdetect.simulation.noise import Frame, rough, smooth
from rsdetect.simulation.salts import Salt

# Reflectance of thick cloud, in `materials.BANDS`: ice and droplets absorb in the short-wave infrared.
_CLOUD = np.array([0.78, 0.76, 0.75, 0.75, 0.74, 0.52, 0.38], dtype=np.float32)
_CIRRUS = np.array([0.62, 0.62, 0.62, 0.62, 0.62, 0.30, 0.22], dtype=np.float32)

# Share of the sky where cloud noise exceeds each level, as measured.
_SHARES = (0.0, 0.02, 0.05, 0.10, 0.20, 0.40, 0.60)
_LEVELS = (9.0, 2.05, 1.65, 1.28, 0.84, 0.25, -0.25)


def cloud_cover(
    frame: Frame, view: View, share: float, date: int, scale_m: float
) -> tuple[Float32Array, BoolArray, BoolArray, Float32Array]:
    """Cloud cover of the atmosphere over a frame on one date.

    Returns
    -------
    tuple
        Opacity of the clouds (0 to 1), thick cloud, its shadow, and the remaining light under it (0 to 1);
        all (height, width).
    """
    if share <= 0:
        clear = np.zeros((frame.height, frame.width), dtype=np.bool_)
        return np.zeros(clear.shape, np.float32), clear, clear, np.ones(clear.shape, np.float32)
    level = np.float32(_cloud_level(share))
    height_m = 0.35 * scale_m
    away = (view.sun[0] * height_m / view.sun_tan, view.sun[1] * height_m / view.sun_tan)
    body = _cloud_noise(frame, date, scale_m, (0.0, 0.0)) - level
    # The cloud that shades a pixel is in the direction of the sun.
    above = _cloud_noise(frame, date, scale_m, away) - level
    opacity = np.clip(body * 2.2 + 0.12, 0, 1)
    thick = body > 0.05
    shadow = (above > 0.05) & ~thick
    return opacity, thick, shadow, 1 - 0.6 * np.clip(above * 2.2 + 0.1, 0, 1)


def _cloud_level(share: float) -> float:
    """Level of the atmosphere's cloud noise above which clouds fill `share` of the sky; interpolated."""
    upper = max(bisect_left(_SHARES, share), 1)
    low, high = _SHARES[upper - 1], _SHARES[upper]
    part = (share - low) / (high - low)
    return _LEVELS[upper - 1] + part * (_LEVELS[upper] - _LEVELS[upper - 1])


def _cloud_noise(frame: Frame, date: int, scale_m: float, offset_m: tuple[float, float]) -> Float32Array:
    total = smooth(frame, Salt.CLOUD, scale_m, offset_m, part=8 * date)
    amplitude, power, scale = 1.0, 1.0, scale_m
    for octave in range(1, 5):
        amplitude, scale = amplitude * 0.45, scale / 2.3
        if scale < 3 * frame.gsd_m:
            break
        body = smooth(frame, Salt.CLOUD, scale, offset_m, part=8 * date + octave)
        total += np.float32(amplitude) * body
        power += amplitude * amplitude
    return np.asarray(total * np.float32(1 / sqrt(power)), dtype=np.float32)


def apply_haze(
    ground: list[Float32Array], bands: tuple[int, ...], view: View, frame: Frame, date: int, scale_m: float
) -> list[Float32Array]:
    """Apply the atmosphere's haze, of variable thickness, and thin cirrus to the ground.

    `bands` are indices into `materials.BANDS`; `scale_m` is the size of the clouds.
    """
    thickness = np.float32(1)
    if view.haze_swing > 0.02:
        swing = 1 + np.float32(view.haze_swing) * rough(frame, Salt.HAZE, 3 * scale_m, 2, part=date)
        thickness = np.clip(swing, 0, 3)
    seen = [band + view.haze[b] * thickness for band, b in zip(ground, bands, strict=True)]
    if view.cirrus:
        wisps = rough(frame, Salt.CIRRUS, 0.8 * scale_m, 4, part=date)
        share = np.float32(view.cirrus) * np.clip(0.4 + 0.5 * wisps, 0, 1)
        seen = [band + share * (_CIRRUS[b] - band) for band, b in zip(seen, bands, strict=True)]
    return seen


def apply_clouds(
    ground: list[Float32Array],
    bands: tuple[int, ...],
    sky: tuple[Float32Array, Float32Array],
) -> list[Float32Array]:
    """Apply the atmosphere's clouds to the ground; `sky` is opacity and remaining light, (height, width)."""
    opacity, light = sky
    shaded = [band * light for band in ground]
    return [band + opacity * (_CLOUD[b] - band) for band, b in zip(shaded, bands, strict=True)]
