"""Detector noise: noise, stripes, dead lines, vignetting and uneven brightness of an instrument."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import exp
from rsdetect.simulation.noise import Frame, smooth, uniform
from rsdetect.simulation.salts import Salt

_DETECTORS = 16  # lines of one sweep of TM


@dataclass(frozen=True)
class Flaws:
    """Detector noise and artefacts of one date's instrument; standard deviations in reflectance."""

    noise: float
    grain: float  # correlation of the noise between neighbours, as on film
    stripe: float  # from column to column
    banding: float  # between the lines of one sweep
    dead: float  # share of lines lost in a band
    slope: tuple[float, float]  # relative gradient of the signal from edge to edge (down, to the right)
    vignette: float  # relative loss in the corners of a camera's frame
    frame_px: float  # edge of such a frame
    uneven: float  # relative standard deviation of the signal between places, as left by colour balancing
    tint: float  # the same between the first and the last band
    uneven_px: float  # wavelength


def detector_falloff(
    frame: Frame, flaws: Flaws, size: tuple[int, int], date: int, bands: int
) -> list[Float32Array]:
    """Relative detector signal of each band by place, for a scene of `size` (height, width) pixels."""
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


def add_detector_noise(
    bands: list[Float32Array], flaws: Flaws, frame: Frame, date: int, rng: Draws
) -> list[Float32Array]:
    """Add detector noise (stronger where brighter), stripes, banding and dead lines; in reflectance."""
    out = []
    rows = np.arange(frame.row, frame.row + frame.height)
    columns = np.arange(frame.col, frame.col + frame.width)
    for number, band in enumerate(bands):
        part = 16 * date + number
        noise = rng.pixel_noise((frame.height, frame.width))
        if flaws.grain:
            noise = _correlate_noise(noise, flaws.grain)
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


def _correlate_noise(noise: Float32Array, share: float) -> Float32Array:
    """Correlate detector noise between neighbours, at the same standard deviation."""
    mixed = noise.copy()
    mixed[1:] += np.float32(share) * noise[:-1]
    mixed[:, 1:] += np.float32(share) * noise[:, :-1]
    return np.asarray(mixed * np.float32(1 / sqrt(1 + 2 * share * share)), dtype=np.float32)
