"""Noise that depends on the place only: the same for every window."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsdetect.arraytypes import Float32Array, UInt32Array
from rsdetect.simulation.salts import Salt

_MOST_PARTS = 1 << 16
_MOST_OCTAVES = 8
_ROOT_12 = sqrt(12)  # scales a uniform number to a standard deviation of 1


@dataclass(frozen=True)
class Frame:
    """Frame of pixels for which noise and ground are drawn, margin included, in the scene's pixel grid."""

    row: int  # first row
    col: int  # first column
    height: int
    width: int
    gsd_m: float  # ground size of a pixel
    seed: int  # 32 bits, of the world

    @property
    def y_m(self) -> Float32Array:
        """Metres southwards to the pixel centres of a noise frame, from the scene's corner, (height, 1)."""
        return ((np.arange(self.height) + (self.row + 0.5)) * self.gsd_m).astype(np.float32)[:, None]

    @property
    def x_m(self) -> Float32Array:
        """Metres eastwards to the pixel centres of a noise frame, from the scene's corner, (1, width)."""
        return ((np.arange(self.width) + (self.col + 0.5)) * self.gsd_m).astype(np.float32)[None, :]


def hashed(seed: int, salt: Salt, *keys: ArrayLike, part: int = 0) -> UInt32Array:
    """Noise hash of 32 bits of each tuple of integers (arrays that broadcast), murmur-like.

    `part` tells apart several draws for the same purpose; 0 to 65 535.
    """
    assert 0 <= part < _MOST_PARTS, part
    number = salt * _MOST_PARTS + part
    h = np.full(1, (seed * 0x9E3779B1 + number * 0x85EBCA77 + 0x165667B1) & 0xFFFFFFFF, dtype=np.uint32)
    for key in keys:
        k = np.asarray(key)
        h = h ^ (k if k.dtype == np.uint32 else k.astype(np.int32).view(np.uint32))
        h = h * np.uint32(0x9E3779B1)
        h ^= h >> np.uint32(15)
    h = h * np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h


def uniform(seed: int, salt: Salt, *keys: ArrayLike, part: int = 0) -> Float32Array:
    """Uniform noise in [0, 1) for each tuple of integer keys."""
    return (hashed(seed, salt, *keys, part=part) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def white(frame: Frame, salt: Salt, part: int = 0) -> Float32Array:
    """White noise, independent for each pixel, mean 0 and standard deviation 1; (height, width)."""
    rows = np.arange(frame.row, frame.row + frame.height)[:, None]
    cols = np.arange(frame.col, frame.col + frame.width)[None, :]
    return (uniform(frame.seed, salt, rows, cols, part=part) - np.float32(0.5)) * np.float32(_ROOT_12)


def smooth(
    frame: Frame, salt: Salt, scale_m: float, offset_m: tuple[float, float] = (0.0, 0.0), *, part: int = 0
) -> Float32Array:
    """Smooth noise with a wavelength of about `scale_m` metres, mean 0, deviation 1; (height, width).

    A random lattice, interpolated by a quadratic B-spline: smooth and local, so that a frame needs only its
    own lattice points. `offset_m` (south, east) displaces the sampled place.
    """
    rows, row_weights = _noise_spline(frame.row, frame.height, frame.gsd_m, scale_m, offset_m[0])
    cols, col_weights = _noise_spline(frame.col, frame.width, frame.gsd_m, scale_m, offset_m[1])
    i = np.arange(rows[0], rows[-1] + 3)
    j = np.arange(cols[0], cols[-1] + 3)
    # Uniform numbers have variance 1/12; the weights have a mean square sum of 0.55 per axis.
    lattice = uniform(frame.seed, salt, i[:, None], j[None, :], part=part) - np.float32(0.5)
    lattice *= np.float32(_ROOT_12 / 0.55)
    rows, cols = rows - rows[0], cols - cols[0]
    parts = [lattice[rows + t] * row_weights[t][:, None] for t in range(3)]
    tall = parts[0] + parts[1] + parts[2]
    out: Float32Array = np.take(tall, cols, axis=1) * col_weights[0]
    for t in (1, 2):
        out += np.take(tall, cols + t, axis=1) * col_weights[t]
    return out


def _noise_spline(
    start: int, count: int, gsd_m: float, scale_m: float, offset_m: float
) -> tuple[NDArray[np.intp], list[Float32Array]]:
    """B-spline of the noise lattice: first lattice index of each pixel, and the weights of three points."""
    at = ((np.arange(count) + (start + 0.5)) * gsd_m + offset_m) / scale_m
    first = np.floor(at)
    t = (at - first).astype(np.float32)
    weights = [(1 - t) * (1 - t) / 2, 0.5 + t * (1 - t), t * t / 2]
    return first.astype(np.intp), [w.astype(np.float32) for w in weights]


def rough(
    frame: Frame, salt: Salt, scale_m: float, octaves: int = 3, gain: float = 0.6, *, part: int = 0
) -> Float32Array:
    """Rough (fractal) noise: octaves of smooth noise from `scale_m` down to two pixels; deviation 1."""
    assert octaves <= _MOST_OCTAVES, octaves
    total = smooth(frame, salt, scale_m, part=part * _MOST_OCTAVES)
    power, amplitude, scale = 1.0, 1.0, scale_m
    for octave in range(1, octaves):
        amplitude, scale = amplitude * gain, scale / 2.1
        if scale < 2 * frame.gsd_m:
            break
        total += smooth(frame, salt, scale, part=part * _MOST_OCTAVES + octave) * np.float32(amplitude)
        power += amplitude * amplitude
    total *= np.float32(1 / sqrt(power))
    return total
