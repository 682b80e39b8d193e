"""The sensor: what its electronics and its lens do, and its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import exp
from rsdetect.simulation.imaging.sensors import Product
from rsdetect.simulation.noise import Frame, smooth, uniform
from rsdetect.simulation.salts import Salt

# Landsat 5's TM, bands 1 to 5 and 7 (Chander, Markham, Helder 2009): the sun's irradiance in W / m2 / um,
# and the radiance at numbers 0 and 255 in W / m2 / sr / um.
_SUN = {"blue": 1958.0, "green": 1827.0, "red": 1551.0, "nir": 1036.0, "swir1": 214.9, "swir2": 80.65}
_DARK = {"blue": -1.52, "green": -2.84, "red": -1.17, "nir": -1.51, "swir1": -0.37, "swir2": -0.15}
_FULL = {"blue": 193.0, "green": 365.0, "red": 264.0, "nir": 221.0, "swir1": 30.2, "swir2": 16.5}
# What clear air sends back by itself, as reflectance at the sensor.
_AIR = {"blue": 0.072, "green": 0.038, "red": 0.020, "nir": 0.007, "swir1": 0.0, "swir2": 0.0}

_DETECTORS = 16  # lines that TM sweeps at a time


@dataclass(frozen=True)
class Flaws:
    """What one date's instrument adds to the light; standard deviations in reflectance."""

    noise: float
    grain: float  # share of the noise that neighbours have in common, as on film
    stripe: float  # from column to column
    banding: float  # among the lines that are swept at a time
    dead: float  # share of lines that are lost in a band
    slope: tuple[float, float]  # relative rise of the signal from edge to edge (down, to the right)
    vignette: float  # relative loss in the corners of a camera's frame
    frame_px: float  # edge of such a frame
    uneven: float  # relative standard deviation of the signal from place to place, as balancing leaves it
    tint: float  # the same, between the first band and the last
    uneven_px: float  # from one bump to the next


def fall_off(frame: Frame, flaws: Flaws, size: tuple[int, int], date: int, bands: int) -> list[Float32Array]:
    """Relative signal of each band by place, for a scene of `size` (height, width) pixels."""
    rows = np.arange(frame.row, frame.row + frame.height)[:, None]
    cols = np.arange(frame.col, frame.col + frame.width)[None, :]
    gain = 1 + flaws.slope[0] * (rows / size[0] - 0.5) + flaws.slope[1] * (cols / size[1] - 0.5)
    if flaws.vignette:
        down, right = (np.mod(at / flaws.frame_px + 0.3, 1) - 0.5 for at in (rows, cols))
        gain = gain * (1 - 2 * flaws.vignette * (down * down + right * right))
    even: Float32Array = gain.astype(np.float32)
    if not flaws.uneven:
        return [even] * bands
    scale_m = flaws.uneven_px * frame.gsd_m
    patchy = even * exp(np.float32(flaws.uneven) * smooth(frame, Salt.UNEVEN, scale_m, part=date))
    tint = np.float32(flaws.tint) * smooth(frame, Salt.TINT, scale_m, part=date)
    return [patchy * (1 + tint * np.float32(side)) for side in np.linspace(-1, 1, bands)]


def add_flaws(
    bands: list[Float32Array], flaws: Flaws, frame: Frame, date: int, rng: Draws
) -> list[Float32Array]:
    """Noise, stronger where brighter, stripes, banding and lost lines; in reflectance."""
    out = []
    rows = np.arange(frame.row, frame.row + frame.height)
    columns = np.arange(frame.col, frame.col + frame.width)
    for number, band in enumerate(bands):
        part = 16 * date + number
        noise = rng.pixel_noise((frame.height, frame.width))
        if flaws.grain:
            noise = _grainy(noise, flaws.grain)
        noisy = band + np.float32(flaws.noise) * (0.6 + 2 * band) * noise
        if flaws.stripe:
            column = uniform(frame.seed, Salt.STRIPE, columns, part=part) - np.float32(0.5)
            noisy += np.float32(flaws.stripe * sqrt(12)) * column[None, :]
        if flaws.banding:
            line = uniform(frame.seed, Salt.BANDING, rows % _DETECTORS, part=part) - np.float32(0.5)
            noisy += np.float32(flaws.banding * sqrt(12)) * line[:, None]
        if flaws.dead:
            lost = uniform(frame.seed, Salt.DEAD_LINE, rows, part=part) < flaws.dead
            level = uniform(frame.seed, Salt.DEAD_LINE_LEVEL, rows[lost], part=part)
            noisy[lost] *= (level * 1.5)[:, None]
        out.append(noisy)
    return out


def _grainy(noise: Float32Array, share: float) -> Float32Array:
    """Noise that neighbours share, at the same standard deviation."""
    mixed = noise.copy()
    mixed[1:] += np.float32(share) * noise[:-1]
    mixed[:, 1:] += np.float32(share) * noise[:, :-1]
    return np.asarray(mixed * np.float32(1 / sqrt(1 + 2 * share * share)), dtype=np.float32)


def encode(
    bands: list[Float32Array], names: tuple[str, ...], product: Product, sun_tan: float
) -> list[Float32Array]:
    """Reflectance in the numbers of a product that is no picture, still float."""
    if product is Product.REFLECTANCE:
        return [band * np.float32(1e4) for band in bands]
    if product is Product.SCALED:
        return [(band + np.float32(0.2)) * np.float32(1 / 2.75e-5) for band in bands]
    assert product is Product.RADIANCE, product
    sine = sun_tan / sqrt(1 + sun_tan * sun_tan)  # of the sun's elevation
    out = []
    for band, name in zip(bands, names, strict=True):
        per_reflectance = _SUN[name] * sine / pi
        step = (_FULL[name] - _DARK[name]) / 255
        out.append(((band + np.float32(_AIR[name])) * per_reflectance - _DARK[name]) * np.float32(1 / step))
    return out


def to_numbers(bands: list[Float32Array], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Round to the sensor's numbers, 1 at least, because 0 says no data; (bands, height, width)."""
    top = 255 if dtype == np.uint8 else 65535
    stack = np.stack(bands)
    return np.clip(np.rint(stack), 1, top).astype(dtype)
