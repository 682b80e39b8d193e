"""Augmentation of a date: tones, colours, sharpness, noise, missing bands, nodata corners.

Everything is drawn from one generator, so that a chip is determined by its seed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.stats import robust_scale
from rsdetect.training.cropping import Crop
from rsdetect.training.training_scenes import TrainingScene

CLIP = 6.0  # standardised values are clipped, as in the card's scaling
VISIBLE = ("red", "green", "blue")
SPARSE = 4  # sampling interval of rows and columns for the statistics of an augmented scene


def drop_bands(scene: TrainingScene, rng: np.random.Generator) -> TrainingScene:
    """Augmentation by dropping bands: all bands, visible and near infrared, or only visible ones."""
    if not set(VISIBLE) <= set(scene.bands):
        return scene  # a network for other bands, which may all be required
    kept = (scene.bands, (*VISIBLE, "nir"), VISIBLE)[int(rng.choice(3, p=(0.5, 0.25, 0.25)))]
    rows = [number for number, name in enumerate(scene.bands) if name in kept]
    return replace(
        scene,
        before=scene.before[rows],
        after=scene.after[rows],
        bands=tuple(scene.bands[number] for number in rows),
    )


def augment_date(
    date: NDArray[np.generic], valid: BoolArray, cut: Crop, rng: np.random.Generator
) -> Float32Array:
    """Augment a date by tone curve, colour balance, sharpness and noise; then standardise with small errors.

    Tones are changed in the window and in a sparse sample of the scene: the statistics are those of the whole
    scene, and changing all of it would take longer than training on the chip.
    """
    bands = date.shape[0]
    sample = date[:, ::SPARSE, ::SPARSE][:, valid[::SPARSE, ::SPARSE]].astype(np.float32)
    x = cut.of(date).astype(np.float32)
    if not sample.size:
        return np.zeros((bands, cut.size, cut.size), np.float32)
    top = max(float(np.percentile(sample, 99.9)), 1.0)
    gamma = np.float32(np.exp(rng.normal(0, 0.18)))
    most = np.float32(rng.uniform(0.6, 1.0)) if rng.random() < 0.15 else np.float32(1)  # saturation
    mixing = _spectral_mixing(bands, rng)

    def tone(values: Float32Array) -> Float32Array:
        return np.tensordot(mixing, np.minimum(np.clip(values / top, 0, 1) ** gamma, most), axes=1)

    centre, scale = (np.asarray(s)[:, None, None] for s in robust_scale(tone(sample)))
    x = np.asarray(np.clip((tone(x) - centre) / scale, -CLIP, CLIP), dtype=np.float32)
    if rng.random() < 0.3:
        x = gaussian_filter(x, (0, *[rng.uniform(0.3, 1.5)] * 2))
    x = cut.resized(x)
    gain = np.exp(rng.normal(0, 0.08, (bands, 1, 1)))
    offset = rng.normal(0, 0.1, (bands, 1, 1))
    noise = rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.exponential(0.04))
    if rng.random() < 0.3:
        noise += _patch_noise(x.shape[1:], rng) * np.float32(rng.exponential(0.12))
    return np.asarray(np.clip(x * gain + offset + noise, -CLIP, CLIP), dtype=np.float32)


def _spectral_mixing(bands: int, rng: np.random.Generator) -> Float32Array:
    """Augmentation matrix: other spectral responses, and visible bands faded to grey as in old photos."""
    alike = 0.05 if bands == len(VISIBLE) else 0.03  # bands beyond the visible are less similar
    mixing = np.eye(bands) + rng.normal(0, alike, (bands, bands))
    if bands == len(VISIBLE) and rng.random() < 0.15:
        fade = rng.uniform(0, 0.6)
        mixing = (1 - fade) * mixing + fade / bands
    return mixing.astype(np.float32)


def _patch_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Float32Array:
    """Augmentation noise: grey texture of a random grain size, (height, width)."""
    grain = 2 ** int(rng.integers(1, 7))  # pixels
    coarse = rng.standard_normal([edge // grain + 2 for edge in shape], dtype=np.float32)
    texture: Float32Array = zoom(coarse, grain, order=1)
    return texture[: shape[0], : shape[1]]


def nodata_wedge(shape: tuple[int, ...], rng: np.random.Generator) -> BoolArray:
    """Augmentation mask of a nodata half plane, as at a swath edge; (height, width), True = nodata."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    across = np.cos(angle) * (rows - shape[0] / 2) + np.sin(angle) * (cols - shape[1] / 2)
    return np.asarray(across > rng.uniform(0, 0.4) * shape[0])
