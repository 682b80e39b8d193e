"""Dead leaves model: images of shapes that occlude each other, with the statistics of natural images.

Shapes of all sizes, with frequency proportional to radius^-3 (Lee, Mumford and Huang 2001), each of one
colour with a texture; they are effective training data (Baradad et al. 2021).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfftfreq
from scipy.ndimage import gaussian_filter

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.training.compositing.source_images import BANDS, Image, standardise_image

_LARGEST = 0.35  # radius of the largest leaf, relative to the edge of the image
_TEXTURES = 4


def dead_leaves(edge: int, rng: np.random.Generator) -> Image:
    """Dead leaves image of `edge` x `edge` pixels with all six bands, all valid."""
    leaf, turn = _draw_leaves(edge, rng)
    count = int(leaf.max()) + 1
    colours = _leaf_colours(count, rng)
    pixels = colours.T[:, leaf]
    # Texture of a leaf: one of a few, with random strength; leaves without texture are frequent.
    grain = rng.integers(0, _TEXTURES, count)[leaf]
    strength = (rng.exponential(0.35, count) * (rng.random(count) < 0.8)).astype(np.float32)[leaf]
    textures = np.stack([one_over_f_noise(edge, rng.uniform(0.3, 1.8), rng) for _ in range(_TEXTURES)])
    pattern = np.take_along_axis(textures, grain[None], axis=0)[0]
    period = rng.uniform(3, 14, count).astype(np.float32)
    rows = np.sin(turn * (2 * np.pi / period[leaf])) * (rng.random(count) < 0.12)[leaf]
    shade = strength * (pattern + np.float32(0.8) * rows.astype(np.float32))
    tint = (1 + 0.3 * rng.standard_normal((len(BANDS), _TEXTURES))).astype(np.float32)[:, grain]
    pixels = gaussian_filter(pixels + shade * tint, (0, *[rng.uniform(0.35, 0.9)] * 2))
    valid = np.ones((edge, edge), dtype=bool)
    return Image("dead leaves", standardise_image(pixels.astype(np.float32), valid), valid, BANDS)


def _draw_leaves(edge: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], Float32Array]:
    """Index of the topmost dead leaf, and the position across its rows in pixels; both (edge, edge)."""
    smallest, largest = rng.uniform(2, 6), _LARGEST * edge * rng.uniform(0.4, 1.0)
    count = int(rng.integers(250, 700))
    # Inverse of the distribution function of a density ~ r^-3 between the two radii.
    share = rng.random(count)
    radii = (smallest**-2 - share * (smallest**-2 - largest**-2)) ** -0.5
    kinds, angles = rng.choice(3, count, p=rng.dirichlet((1, 1, 1))), rng.uniform(0, np.pi, count)
    if rng.random() < 0.5:  # planned land: nearly one direction
        angles = angles[0] + 0.5 * np.pi * rng.integers(0, 2, count) + rng.normal(0, 0.05, count)
    leaf = np.zeros((edge, edge), dtype=np.int32)
    turn = np.zeros((edge, edge), dtype=np.float32)
    coarse = rng.choice(8, 8, replace=False) * edge // 8  # background leaves, so that there is no large gap
    for number in range(count):
        radius = float(radii[number])
        centre = rng.uniform(0, edge, 2) if number >= len(coarse) else np.array([coarse[number], edge / 2])
        radius = radius if number >= len(coarse) else edge / 4
        low = np.maximum(centre - 1.6 * radius, 0).astype(int)
        high = np.minimum(centre + 1.6 * radius + 1, edge).astype(int)
        rows = np.arange(low[0], high[0], dtype=np.float32)[:, None] - np.float32(centre[0])
        cols = np.arange(low[1], high[1], dtype=np.float32)[None, :] - np.float32(centre[1])
        cos, sin = np.float32(np.cos(angles[number])), np.float32(np.sin(angles[number]))
        u, v = cos * cols + sin * rows, cos * rows - sin * cols
        within = _leaf_mask(int(kinds[number]), u, v, radius, rng)
        window = np.s_[low[0] : high[0], low[1] : high[1]]
        leaf[window][within] = number
        turn[window][within] = v[within]
    return leaf, turn


def _leaf_mask(
    kind: int, u: Float32Array, v: Float32Array, radius: float, rng: np.random.Generator
) -> BoolArray:
    aspect = np.exp(rng.uniform(0, 0.8))
    if kind == 0:
        return np.asarray((u * aspect) ** 2 + (v / aspect) ** 2 < radius**2)
    if kind == 1:
        return np.asarray((np.abs(u) < radius / aspect) & (np.abs(v) < radius * min(aspect, 1.5)))
    lean = np.float32(rng.uniform(-0.6, 0.6))
    return np.asarray(
        (v < radius * 0.6) & (u + lean * v < radius * 0.7) & (u + v > -radius) & (v - u > -radius)
    )


def _leaf_colours(count: int, rng: np.random.Generator) -> Float32Array:
    """Spectra of dead leaves, (count, 6): variants of a few kinds of ground, with correlated bands."""
    kinds = int(rng.integers(4, 14))
    brightness = rng.normal(0, 1.0, (kinds, 1))
    hue = rng.normal(0, rng.uniform(0.15, 0.6), (kinds, 3))
    beyond = rng.normal(0, 0.9, (kinds, 1)) + rng.normal(0, 0.35, (kinds, 3))
    beyond[:, 1:] += 0.7 * brightness
    base = np.concatenate([brightness + hue, beyond], axis=1)
    which = rng.integers(0, kinds, count)
    variant = rng.normal(0, 0.3, (count, 1)) + rng.normal(0, 0.1, (count, len(BANDS)))
    return (base[which] + variant).astype(np.float32)


def one_over_f_noise(edge: int, power: float, rng: np.random.Generator) -> Float32Array:
    """Noise with amplitude frequency^-power for dead leaves; (edge, edge), mean 0, deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(edge)[:, None], rfftfreq(edge)[None, :])
    frequency[0, 0] = 1.0
    amplitude = (frequency**-power).astype(np.float32)
    amplitude[0, 0] = 0
    waves = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    noise = irfft2((waves[0] + 1j * waves[1]) * amplitude, s=(edge, edge))
    return np.asarray(noise / noise.std(), dtype=np.float32)
