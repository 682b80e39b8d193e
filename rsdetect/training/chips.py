"""Chips: what the network is shown of a scene, and what it should say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.stats import robust_scale
from rsdetect.training.augment import CLIP, drop_bands, vary, wedge
from rsdetect.training.cropping import Cut, draw_cut
from rsdetect.training.scenes import UNKNOWN, TrainingScene


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
    scene = drop_bands(scene, rng)
    cut = draw_cut(scene.truth, size, rng, how.around_change, how.resized)
    as_seen = how.as_is > 0 and rng.random() < how.as_is
    dates = _as_seen(scene, cut, bands) if as_seen else _varied(scene, cut, bands, rng)
    valid, cloud, truth = (cut.share_of(mask) for mask in (scene.valid, scene.cloud, scene.truth == 1))
    masked = cloud > 0 if rng.random() < 0.5 else np.zeros((size, size), bool)
    if rng.random() < 0.15:
        masked |= wedge((size, size), rng)
    known = cut.share_of(scene.truth != UNKNOWN) > 0.99
    chip = _chip(dates, truth > 0.5, (valid > 0.99) & ~masked, cloud > 0, known)
    return _turn(chip, _draw_turn(rng))


def two_views(
    scene: TrainingScene, size: int, bands: tuple[str, ...], rng: np.random.Generator
) -> tuple[Chip, Chip]:
    """The same window twice: as inference would see it, and varied. Neither carries truth."""
    scene = drop_bands(scene, rng)
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
        _place(vary(date, scene.valid, where, rng), scene.bands, bands)
        for date, where in ((scene.before, cut), (scene.after, moved))
    ]
    if rng.random() < 0.5:
        dates.reverse()
    return dates


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


def _standardise(x: Float32Array, valid: BoolArray) -> Float32Array:
    """As inference does it: by median and percentiles of the pixels valid on both dates."""
    if not valid.any():
        return np.zeros_like(x)
    centre, scale = (np.asarray(s)[:, None, None] for s in robust_scale(x[:, valid]))
    return np.asarray(np.clip((x - centre) / scale, -CLIP, CLIP), dtype=np.float32)


def _draw_turn(rng: np.random.Generator) -> tuple[int, bool]:
    """Quarter turns, and whether to mirror."""
    return int(rng.integers(4)), bool(rng.integers(2))


def _turn(chip: Chip, by: tuple[int, bool]) -> Chip:
    quarters, mirrored = by

    def turn(x: Float32Array) -> Float32Array:
        x = np.rot90(x, quarters, axes=(-2, -1))
        return np.ascontiguousarray(x[..., ::-1] if mirrored else x)

    return Chip(turn(chip.before), turn(chip.after), turn(chip.truth), turn(chip.weight))
