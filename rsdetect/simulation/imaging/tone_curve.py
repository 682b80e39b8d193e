"""The tone of 8-bit pictures: stretch, gamma, colour, and what age does to film."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import power

_TABLE_END, _TABLE_STEPS = 4.0, 4096  # of the root of the share of white
_SPARSE = 5  # every so many pixels are looked at for a stretch


class Stretch(Enum):
    """Where a picture's black and white come from."""

    FIXED = "the same reflectance everywhere"
    JOINT = "percentiles of the scene, one pair for all bands"
    EACH = "percentiles of the scene, a pair for each band"
    GREY = "the scene's means made grey"


@dataclass(frozen=True)
class Tone:
    """From reflectance to an 8-bit picture. Per-band arrays are red, green, blue and near infrared."""

    stretch: Stretch
    low: Float32Array  # (4,) reflectance shown as black where the stretch is fixed
    high: Float32Array  # (4,) reflectance shown as white where the stretch is fixed
    percent: tuple[float, float]  # shown as black and as white where it is measured
    room: float  # share of that span that is left free at either end
    weight: float  # of what is measured here; the rest of a product reaches far beyond the scene
    gamma: float
    mix: Float32Array  # (3, 3) from true to recorded red, green, blue; rows sum to one
    lift: Float32Array  # (4,) what black has become, 0 = black
    top: Float32Array  # (4,) what white has become, 1 = white


@dataclass(frozen=True)
class Limits:
    """The reflectance that is shown as black and as white."""

    low: Float32Array  # (bands,)
    high: Float32Array  # (bands,)


def measure_limits(bands: list[Float32Array], tone: Tone) -> Limits:
    """Black and white of a picture whose scene is `bands`: red, green, blue and maybe near infrared."""
    fixed = tone.low[: len(bands)], tone.high[: len(bands)]
    if tone.stretch is Stretch.FIXED:
        return Limits(*fixed)
    seen = np.stack([band.ravel()[::_SPARSE] for band in bands])
    low, high = (np.percentile(seen, p, axis=1) for p in tone.percent)
    if tone.stretch is Stretch.JOINT:
        # Near infrared is so much brighter over plants that it keeps limits of its own.
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
    """The 0 to 255 numbers of a picture, still float and not yet cut off above."""
    lifted = [
        _curved((band - low) / (high - low), tone.gamma)
        for band, low, high in zip(bands, limits.low, limits.high, strict=True)
    ]
    red, green, blue = lifted[:3]
    mixed = [row[0] * red + row[1] * green + row[2] * blue for row in tone.mix]
    return [
        255 * (lift + (top - lift) * band)
        for band, lift, top in zip([*mixed, *lifted[3:]], tone.lift, tone.top, strict=False)
    ]


def _curved(share: Float32Array, gamma: float) -> Float32Array:
    """`share` to the power of `gamma` out of a table, cut off below 0 and far beyond white."""
    # The curve is far straighter over the root than over the share itself.
    place = np.sqrt(np.clip(share, 0, _TABLE_END * _TABLE_END))
    place *= np.float32(_TABLE_STEPS / _TABLE_END)
    node = place.astype(np.int32)
    place -= node
    values, rises = _table(gamma)
    place *= np.take(rises, node)
    place += np.take(values, node)
    return place


@lru_cache(maxsize=8)
def _table(gamma: float) -> tuple[Float32Array, Float32Array]:
    """(nodes,) powers of the squares of evenly spaced roots, and the rise from each to the next."""
    roots = np.arange(_TABLE_STEPS + 2) * (_TABLE_END / _TABLE_STEPS)
    values = power(roots, 2 * gamma).astype(np.float32)
    return values[:-1], np.diff(values)


def colour_mix(rng: Draws, far: float, saturation: float) -> Float32Array:
    """Saturation and crosstalk of an 8-bit product: rows sum to one, so that grey stays grey."""
    grey: NDArray[np.float64] = np.full((3, 3), 1 / 3)
    mix = saturation * np.eye(3) + (1 - saturation) * grey + rng.normal(0, 0.025 * far, (3, 3))
    return np.asarray(mix / mix.sum(axis=1, keepdims=True), dtype=np.float32)
