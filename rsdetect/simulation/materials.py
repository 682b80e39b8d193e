"""Materials of the ground: their reflectance in seven bands.

Typical broad-band values, in the range of the public spectral libraries (USGS splib07, ECOSTRESS) and of
Sentinel-2 surface reflectance; each scene draws its own variants around them. Leaf water keeps plants dark
beyond 1.4 micrometres; dry litter and soil are brighter there than in the near infrared.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation import exact
from rsdetect.simulation.draws import Draws

BANDS = ("blue", "green", "red", "rededge", "nir", "swir1", "swir2")
# Middle of each band in micrometres: 0.49, 0.56, 0.665, 0.74, 0.84, 1.61, 2.2.

# name: reflectance in BANDS, number of variants, spread of brightness, spread of hue
_SPECTRA: dict[str, tuple[tuple[float, ...], int, float, float]] = {
    "soil": ((0.095, 0.135, 0.175, 0.21, 0.25, 0.33, 0.28), 8, 0.28, 0.06),
    "sand": ((0.19, 0.245, 0.30, 0.34, 0.38, 0.46, 0.42), 4, 0.16, 0.05),
    "straw": ((0.095, 0.15, 0.20, 0.25, 0.30, 0.35, 0.24), 4, 0.20, 0.08),
    "grass": ((0.040, 0.080, 0.058, 0.27, 0.36, 0.21, 0.105), 6, 0.20, 0.14),
    "crop": ((0.036, 0.076, 0.046, 0.31, 0.43, 0.20, 0.090), 8, 0.25, 0.20),
    "ripe": ((0.085, 0.145, 0.20, 0.27, 0.33, 0.34, 0.22), 4, 0.18, 0.10),
    "conifer": ((0.022, 0.036, 0.028, 0.14, 0.20, 0.095, 0.042), 3, 0.20, 0.12),
    "leaf": ((0.026, 0.056, 0.036, 0.26, 0.37, 0.18, 0.075), 5, 0.22, 0.16),
    "autumn": ((0.036, 0.085, 0.115, 0.26, 0.32, 0.21, 0.105), 3, 0.22, 0.18),
    "twig": ((0.058, 0.078, 0.092, 0.125, 0.17, 0.22, 0.15), 3, 0.20, 0.08),
    "water": ((0.052, 0.055, 0.036, 0.020, 0.014, 0.006, 0.005), 4, 0.35, 0.25),
    "mud_water": ((0.085, 0.115, 0.105, 0.070, 0.05, 0.012, 0.009), 2, 0.25, 0.15),
    "asphalt": ((0.085, 0.090, 0.095, 0.105, 0.115, 0.145, 0.135), 4, 0.30, 0.03),
    "concrete": ((0.21, 0.235, 0.25, 0.265, 0.28, 0.31, 0.27), 4, 0.22, 0.04),
    "gravel": ((0.155, 0.185, 0.21, 0.23, 0.25, 0.30, 0.28), 3, 0.20, 0.06),
    "roof_tile": ((0.070, 0.095, 0.185, 0.225, 0.27, 0.33, 0.30), 6, 0.30, 0.18),
    "roof_grey": ((0.115, 0.120, 0.125, 0.135, 0.15, 0.18, 0.17), 6, 0.45, 0.05),
    "roof_dark": ((0.060, 0.062, 0.066, 0.075, 0.09, 0.11, 0.10), 3, 0.30, 0.06),
    "roof_brown": ((0.085, 0.105, 0.135, 0.155, 0.18, 0.24, 0.22), 4, 0.30, 0.10),
    "roof_white": ((0.47, 0.50, 0.51, 0.515, 0.52, 0.44, 0.33), 4, 0.22, 0.03),
    "roof_blue": ((0.30, 0.19, 0.115, 0.15, 0.22, 0.27, 0.24), 3, 0.25, 0.12),
    "roof_green": ((0.10, 0.15, 0.095, 0.13, 0.18, 0.20, 0.18), 2, 0.25, 0.12),
    "facade": ((0.16, 0.175, 0.19, 0.205, 0.22, 0.26, 0.23), 4, 0.30, 0.10),
    "panel": ((0.060, 0.050, 0.048, 0.055, 0.065, 0.085, 0.060), 2, 0.25, 0.12),
    "film": ((0.31, 0.34, 0.34, 0.37, 0.40, 0.36, 0.24), 3, 0.25, 0.05),
    "ash": ((0.035, 0.038, 0.042, 0.050, 0.060, 0.115, 0.145), 2, 0.25, 0.05),
    "car": ((0.15, 0.15, 0.155, 0.165, 0.18, 0.19, 0.17), 8, 0.75, 0.10),
    "pool": ((0.36, 0.32, 0.13, 0.06, 0.03, 0.012, 0.010), 1, 0.10, 0.05),
    "paint": ((0.42, 0.44, 0.45, 0.455, 0.46, 0.44, 0.40), 1, 0.10, 0.02),
    "snow": ((0.86, 0.86, 0.85, 0.83, 0.78, 0.10, 0.06), 2, 0.08, 0.02),
}


def _material_offsets() -> dict[str, tuple[int, int]]:
    table, start = {}, 0
    for name, (_, count, _, _) in _SPECTRA.items():
        table[name] = (start, count)
        start += count
    return table


RANGES = _material_offsets()  # name -> (first row of the palette, number of variants)
ROWS = sum(count for _, count in RANGES.values())


def pick_material(rng: Draws, name: str, size: int) -> NDArray[np.uint8]:
    """Palette rows of the material `name`, (size,), drawn uniformly among its variants."""
    first, count = RANGES[name]
    return rng.integers(first, first + count, size).astype(np.uint8)


def pick_materials(rng: Draws, shares: dict[str, float], size: int) -> NDArray[np.uint8]:
    """Palette rows of several materials, (size,), drawn in proportion to their `shares`."""
    rows = np.stack([pick_material(rng, name, size) for name in shares])
    which = rng.index(list(shares.values()), size)
    return np.asarray(rows[which, np.arange(size)], dtype=np.uint8)


def world_palette(rng: Draws) -> Float32Array:
    """Material palette of one world: (ROWS, 7) reflectance, before seasons blend lush and dry plants."""
    rows = []
    for spectrum, count, brightness, hue in _SPECTRA.values():
        base = np.array(spectrum)
        family = exact.exp(rng.normal(0, 0.5, 1) * brightness + 0.5 * _material_hues(rng, 1) * hue)
        variant = exact.exp(
            rng.normal(0, 1.0, (count, 1)) * brightness + 0.6 * _material_hues(rng, count) * hue
        )
        rows.append(np.clip(base * family * variant, 0.003, 0.9))
    return np.concatenate(rows).astype(np.float32)


def _material_hues(rng: Draws, count: int) -> NDArray[np.float64]:
    """Material hues: draws of standard deviation 1, correlated between neighbouring bands; (count, 7)."""
    draws = rng.normal(0, 1, (count, len(BANDS) + 1))
    return np.asarray((draws[:, 1:] + draws[:, :-1]) * sqrt(0.5))


# Share of the light that wet soil absorbs in addition to dry soil: most where water absorbs.
_WATER_TAKES = np.array([0.40, 0.40, 0.40, 0.40, 0.42, 0.52, 0.60], dtype=np.float32)


_SNOWED = ("soil", "sand", "straw", "grass", "crop", "ripe", "gravel", "ash")


@dataclass(frozen=True)
class Season:
    """Season: state of plants, soil and water materials on one date. All are 0 to 1."""

    green: float  # 1 = lush grass, 0 = straw
    leaves: float  # 1 = broad-leaved trees in leaf, 0 = bare
    wet: float  # 1 = soil dark with rain
    autumn: float = 0.0  # 1 = the remaining leaves are yellow and brown
    snow: float = 0.0  # share of open ground under snow
    glint: float = 0.0  # reflectance added by sun glint on water


def dated_palette(world: Float32Array, season: Season, rng: Draws, drift: float) -> Float32Array:
    """Material palette of one date: grass and leaves by season, soils by moisture, and a small drift of all.

    Parameters
    ----------
    world
        (ROWS, 7) reflectance from `world_palette`.
    drift
        Standard deviation of each variant's relative drift in brightness between dates.
    """
    palette = world.copy()

    def blend(name: str, other: str, share: float, spread: float) -> None:
        first, count = RANGES[name]
        start, variants = RANGES[other]
        part = np.clip(share + rng.normal(0, spread, count), 0, 1)[:, None].astype(np.float32)
        target = world[start + np.arange(count) % variants]
        palette[first : first + count] += (target - palette[first : first + count]) * part

    blend("grass", "straw", 1 - season.green, 0.12)
    blend("leaf", "autumn", season.autumn, 0.3)
    blend("leaf", "twig", 1 - season.leaves, 0.15)
    blend("water", "mud_water", rng.uniform(0, 0.7) * min(1.0, 10 * drift), 0.1)
    for name in ("soil", "sand", "straw", "gravel"):
        first, count = RANGES[name]
        palette[first : first + count] *= 1 - _WATER_TAKES * np.float32(season.wet)
    if season.snow:
        for name in _SNOWED:
            blend(name, "snow", season.snow, 0.2)
    for name in ("water", "mud_water"):
        first, count = RANGES[name]
        palette[first : first + count] += np.float32(season.glint)
    palette *= rng.log_normal(0, drift, (ROWS, 1)).astype(np.float32)
    palette *= exact.exp(drift / 2 * _material_hues(rng, ROWS)).astype(np.float32)
    return palette
