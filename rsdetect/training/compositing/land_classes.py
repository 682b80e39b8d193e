"""Land classes as soft clusters of the spectrum, and their drift from one day to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.vq import kmeans2
from scipy.ndimage import gaussian_filter, label

from rsdetect.arraytypes import BoolArray, Float32Array

_SPARSE = 11  # sampling interval of the pixels for the statistics of an image
_LEARNED = 6  # number of classes of a place with two dates


@dataclass(frozen=True)
class Drift:
    """Drift of land classes, linear per band and class: `centre + d` becomes `centre + offset + gain * d`."""

    centres: Float32Array  # (classes, bands)
    gains: Float32Array  # (classes, bands)
    offsets: Float32Array  # (classes, bands)
    softness: float = 0.5  # width of the transition between classes, in spreads

    def only(self, rows: Sequence[int]) -> Drift:
        """Drift of the land classes in these bands."""
        rows = list(rows)
        return Drift(self.centres[:, rows], self.gains[:, rows], self.offsets[:, rows], self.softness)

    def applied(self, pixels: Float32Array, strength: float = 1.0) -> Float32Array:
        """Apply the drift of land classes to `pixels` (bands, height, width)."""
        smooth = gaussian_filter(pixels, (0, 1.0, 1.0))
        weights = class_memberships(smooth, self.centres, self.softness)
        shape = pixels.shape
        gains = ((self.gains - 1) * strength).T @ weights
        # gain * (x - centre) + centre + offset, less x, is (gain - 1) * x + offset - (gain - 1) * centre.
        offsets = ((self.offsets - (self.gains - 1) * self.centres) * strength).T @ weights
        return np.asarray(pixels * (1 + gains.reshape(shape)) + offsets.reshape(shape), dtype=np.float32)


def class_memberships(pixels: Float32Array, centres: Float32Array, softness: float) -> Float32Array:
    """Soft membership of pixels in land classes, (classes, pixels); sums to 1 over the classes."""
    flat = pixels.reshape(pixels.shape[0], -1)
    distance = (centres**2).sum(axis=1)[:, None] - 2 * (centres @ flat)  # less |x|^2, the same for all
    distance -= distance.min(axis=0)
    weights = np.exp(distance * np.float32(-0.5 / (softness**2 * len(pixels))))
    weights /= weights.sum(axis=0)
    return np.asarray(weights, dtype=np.float32)


def draw_class_centres(pixels: Float32Array, count: int, rng: np.random.Generator) -> Float32Array:
    """Draw centres of land classes: spectra of `count` random, slightly smoothed pixels."""
    smooth = gaussian_filter(pixels[:, ::2, ::2], (0, 1.0, 1.0)).reshape(len(pixels), -1)
    return np.ascontiguousarray(smooth[:, rng.integers(0, smooth.shape[1], count)].T)


def random_drift(pixels: Float32Array, swing: float, rng: np.random.Generator) -> Drift:
    """Random seasonal drift of land classes: plants change more than soils, water least.

    Parameters
    ----------
    pixels
        (bands, height, width): red, green, blue, and near infrared where there are more, in spreads.
    swing
        Typical offset of a class of plants, in spreads.
    """
    centres = draw_class_centres(pixels, int(rng.integers(3, 8)), rng)
    classes, bands = centres.shape
    liveliness = np.where(greenness(centres.T) > 0.3, 1.0, 0.6) * swing
    common = rng.normal(0, 0.8, (classes, 1)) + rng.normal(0, 0.5, (classes, bands))
    offsets = liveliness[:, None] * common
    gains = np.exp(0.3 * liveliness[:, None] * rng.standard_normal((classes, bands)))
    return Drift(
        centres,
        gains.astype(np.float32),
        offsets.astype(np.float32),
        softness=float(rng.uniform(0.35, 0.9)),
    )


def greenness(pixels: Float32Array) -> Float32Array:
    """Greenness of land: near infrared - red, or 2 green - red - blue without near infrared; in spreads."""
    if len(pixels) > 3:
        return np.asarray(pixels[3] - pixels[0], dtype=np.float32)
    return np.asarray(2 * pixels[1] - pixels[0] - pixels[2], dtype=np.float32)


def parcel_drift(pixels: Float32Array, swing: float, rng: np.random.Generator) -> Float32Array:
    """Drift of green parcels, each with a different tone, as of different crops; (bands, height, width).

    An offset for `pixels`, 0 outside green land.
    """
    smooth = gaussian_filter(pixels, (0, 1.5, 1.5))
    centres = draw_class_centres(smooth, 6, rng)
    nearest = class_memberships(smooth, centres, 0.3).argmax(axis=0).reshape(pixels.shape[1:])
    parcels = np.zeros(nearest.shape, dtype=np.int32)
    count = 0
    for number in range(len(centres)):
        parts, found = label(nearest == number)
        parcels[parts > 0] = parts[parts > 0] + count
        count += found
    tones = rng.normal(0, swing, (count + 1, 1)) + rng.normal(0, 0.5 * swing, (count + 1, len(pixels)))
    green = np.clip(greenness(smooth) - 0.2, 0, 1)
    return np.asarray(tones.T.astype(np.float32)[:, parcels] * green, dtype=np.float32)


def drift_between(one: Float32Array, other: Float32Array, valid: BoolArray) -> Drift | None:
    """Measure the drift of land classes between two dates; None if too few pixels are valid.

    It is computed from medians and spreads of classes, so that changes between the dates have little effect.
    """
    here, there = (date[:, valid][:, ::_SPARSE] for date in (one, other))
    if here.shape[1] < 50 * _LEARNED:
        return None
    centres, member = kmeans2(np.clip(here.T, -5, 5), _LEARNED, seed=0, minit="++")
    kept, gains, offsets = [], [], []
    for number in range(_LEARNED):
        of = member == number
        if of.sum() < 50:
            continue
        low, middle, high = np.percentile(here[:, of], (16, 50, 84), axis=1)
        low2, middle2, high2 = np.percentile(there[:, of], (16, 50, 84), axis=1)
        kept.append(centres[number])
        gains.append(np.clip((high2 - low2) / np.maximum(high - low, 0.05), 0.5, 2.0))
        offsets.append(np.clip(middle2 - middle, -2.5, 2.5))
    table = np.array([kept, gains, offsets], dtype=np.float32)
    return Drift(table[0], table[1], table[2])
