"""Acquisition day of a composite scene: light, haze, registration, sharpness, noise, digital numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.imaging.compression import Compression, compress

MARGIN_PX = 8  # pixels beyond the scene on every side, for shifts and blur


@dataclass(frozen=True)
class Day:
    """Acquisition day: effects on all pixels, independent of the land."""

    gain: Float32Array  # (bands, 1, 1)
    offset: Float32Array  # (bands, 1, 1), in spreads
    light: float  # amplitude of uneven light, in spreads
    haze: float  # 0 = clear, 1 = opaque
    blur_px: float
    shift_px: tuple[float, float]  # rows, columns
    bend_px: float  # standard deviation of the local shift
    noise: float  # spreads
    grain: float  # spreads, of noise with a few pixels wavelength
    stripes: float  # spreads
    compression: Compression  # of 8-bit colour


def draw_days(bands: int, rng: np.random.Generator) -> tuple[Day, Day]:
    """Draw two acquisition days; the second is slightly misregistered."""
    return _draw_day(bands, rng, shifted=False), _draw_day(bands, rng, shifted=rng.random() < 0.75)


def _draw_day(bands: int, rng: np.random.Generator, shifted: bool) -> Day:
    shift, bend = (0.0, 0.0), 0.0
    if shifted:
        angle, far = rng.uniform(0, 2 * np.pi), 1.2 * rng.random() ** 1.5
        shift, bend = (float(far * np.sin(angle)), float(far * np.cos(angle))), float(rng.exponential(0.2))
    return Day(
        gain=np.exp(rng.normal(0, 0.15, (bands, 1, 1))).astype(np.float32),
        offset=(rng.normal(0, 0.25) + rng.normal(0, 0.15, (bands, 1, 1))).astype(np.float32),
        light=float(rng.exponential(0.12)),
        haze=float(rng.uniform(0.05, 0.5)) if rng.random() < 0.25 else 0.0,
        blur_px=float(rng.uniform(0.0, 0.6)) if rng.random() < 0.7 else float(rng.uniform(0.6, 1.5)),
        shift_px=shift,
        bend_px=min(bend, 0.6),
        noise=float(rng.exponential(0.07)),
        grain=float(rng.exponential(0.08)) if rng.random() < 0.5 else 0.0,
        stripes=float(rng.exponential(0.08)) if rng.random() < 0.06 else 0.0,
        compression=_draw_compression(rng) if bands == 3 and rng.random() < 0.5 else Compression(),
    )


def _draw_compression(rng: np.random.Generator) -> Compression:
    if rng.random() < 0.2:
        return Compression(waves=float(rng.uniform(2, 10)))
    return Compression(blocks=float(rng.uniform(1, 8)), halved_colour=bool(rng.random() < 0.5))


def expose_day(
    ground: Float32Array, day: Day, dtype: type[np.unsignedinteger], rng: np.random.Generator
) -> NDArray[np.unsignedinteger]:
    """Expose `ground` (bands, height, width), in spreads, on an acquisition day; returns digital numbers."""
    edge = ground.shape[1]
    seen = ground * day.gain + day.offset
    if day.light:
        seen = seen * (1 + 0.5 * day.light * _slow_field(edge, 3, rng)) + np.float32(day.light) * _slow_field(
            edge, 3, rng
        )
    if day.haze:
        veil = np.clip(day.haze * (1 + 0.6 * _slow_field(edge, int(rng.integers(3, 9)), rng)), 0, 0.8)
        # The atmosphere scatters blue light most, and infrared hardly at all.
        scatter = np.array((0.8, 0.9, 1.0, 0.5, 0.25, 0.15), dtype=np.float32)[: len(seen), None, None]
        seen = seen + scatter * veil * (np.float32(2.0) - seen)
    if day.blur_px > 0.2:
        seen = gaussian_filter(seen, (0, day.blur_px, day.blur_px))
    seen = _misregister(seen, day, rng)[:, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    seen = seen + np.float32(day.noise) * rng.standard_normal(seen.shape, dtype=np.float32)
    if day.grain:
        coarse = gaussian_filter(rng.standard_normal(seen.shape[1:], dtype=np.float32), rng.uniform(0.7, 2.5))
        seen = seen + coarse * np.float32(day.grain / coarse.std())
    if day.stripes:
        seen = seen + np.float32(day.stripes) * rng.standard_normal((1, 1, seen.shape[2]), dtype=np.float32)
    return _to_day_numbers(seen, day, dtype)


def _misregister(pixels: Float32Array, day: Day, rng: np.random.Generator) -> Float32Array:
    if day.shift_px == (0.0, 0.0) and not day.bend_px:
        return pixels
    edge = pixels.shape[1]
    at = np.indices((edge, edge), dtype=np.float32)
    for axis in (0, 1):
        bend = np.float32(day.bend_px) * _slow_field(edge, 3, rng)
        at[axis] += np.float32(day.shift_px[axis]) + np.clip(bend, -2, 2)
    return np.stack([map_coordinates(band, at, order=1, mode="nearest") for band in pixels])


def _slow_field(edge: int, knots: int, rng: np.random.Generator) -> Float32Array:
    """Slowly varying field over an acquisition day's scene, of deviation about 1; (edge, edge)."""
    weights = _slow_field_spline(edge, knots + 1)
    return np.asarray(weights @ rng.standard_normal((knots + 1, knots + 1), dtype=np.float32) @ weights.T)


@lru_cache(maxsize=32)
def _slow_field_spline(edge: int, knots: int) -> Float32Array:
    """Spline weights of a day's slow field: each knot at each pixel of an axis; (edge, knots)."""
    unit = np.eye(knots, dtype=np.float32)
    return np.asarray(zoom(unit, (edge / knots, 1), order=2, mode="nearest", grid_mode=True), np.float32)


def _to_day_numbers(
    seen: Float32Array, day: Day, dtype: type[np.unsignedinteger]
) -> NDArray[np.unsignedinteger]:
    middle, spread, top = (105, 38, 255) if dtype == np.uint8 else (2200, 700, 65535)
    numbers = middle + spread * seen
    if day.compression != Compression():
        height, width = numbers.shape[1:]
        full = np.pad(np.clip(numbers, 0, 255), ((0, 0), (0, -height % 8), (0, -width % 8)), mode="edge")
        numbers = np.stack(compress(list(full), day.compression))[:, :height, :width]
    return np.clip(np.rint(numbers), 1, top).astype(dtype)
