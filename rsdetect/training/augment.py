"""From a simulated scene to a training chip: crop, what the sensors and the years may do, normalise.

Everything is drawn from one generator, so that a chip is known by its seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.stats import robust_scale
from rsdetect.training.cropping import Cut, draw_cut
from rsdetect.training.scenes import UNKNOWN, TrainingScene

CLIP = 6.0  # standardised values beyond are cut, as in the card's scaling
VISIBLE = ("red", "green", "blue")
SPARSE = 4  # every so many rows and columns enter the statistics of a varied scene


@dataclass(frozen=True)
class Chip:
    """What the network is shown, and what it should say."""

    before: Float32Array  # (bands, size, size), standardised, 0 where not valid and in bands it lacks
    after: Float32Array  # likewise
    truth: Float32Array  # (size, size), 1 = changed
    weight: Float32Array  # (size, size), 0 where the truth is not to be learned from


@dataclass(frozen=True)
class Variation:
    """How chips are drawn from a scene; all are shares of the chips."""

    around_change: float = 0.0  # cut around a changed pixel, where the scene has one
    as_is: float = 0.0  # tones as inference would see them
    resized: float = 0.8  # pixels enlarged or reduced


def plain_chip(scene: TrainingScene, bands: tuple[str, ...]) -> Chip:
    """The whole scene as inference would see it, clouds unmasked; nothing is drawn.

    Parameters
    ----------
    bands
        Names of the network's bands, in order; those that the scene lacks are 0 on both dates.
    """
    dates = tuple(date.astype(np.float32) for date in (scene.before, scene.after))
    dates = tuple(_place(_standardise(date, scene.valid), scene.bands, bands) for date in dates)
    return _chip(dates, scene.truth == 1, scene.valid, scene.cloud, scene.truth != UNKNOWN)


def training_chip(
    scene: TrainingScene,
    size: int,
    bands: tuple[str, ...],
    rng: np.random.Generator,
    how: Variation = Variation(),
) -> Chip:
    """A varied chip of `size` pixels.

    Normalised by the statistics of the whole scene, which differ from those of the chip as the
    statistics of a job differ from those of its tiles.

    Parameters
    ----------
    bands
        As in `plain_chip`. Bands beyond red, green and blue are left out at random, as users lack them.
    """
    scene = _drop_bands(scene, rng)
    cut = draw_cut(scene.truth, size, rng, how.around_change, how.resized)
    as_seen = how.as_is > 0 and rng.random() < how.as_is
    dates = _as_seen(scene, cut, bands) if as_seen else _varied(scene, cut, bands, rng)
    valid, cloud, truth = (cut.share_of(mask) for mask in (scene.valid, scene.cloud, scene.truth == 1))
    masked = cloud > 0 if rng.random() < 0.5 else np.zeros((size, size), bool)
    if rng.random() < 0.15:
        masked |= _wedge((size, size), rng)
    known = cut.share_of(scene.truth != UNKNOWN) > 0.99
    chip = _chip(dates, truth > 0.5, (valid > 0.99) & ~masked, cloud > 0, known)
    return _turn(chip, _draw_turn(rng))


def two_views(
    scene: TrainingScene, size: int, bands: tuple[str, ...], rng: np.random.Generator
) -> tuple[Chip, Chip]:
    """The same window twice: as inference would see it, and varied. Neither carries truth."""
    scene = _drop_bands(scene, rng)
    cut = draw_cut(scene.truth, size, rng)
    strong = _varied(scene, cut, bands, rng)
    weak = _as_seen(scene, cut, bands)
    valid = cut.share_of(scene.valid) > 0.99
    nothing, turn = np.zeros((size, size), bool), _draw_turn(rng)
    one, other = (_turn(_chip(dates, nothing, valid, nothing, ~nothing), turn) for dates in (weak, strong))
    return one, other


def same_day(scene: TrainingScene, rng: np.random.Generator) -> TrainingScene:
    """One date of the scene twice: nothing has changed, whatever is done to its tones afterwards."""
    date = scene.before if rng.random() < 0.5 else scene.after
    return replace(scene, before=date, after=date, truth=np.zeros_like(scene.truth))


def _as_seen(scene: TrainingScene, cut: Cut, bands: tuple[str, ...]) -> list[Float32Array]:
    """Both dates of a window as inference would see them."""
    return [
        _place(cut.resized(cut.of(_standardise(date.astype(np.float32), scene.valid))), scene.bands, bands)
        for date in (scene.before, scene.after)
    ]


def _varied(
    scene: TrainingScene, cut: Cut, bands: tuple[str, ...], rng: np.random.Generator
) -> list[Float32Array]:
    """Both dates of a window, each varied on its own, in either order, shifted now and then."""
    moved = cut.moved(rng.integers(-2, 3, 2)) if rng.random() < 0.3 else cut
    dates = [
        _place(_vary(date, scene.valid, where, rng), scene.bands, bands)
        for date, where in ((scene.before, cut), (scene.after, moved))
    ]
    if rng.random() < 0.5:
        dates.reverse()
    return dates


def _drop_bands(scene: TrainingScene, rng: np.random.Generator) -> TrainingScene:
    """The scene with all its bands, with near infrared as the only one beyond the visible, or without."""
    if not set(VISIBLE) <= set(scene.bands):
        return scene  # a network for other bands, which may all be needed
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


def _chip(
    dates: Sequence[Float32Array], truth: BoolArray, valid: BoolArray, cloud: BoolArray, known: BoolArray
) -> Chip:
    """Put together a chip, whose pixels that are not `valid` (not data, or masked) are 0 on both dates."""
    # Change under an unmasked cloud cannot be seen; no change under it must not be called change.
    learnable = valid & known & ~(cloud & truth)
    before, after = (np.where(valid, date, np.float32(0)) for date in dates)
    return Chip(before, after, truth.astype(np.float32), learnable.astype(np.float32))


def _vary(date: NDArray[np.generic], valid: BoolArray, cut: Cut, rng: np.random.Generator) -> Float32Array:
    """Another tone curve, colour balance, sharpness and noise; then standardised with small errors.

    Tones are changed in the window and in a sparse sample of the scene alike: the statistics are those
    of the whole scene, and changing all of it would take longer than training on the chip.
    """
    bands = date.shape[0]
    sample = date[:, ::SPARSE, ::SPARSE][:, valid[::SPARSE, ::SPARSE]].astype(np.float32)
    x = cut.of(date).astype(np.float32)
    if not sample.size:
        return np.zeros((bands, cut.size, cut.size), np.float32)
    top = max(float(np.percentile(sample, 99.9)), 1.0)
    gamma = np.float32(np.exp(rng.normal(0, 0.18)))
    most = np.float32(rng.uniform(0.6, 1.0)) if rng.random() < 0.15 else np.float32(1)  # saturation
    mixing = _mixing(bands, rng)

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
        noise += _patches(x.shape[1:], rng) * np.float32(rng.exponential(0.12))
    return np.asarray(np.clip(x * gain + offset + noise, -CLIP, CLIP), dtype=np.float32)


def _mixing(bands: int, rng: np.random.Generator) -> Float32Array:
    """Other spectral responses, and visible bands that fade to grey as in old photographs."""
    alike = 0.05 if bands == len(VISIBLE) else 0.03  # beyond the visible, bands are less alike
    mixing = np.eye(bands) + rng.normal(0, alike, (bands, bands))
    if bands == len(VISIBLE) and rng.random() < 0.15:
        fade = rng.uniform(0, 0.6)
        mixing = (1 - fade) * mixing + fade / bands
    return mixing.astype(np.float32)


def _standardise(x: Float32Array, valid: BoolArray) -> Float32Array:
    """As inference does it: by median and percentiles of the pixels valid on both dates."""
    if not valid.any():
        return np.zeros_like(x)
    centre, scale = (np.asarray(s)[:, None, None] for s in robust_scale(x[:, valid]))
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


def _draw_turn(rng: np.random.Generator) -> tuple[int, bool]:
    """Quarter turns, and whether to mirror."""
    return int(rng.integers(4)), bool(rng.integers(2))


def _turn(chip: Chip, by: tuple[int, bool]) -> Chip:
    quarters, mirrored = by

    def turn(x: Float32Array) -> Float32Array:
        x = np.rot90(x, quarters, axes=(-2, -1))
        return np.ascontiguousarray(x[..., ::-1] if mirrored else x)

    return Chip(turn(chip.before), turn(chip.after), turn(chip.truth), turn(chip.weight))
