"""Chips: windows of scenes with truth and weight, as input of the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.stats import robust_scale
from rsdetect.training.augment import CLIP, augment_date, drop_bands, nodata_wedge
from rsdetect.training.cropping import Crop, draw_crop
from rsdetect.training.training_scenes import UNKNOWN, TrainingScene


@dataclass(frozen=True)
class Chip:
    """Chip of both dates with truth and weight."""

    before: Float32Array  # (bands, size, size), standardised, 0 where not valid and in missing bands
    after: Float32Array  # as `before`
    truth: Float32Array  # (size, size), 1 = changed
    weight: Float32Array  # (size, size), 0 = ignored in the loss


@dataclass(frozen=True)
class Variation:
    """Variation of chips drawn from a scene; all are shares of the chips."""

    around_change: float = 0.0  # cropped around a changed pixel, if the scene has one
    as_is: float = 0.0  # tones not augmented
    resized: float = 0.8  # with another pixel size


def plain_chip(scene: TrainingScene, bands: tuple[str, ...]) -> Chip:
    """Chip of the whole scene, preprocessed as in inference, clouds unmasked; nothing is random.

    Parameters
    ----------
    bands
        Names of the network's bands, in order; missing ones are 0 on both dates.
    """
    dates = tuple(date.astype(np.float32) for date in (scene.before, scene.after))
    dates = tuple(_arrange_bands(_standardise_date(date, scene.valid), scene.bands, bands) for date in dates)
    return _assemble_chip(dates, scene.truth == 1, scene.valid, scene.cloud, scene.truth != UNKNOWN)


def training_chip(
    scene: TrainingScene,
    size: int,
    bands: tuple[str, ...],
    rng: np.random.Generator,
    how: Variation = Variation(),
) -> Chip:
    """Augmented chip of `size` pixels.

    Normalised by the statistics of the whole scene, as a job normalises its tiles.

    Parameters
    ----------
    bands
        As in `plain_chip`. Bands beyond red, green and blue are dropped at random.
    """
    scene = drop_bands(scene, rng)
    cut = draw_crop(scene.truth, size, rng, how.around_change, how.resized)
    unvaried = how.as_is > 0 and rng.random() < how.as_is
    dates = _unvaried_dates(scene, cut, bands) if unvaried else _varied_dates(scene, cut, bands, rng)
    valid, cloud, truth = (cut.share_of(mask) for mask in (scene.valid, scene.cloud, scene.truth == 1))
    masked = cloud > 0 if rng.random() < 0.5 else np.zeros((size, size), bool)
    if rng.random() < 0.15:
        masked |= nodata_wedge((size, size), rng)
    known = cut.share_of(scene.truth != UNKNOWN) > 0.99
    chip = _assemble_chip(dates, truth > 0.5, (valid > 0.99) & ~masked, cloud > 0, known)
    return _rotate_chip(chip, _draw_rotation(rng))


def unlabelled_chip_views(
    scene: TrainingScene, size: int, bands: tuple[str, ...], rng: np.random.Generator
) -> tuple[Chip, Chip]:
    """Two views of an unlabelled chip, for the consistency loss: as in inference, and augmented."""
    scene = drop_bands(scene, rng)
    cut = draw_crop(scene.truth, size, rng)
    strong = _varied_dates(scene, cut, bands, rng)
    weak = _unvaried_dates(scene, cut, bands)
    valid = cut.share_of(scene.valid) > 0.99
    nothing, turn = np.zeros((size, size), bool), _draw_rotation(rng)
    one, other = (
        _rotate_chip(_assemble_chip(dates, nothing, valid, nothing, ~nothing), turn)
        for dates in (weak, strong)
    )
    return one, other


def same_day_scene(scene: TrainingScene, rng: np.random.Generator) -> TrainingScene:
    """Scene for unchanged chips: one date used twice, before its tones are augmented."""
    date = scene.before if rng.random() < 0.5 else scene.after
    return replace(scene, before=date, after=date, truth=np.zeros_like(scene.truth))


def _unvaried_dates(scene: TrainingScene, cut: Crop, bands: tuple[str, ...]) -> list[Float32Array]:
    """Both dates of a chip, preprocessed as in inference."""
    return [
        _arrange_bands(
            cut.resized(cut.of(_standardise_date(date.astype(np.float32), scene.valid))), scene.bands, bands
        )
        for date in (scene.before, scene.after)
    ]


def _varied_dates(
    scene: TrainingScene, cut: Crop, bands: tuple[str, ...], rng: np.random.Generator
) -> list[Float32Array]:
    """Both dates of a chip, augmented independently, in random order, sometimes shifted."""
    moved = cut.moved(rng.integers(-2, 3, 2)) if rng.random() < 0.3 else cut
    dates = [
        _arrange_bands(augment_date(date, scene.valid, where, rng), scene.bands, bands)
        for date, where in ((scene.before, cut), (scene.after, moved))
    ]
    if rng.random() < 0.5:
        dates.reverse()
    return dates


def _arrange_bands(x: Float32Array, have: tuple[str, ...], wanted: tuple[str, ...]) -> Float32Array:
    """Arrange a chip's bands: (len(have), height, width) to (len(wanted), height, width), 0 if missing."""
    out = np.zeros((len(wanted), *x.shape[1:]), dtype=np.float32)
    for number, name in enumerate(wanted):
        if name in have:
            out[number] = x[have.index(name)]
    return out


def _assemble_chip(
    dates: Sequence[Float32Array], truth: BoolArray, valid: BoolArray, cloud: BoolArray, known: BoolArray
) -> Chip:
    """Assemble a chip; pixels that are not `valid` (nodata or masked) are 0 on both dates."""
    # Change under an unmasked cloud is invisible, so it is ignored; unchanged pixels under it still count.
    learnable = valid & known & ~(cloud & truth)
    before, after = (np.where(valid, date, np.float32(0)) for date in dates)
    return Chip(before, after, truth.astype(np.float32), learnable.astype(np.float32))


def _standardise_date(x: Float32Array, valid: BoolArray) -> Float32Array:
    """Standardise a chip's date as in inference: by median and percentiles of pixels valid on both dates."""
    if not valid.any():
        return np.zeros_like(x)
    centre, scale = (np.asarray(s)[:, None, None] for s in robust_scale(x[:, valid]))
    return np.asarray(np.clip((x - centre) / scale, -CLIP, CLIP), dtype=np.float32)


def _draw_rotation(rng: np.random.Generator) -> tuple[int, bool]:
    """Random rotation of a chip: number of quarter turns, and whether to mirror."""
    return int(rng.integers(4)), bool(rng.integers(2))


def _rotate_chip(chip: Chip, by: tuple[int, bool]) -> Chip:
    quarters, mirrored = by

    def turn(x: Float32Array) -> Float32Array:
        x = np.rot90(x, quarters, axes=(-2, -1))
        return np.ascontiguousarray(x[..., ::-1] if mirrored else x)

    return Chip(turn(chip.before), turn(chip.after), turn(chip.truth), turn(chip.weight))
