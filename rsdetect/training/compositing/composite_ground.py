"""Ground of a composite scene: a standardised crop of a source image, and its exposure on two days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.training.compositing.acquisition_day import MARGIN_PX, draw_days, expose_day
from rsdetect.training.compositing.dead_leaves import one_over_f_noise
from rsdetect.training.compositing.land_classes import (
    Drift,
    class_memberships,
    draw_class_centres,
    parcel_drift,
    random_drift,
)
from rsdetect.training.compositing.moved_pieces import Grounds
from rsdetect.training.compositing.source_images import (
    VISIBLE,
    Image,
    ImageCrop,
    draw_image_crop,
    take_image_crop,
)
from rsdetect.training.training_scenes import TrainingScene

_LEAST_VALID = 0.9  # required share of valid pixels of a crop
_TRIES = 12  # number of crops drawn to find such a one; else the best is taken


@dataclass(frozen=True)
class Ground:
    """Ground: a standardised crop of a source image."""

    pixels: Float32Array  # (bands, edge, edge), mean 0 and deviation about 1
    valid: BoolArray
    image: Image  # with the bands of `pixels`
    cut: ImageCrop
    mean: Float32Array  # (bands, 1, 1) of the crop in units of the image: pixels = (crop - mean) / deviation
    deviation: Float32Array  # (bands, 1, 1)

    def drift(self, rng: np.random.Generator) -> Drift | None:
        """Measured drift of a composite scene's ground to another date, in units of `pixels`, or None."""
        if not self.image.drifts:
            return None
        known = self.image.drifts[int(rng.integers(len(self.image.drifts)))]
        mean, deviation = self.mean[:, 0, 0], self.deviation[:, 0, 0]
        return Drift((known.centres - mean) / deviation, known.gains, known.offsets / deviation)


def draw_ground(image: Image, edge: int, steps: tuple[float, float], rng: np.random.Generator) -> Ground:
    """Draw the ground of a composite scene of `edge` x `edge` pixels.

    Parameters
    ----------
    steps
        Image pixels per pixel of the ground, from and to; below 1 enlarges.
    """
    pixels, valid, cut = usable_crop(image, edge, steps, rng)
    if cut.step < 0.7:
        pixels = _add_fine_detail(pixels, cut.step, rng)
    mean = pixels.mean(axis=(1, 2), keepdims=True)
    # Limits the gain, so that noise of calm water is not amplified to the contrast of land.
    deviation = np.maximum(pixels.std(axis=(1, 2), keepdims=True), 0.3)
    return Ground(((pixels - mean) / deviation).astype(np.float32), valid, image, cut, mean, deviation)


def other_day(ground: Ground, image: Image) -> tuple[Float32Array, BoolArray]:
    """Crop of another date of a ground's place, in its units, with the fine detail that was added to it.

    Returns
    -------
    tuple
        Pixels (bands, edge, edge) float32, and which of them are valid.
    """
    edge = ground.valid.shape[0]
    shown, _ = take_image_crop(ground.image, ground.cut, edge)
    pixels, valid = take_image_crop(image.only(ground.image.bands), ground.cut, edge)
    detail = ground.pixels - (shown - ground.mean) / ground.deviation
    return (pixels - ground.mean) / ground.deviation + detail, valid


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


def usable_crop(
    image: Image, edge: int, steps: tuple[float, float], rng: np.random.Generator
) -> tuple[Float32Array, BoolArray, ImageCrop]:
    """Crop of an image for a composite scene, with few invalid pixels, its validity, and its position."""
    best: tuple[Float32Array, BoolArray, ImageCrop] | None = None
    for _ in range(_TRIES):
        cut = draw_image_crop(image, edge, rng, steps)
        pixels, valid = take_image_crop(image, cut, edge)
        if best is None or valid.mean() > best[1].mean():
            best = pixels, valid, cut
        if valid.mean() >= _LEAST_VALID:
            break
    assert best is not None
    return best


def expose_scene(
    ground: Ground, grounds: Grounds, swing: float, size: int, rng: np.random.Generator
) -> TrainingScene:
    """Expose both dates of a composite scene: the land's drift, then two acquisition days.

    Parameters
    ----------
    swing
        Drift of the land's tones between the dates, in spreads.
    size
        Edge in pixels of the scene, without the margin of `grounds`.
    """
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
