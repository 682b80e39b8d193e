"""From a simulated scene to a training chip: crop, what the sensors and the years may do, normalise.

Everything is drawn from one generator, so that a chip is known by its seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from rsdetect.stats import robust_scale
from rsdetect.tiles import BoolArray, Float32Array
from rsdetect.training.scenes import Scene

CLIP = 6.0  # standardised values beyond are cut, as in the card's scaling
VISIBLE = ("red", "green", "blue")
SPARSE = 7  # every so many pixels enter a percentile: sorting all would cost more than everything else


@dataclass(frozen=True)
class Chip:
    """What the network is shown, and what it should say."""

    before: Float32Array  # (bands, size, size), standardised, 0 where not valid and in bands it lacks
    after: Float32Array  # likewise
    truth: Float32Array  # (size, size), 1 = changed
    weight: Float32Array  # (size, size), 0 where the truth is not to be learned from


def plain_chip(scene: Scene, bands: tuple[str, ...]) -> Chip:
    """The whole scene as inference would see it, clouds unmasked; nothing is drawn.

    Parameters
    ----------
    bands
        Names of the network's bands, in order; those that the scene lacks are 0 on both dates.
    """
    dates = tuple(date.astype(np.float32) for date in (scene.before, scene.after))
    before, after = (_place(_standardise(date, scene.valid), scene.bands, bands) for date in dates)
    return _chip(before, after, scene, np.zeros_like(scene.cloud))


def training_chip(scene: Scene, size: int, bands: tuple[str, ...], rng: np.random.Generator) -> Chip:
    """A varied chip of `size` pixels.

    Normalised by the statistics of the whole scene, which differ from those of the chip as the
    statistics of a job differ from those of its tiles.

    Parameters
    ----------
    bands
        As in `plain_chip`. Bands beyond red, green and blue are left out at random, as users lack them.
    """
    scene = _drop_bands(scene, rng)
    dates = [
        _place(_vary(date, scene.valid, rng), scene.bands, bands) for date in (scene.before, scene.after)
    ]
    if rng.random() < 0.3:
        dates[1] = np.roll(dates[1], rng.integers(-2, 3, 2), axis=(1, 2))
    if rng.random() < 0.5:
        dates.reverse()
    masked = scene.cloud if rng.random() < 0.5 else np.zeros_like(scene.cloud)
    if rng.random() < 0.15:
        masked = masked | _wedge(scene.truth.shape, rng)
    chip = _chip(dates[0], dates[1], scene, masked)
    return _turn(_crop(chip, size, rng), rng)


def _drop_bands(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with all its bands, with near infrared as the only one beyond the visible, or without."""
    kept = (scene.bands, (*VISIBLE, "nir"), VISIBLE)[int(rng.choice(3, p=(0.5, 0.25, 0.25)))]
    rows = [number for number, name in enumerate(scene.bands) if name in kept]
    return replace(
        scene,
        before=scene.before[rows],
        after=scene.after[rows],
        bands=tuple(scene.bands[number] for number in rows),
    )


def _place(x: Float32Array, have: tuple[str, ...], wanted: tuple[str, ...]) -> Float32Array:
    """(len(have), height, width) to (len(wanted), height, width), 0 in bands that are not there."""
    out = np.zeros((len(wanted), *x.shape[1:]), dtype=np.float32)
    for number, name in enumerate(wanted):
        if name in have:
            out[number] = x[have.index(name)]
    return out


def _chip(before: Float32Array, after: Float32Array, scene: Scene, masked: BoolArray) -> Chip:
    valid = scene.valid & ~masked
    # Change under an unmasked cloud cannot be seen; no change under it must not be called change.
    learnable = valid & ~(scene.cloud & (scene.truth > 0))
    return Chip(
        np.where(valid, before, np.float32(0)),
        np.where(valid, after, np.float32(0)),
        scene.truth.astype(np.float32),
        learnable.astype(np.float32),
    )


