"""Composite scene for training: ground, change, two days. Equal seeds and images give equal pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.training.compositing.acquisition_day import MARGIN_PX, draw_days, expose_day
from rsdetect.training.compositing.buildings import draw_settlement
from rsdetect.training.compositing.dead_leaves import dead_leaves, one_over_f_noise
from rsdetect.training.compositing.land_classes import (
    Drift,
    class_memberships,
    draw_class_centres,
    parcel_drift,
    random_drift,
)
from rsdetect.training.compositing.moved_pieces import Donor, Grounds, move_pieces
from rsdetect.training.compositing.source_images import (
    FINEST_STEP,
    VISIBLE,
    Image,
    draw_image_crop,
    take_image_crop,
)
from rsdetect.training.training_scenes import TrainingScene

_UNCHANGED = 0.2  # share of pairs without any change
_LEAST_VALID = 0.9  # required share of valid pixels of a crop
_TRIES = 12  # number of crops drawn to find such a one; else the best is taken
_SCATTERED_PX = 160  # edge of the dead leaves image that pieces are cut from


@dataclass(frozen=True)
class _Ground:
    pixels: Float32Array  # (bands, edge, edge), mean 0 and deviation about 1
    valid: BoolArray
    image: Image  # with the bands of `pixels`
    mean: Float32Array  # (bands, 1, 1) of the crop in units of the image: pixels = (crop - mean) / deviation
    deviation: Float32Array  # (bands, 1, 1)

    def drift(self, rng: np.random.Generator) -> Drift | None:
        """Measured drift of a composite scene's ground to another date, in units of `pixels`, or None."""
        if not self.image.drifts:
            return None
        known = self.image.drifts[int(rng.integers(len(self.image.drifts)))]
        mean, deviation = self.mean[:, 0, 0], self.deviation[:, 0, 0]
        return Drift((known.centres - mean) / deviation, known.gains, known.offsets / deviation)


def cut_scene(seed: int, size: int, images: Sequence[Image], leaves: float = 0.3) -> TrainingScene:
    """Composite scene number `seed` of `size` x `size` pixels, cut from images.

    Parameters
    ----------
    images
        Real ground; empty = dead leaves only.
    leaves
        Share of pairs on dead leaves if there are images.
    """
    rng = np.random.default_rng([seed, 11])
    real = bool(images) and rng.random() >= leaves
    edge = size + 2 * MARGIN_PX
    image = images[_draw_image_index(images, rng)] if real else dead_leaves(round(1.5 * edge), rng)
    # Dead leaves already have fine detail; enlarged, their edges would be pixelated.
    ground = _draw_ground(
        image.only(_draw_scene_bands(image.bands, rng)), edge, FINEST_STEP if real else 0.75, rng
    )
    swing = float(min(rng.exponential(0.4), 1.2)) if rng.random() < 0.85 else 0.0
    grounds = Grounds.unchanged(ground.pixels)
    _draw_change(grounds, _make_donor(ground, images, rng), swing, rng)
    return _expose_scene(ground, grounds, swing, size, rng)


def _draw_image_index(images: Sequence[Image], rng: np.random.Generator) -> int:
    """Draw the index of a composite scene's source image, with weights between uniform and area."""
    weights = np.array([image.valid.sum() ** 0.5 for image in images])
    return int(rng.choice(len(images), p=weights / weights.sum()))


