"""Tone curve of 8-bit pictures: stretch, gamma, colour, and faded film."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import power

_TABLE_END, _TABLE_STEPS = 4.0, 4096  # of the square root of the share of white
_SPARSE = 5  # sampling interval of the pixels that define a stretch


class Stretch(Enum):
    """Stretch of a picture: source of its black and white points."""

    FIXED = "the same reflectance everywhere"
    JOINT = "percentiles of the scene, one pair for all bands"
    EACH = "percentiles of the scene, a pair for each band"
    GREY = "the scene's means made grey"


@dataclass(frozen=True)
class Tone:
    """Tone curve from reflectance to an 8-bit picture; arrays are red, green, blue and near infrared."""

    stretch: Stretch
    low: Float32Array  # (4,) reflectance shown as black where the stretch is fixed
    high: Float32Array  # (4,) reflectance shown as white where the stretch is fixed
    percent: tuple[float, float]  # percentiles shown as black and as white where the stretch is measured
    room: float  # share of that span added at either end
    weight: float  # weight of the scene's percentiles; the rest follows the whole product
    gamma: float
    mix: Float32Array  # (3, 3) from true to recorded red, green, blue; rows sum to one
    lift: Float32Array  # (4,) level of black, 0 = black
    top: Float32Array  # (4,) level of white, 1 = white


@dataclass(frozen=True)
class Limits:
    """Limits of a tone curve: reflectance shown as black and as white."""

    low: Float32Array  # (bands,)
    high: Float32Array  # (bands,)


def measure_limits(bands: list[Float32Array], tone: Tone) -> Limits:
    """Measure the limits of a tone curve on `bands`: red, green, blue, optionally near infrared."""
    fixed = tone.low[: len(bands)], tone.high[: len(bands)]
    if tone.stretch is Stretch.FIXED:
        return Limits(*fixed)
    seen = np.stack([band.ravel()[::_SPARSE] for band in bands])
    low, high = (np.percentile(seen, p, axis=1) for p in tone.percent)
    if tone.stretch is Stretch.JOINT:
        # Near infrared is so much brighter over plants that it has separate limits.
        low[:3], high[:3] = low[:3].min(), high[:3].max()
    if tone.stretch is Stretch.GREY:
        rise = seen.mean(axis=1) - low
        high = low + rise * np.median((high - low) / np.maximum(rise, 1e-4))
    span = high - low
    low, high = (
        tone.weight * here + (1 - tone.weight) * usual
        for here, usual in zip((low - tone.room * span, high + tone.room * span), fixed, strict=True)
    )
    high = np.maximum(high, low + 0.02)
    return Limits(low.astype(np.float32), high.astype(np.float32))


def apply_tone(bands: list[Float32Array], tone: Tone, limits: Limits) -> list[Float32Array]:
    """Apply a tone curve: the 0 to 255 numbers of a picture, still float and not clipped above."""
    lifted = [
        _gamma_curve((band - low) / (high - low), tone.gamma)
        for band, low, high in zip(bands, limits.low, limits.high, strict=True)
    ]
    red, green, blue = lifted[:3]
    mixed = [row[0] * red + row[1] * green + row[2] * blue for row in tone.mix]
    return [
        255 * (lift + (top - lift) * band)
        for band, lift, top in zip([*mixed, *lifted[3:]], tone.lift, tone.top, strict=False)
    ]


def _gamma_curve(share: Float32Array, gamma: float) -> Float32Array:
    """Tone curve `share ** gamma` from a table, clipped below 0 and far above white."""
    # The curve is closer to linear in the root than in the share.
    place = np.sqrt(np.clip(share, 0, _TABLE_END * _TABLE_END))
    place *= np.float32(_TABLE_STEPS / _TABLE_END)
    node = place.astype(np.int32)
    place -= node
    values, rises = _gamma_table(gamma)
    place *= np.take(rises, node)
    place += np.take(values, node)
    return place


@lru_cache(maxsize=8)
def _gamma_table(gamma: float) -> tuple[Float32Array, Float32Array]:
    """Table of a gamma tone curve: values at evenly spaced roots and their differences, each (nodes,)."""
    roots = np.arange(_TABLE_STEPS + 2) * (_TABLE_END / _TABLE_STEPS)
    values = power(roots, 2 * gamma).astype(np.float32)
    return values[:-1], np.diff(values)


def colour_matrix(rng: Draws, far: float, saturation: float) -> Float32Array:
    """Colour matrix of a tone: saturation and crosstalk; rows sum to one, so that grey stays grey."""
    grey: NDArray[np.float64] = np.full((3, 3), 1 / 3)
    mix = saturation * np.eye(3) + (1 - saturation) * grey + rng.normal(0, 0.025 * far, (3, 3))
    return np.asarray(mix / mix.sum(axis=1, keepdims=True), dtype=np.float32)