def _vary(date: NDArray[np.unsignedinteger], valid: BoolArray, rng: np.random.Generator) -> Float32Array:
    """Another tone curve, colour balance, sharpness and noise; then standardised with small errors."""
    x = date.astype(np.float32)
    top = float(np.percentile(x[:, valid][:, ::SPARSE], 99.9)) if valid.any() else 1.0
    x = np.clip(x / max(top, 1.0), 0, 1) ** np.float32(np.exp(rng.normal(0, 0.3)))  # gamma
    if rng.random() < 0.3:  # the sensor saturates
        x = np.minimum(x, np.float32(rng.uniform(0.5, 1.0)))
    bands = x.shape[0]
    x = np.tensordot(_mixing(bands, rng), x, axes=1)
    if rng.random() < 0.3:
        x = gaussian_filter(x, (0, *[rng.uniform(0.3, 1.5)] * 2))
    x = _standardise(x, valid)
    gain = np.exp(rng.normal(0, 0.12, (bands, 1, 1)))
    offset = rng.normal(0, 0.15, (bands, 1, 1))
    noise = rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.exponential(0.06))
    if rng.random() < 0.5:
        noise += _patches(x.shape[1:], rng) * np.float32(rng.exponential(0.2))
    return np.asarray(np.clip(x * gain + offset + noise, -CLIP, CLIP), dtype=np.float32)


def _mixing(bands: int, rng: np.random.Generator) -> Float32Array:
    """Other spectral responses, and visible bands that fade to grey as in old photographs."""
    alike = 0.08 if bands == len(VISIBLE) else 0.03  # beyond the visible, bands are less alike
    mixing = np.eye(bands) + rng.normal(0, alike, (bands, bands))
    if bands == len(VISIBLE) and rng.random() < 0.3:
        fade = rng.uniform(0, 0.6)
        mixing = (1 - fade) * mixing + fade / bands
    return mixing.astype(np.float32)


def _standardise(x: Float32Array, valid: BoolArray) -> Float32Array:
    """As inference does it: by median and percentiles of the pixels valid on both dates."""
    if not valid.any():
        return np.zeros_like(x)
    centre, scale = (np.asarray(s)[:, None, None] for s in robust_scale(x[:, valid][:, ::SPARSE]))
    return np.asarray(np.clip((x - centre) / scale, -CLIP, CLIP), dtype=np.float32)


def _patches(shape: tuple[int, ...], rng: np.random.Generator) -> Float32Array:
    """Grey texture of a random grain, (height, width): real ground never looks twice the same."""
    grain = 2 ** int(rng.integers(1, 7))  # pixels
    coarse = rng.standard_normal([edge // grain + 2 for edge in shape], dtype=np.float32)
    texture: Float32Array = zoom(coarse, grain, order=1)
    return texture[: shape[0], : shape[1]]


def _wedge(shape: tuple[int, ...], rng: np.random.Generator) -> BoolArray:
    """A half plane without data, as at the slanted edge of a swath; (height, width), True = no data."""
    angle = rng.uniform(0, 2 * np.pi)
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    across = np.cos(angle) * (rows - shape[0] / 2) + np.sin(angle) * (cols - shape[1] / 2)
    return np.asarray(across > rng.uniform(0, 0.4) * shape[0])


def _crop(chip: Chip, size: int, rng: np.random.Generator) -> Chip:
    """A random window, enlarged or reduced to `size` pixels by up to a quarter."""
    edge = chip.truth.shape[0]
    wanted = round(size * float(np.exp(rng.uniform(-0.25, 0.25)))) if rng.random() < 0.5 else size
    wanted = min(wanted, edge)
    row, col = rng.integers(0, edge - wanted + 1, 2)
    window = (..., slice(row, row + wanted), slice(col, col + wanted))

    def cut(x: Float32Array, order: int) -> Float32Array:
        if wanted == size:
            return x[window]
        factors = (1,) * (x.ndim - 2) + (size / wanted,) * 2
        resized: Float32Array = zoom(x[window], factors, order=order, grid_mode=True, mode="nearest")
        return resized

    return Chip(cut(chip.before, 1), cut(chip.after, 1), cut(chip.truth, 0), cut(chip.weight, 0))


def _turn(chip: Chip, rng: np.random.Generator) -> Chip:
    quarters, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def turn(x: Float32Array) -> Float32Array:
        x = np.rot90(x, quarters, axes=(-2, -1))
        return np.ascontiguousarray(x[..., ::-1] if mirrored else x)

    return Chip(turn(chip.before), turn(chip.after), turn(chip.truth), turn(chip.weight))