def _draw_scene_bands(bands: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    return VISIBLE if rng.random() < 0.4 else bands


def _draw_ground(image: Image, edge: int, finest: float, rng: np.random.Generator) -> _Ground:
    steps = (finest, 1.6) if rng.random() < 0.8 else (0.8, 1.3)
    pixels, valid, step = _usable_crop(image, edge, steps, rng)
    if step < 0.7:
        pixels = _add_fine_detail(pixels, step, rng)
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    # Limits the gain, so that noise of calm water is not amplified to the contrast of land.
    deviation = np.maximum(pixels.std(axis=(1, 2), keepdims=True), 0.3)
    return _Ground(((pixels - mean) / deviation).astype(np.float32), valid, image, mean, deviation)


def _add_fine_detail(pixels: Float32Array, step: float, rng: np.random.Generator) -> Float32Array:
    """Add fine detail to a composite scene's enlarged crop: sharp class borders, and texture within."""
    centres = draw_class_centres(pixels, int(rng.integers(6, 20)), rng)
    crisp = class_memberships(gaussian_filter(pixels, (0, 1.0, 1.0)), centres, 0.1)
    posterised = gaussian_filter((centres.T @ crisp).reshape(pixels.shape), (0, 0.6, 0.6))
    share = np.float32(rng.uniform(0, 0.9) * min(1.0, 2 * (0.75 - step)))
    pixels = pixels + share * (posterised - pixels)
    detail = one_over_f_noise(pixels.shape[1], rng.uniform(0.4, 1.2), rng)
    strength = (rng.exponential(0.25, len(centres)).astype(np.float32) @ crisp).reshape(detail.shape)
    return np.asarray(pixels + (1 - step) * strength * detail, dtype=np.float32)


def _make_donor(ground: _Ground, images: Sequence[Image], rng: np.random.Generator) -> Donor:
    """Donor of content for a composite scene: mostly of the same image, else of another or of dead leaves."""
    bands = ground.image.bands
    others = [other.only(bands) for other in images if set(bands) <= set(other.bands)]
    scattered = dead_leaves(_SCATTERED_PX, rng).only(bands) if rng.random() < 0.3 else None

    def donate(height: int, width: int) -> Float32Array:
        edge = max(height, width, 4)
        chosen, kind = ground.image, rng.random()
        if others and kind < 0.4:
            chosen = others[int(rng.integers(len(others)))]
        elif scattered is not None and kind < 0.6 and edge < _SCATTERED_PX:
            chosen = scattered
        pixels = _usable_crop(chosen, edge, (FINEST_STEP, 1.6), rng)[0][:, :height, :width]
        return (pixels - ground.mean) / ground.deviation if chosen is ground.image else pixels

    return donate


def _usable_crop(
    image: Image, edge: int, steps: tuple[float, float], rng: np.random.Generator
) -> tuple[Float32Array, BoolArray, float]:
    """Crop of an image for a composite scene, with few invalid pixels, its validity, and its scale."""
    best: tuple[Float32Array, BoolArray, float] | None = None
    for _ in range(_TRIES):
        cut = draw_image_crop(image, edge, rng, steps)
        pixels, valid = take_image_crop(image, cut, edge)
        if best is None or valid.mean() > best[1].mean():
            best = pixels, valid, cut.step
        if valid.mean() >= _LEAST_VALID:
            break
    assert best is not None
    return best


def _draw_change(grounds: Grounds, donor: Donor, swing: float, rng: np.random.Generator) -> None:
    kind = rng.random()
    if rng.random() < 0.35:
        draw_settlement(grounds, 0.0 if kind < _UNCHANGED else float(rng.uniform(0.1, 0.9)), rng)
    if kind < _UNCHANGED:
        return
    few, many = int(rng.integers(1, 7)), int(rng.integers(7, 30))
    move_pieces(grounds, few if rng.random() < 0.6 else many, donor, swing, rng)


def _expose_scene(
    ground: _Ground, grounds: Grounds, swing: float, size: int, rng: np.random.Generator
) -> TrainingScene:
    bands = len(ground.pixels)
    after = grounds.after
    known = ground.drift(rng) if rng.random() < 0.5 else None
    if known is not None:
        after = known.applied(after, float(rng.uniform(0.4, 1.1)))
    elif swing:
        after = random_drift(grounds.before, swing, rng).applied(after)
    if swing and rng.random() < 0.4:
        after = after + parcel_drift(after, 0.5 * swing, rng)
    dtype = np.uint8 if bands == len(VISIBLE) or rng.random() < 0.5 else np.uint16
    days = draw_days(bands, rng)
    dates = [
        expose_day(date, day, dtype, rng) for date, day in zip((grounds.before, after), days, strict=True)
    ]
    inner = np.s_[MARGIN_PX : MARGIN_PX + size, MARGIN_PX : MARGIN_PX + size]
    valid = ground.valid[inner]
    for date in dates:
        date[:, ~valid] = 0
    if rng.random() < 0.5:
        dates.reverse()
    return TrainingScene(
        before=dates[0],
        after=dates[1],
        truth=(grounds.truth[inner] & valid).astype(np.uint8),
        valid=valid,
        cloud=grounds.doubtful[inner] & valid,
        bands=ground.image.bands,
    )
