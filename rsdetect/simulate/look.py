"""How one date looks: season, sun, haze, tone of the sensor; the same everywhere in a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.materials import Season, dated_palette
from rsdetect.simulate.spec import SceneSpec

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class Look:
    """One date's season, light and sensor. Per-band arrays are in the order of `materials.BANDS`."""

    season: Season
    palette: Float32Array  # (materials, 7) reflectance
    sun: tuple[float, float]  # unit vector on the ground towards the sun (south, east)
    sun_tan: float  # tangent of the sun's elevation
    skylight: Float32Array  # (7,) light left in a shadow, share of full light
    lean: tuple[float, float]  # metres (south, east) that a roof leans per metre of height
    haze: Float32Array  # (7,) reflectance added by clear air and haze
    haze_swing: float  # relative change of haze over kilometres
    gain: Float32Array  # (7,) relative
    gamma: float  # of the 8-bit tone curve
    brightness: float  # of the 8-bit tone curve
    black: float  # reflectance that the 8-bit tone curve shows as black
    mix: Float32Array  # (3, 3) from true to recorded red, green, blue
    blur_px: float  # standard deviation of the point spread
    sharpen: float  # strength of the producer's sharpening, 0 = none
    noise: float  # standard deviation in reflectance
    jpeg: float  # coarseness of the 8-bit product's compression in its numbers, 0 = none
    stripe: float  # standard deviation of column stripes in reflectance
    shift_px: tuple[float, float]  # (rows, columns) the image is moved down and right


def draw_looks(spec: SceneSpec, world: Float32Array, rng: np.random.Generator) -> tuple[Look, Look]:
    """The looks of both dates: a common base, and differences that grow with `spec.contrast`."""
    far = float(min(spec.contrast, 1.5))
    base = _Base.draw(spec, rng)
    shift = spec.shift_px
    if shift is None:
        angle, length = rng.uniform(0, 2 * np.pi), 0.7 * rng.uniform(0, 1)
        shift = (float(length * np.sin(angle)), float(length * np.cos(angle)))
    before = _draw_look(spec, world, base, rng, far, (0.0, 0.0))
    after = _draw_look(spec, world, base, rng, far, shift)
    return before, after


@dataclass(frozen=True)
class _Base:
    """What both dates of a scene have in common before each strays from it."""

    green: float
    azimuth: float
    tangent: float
    gamma: float
    brightness: float
    gain: NDArray[np.float64]
    blur_px: float
    noise: float

    @staticmethod
    def draw(spec: SceneSpec, rng: np.random.Generator) -> _Base:
        vhr = spec.kind == "vhr"
        return _Base(
            green=rng.uniform(0, 1),
            azimuth=rng.uniform(0, 2 * np.pi),
            tangent=rng.uniform(0.6, 2.0),
            gamma=rng.uniform(0.5, 0.9),
            brightness=float(np.exp(rng.normal(1.0, 0.25))),
            gain=np.exp(rng.normal(0, 0.07, 7)),
            blur_px=rng.uniform(0.35, 0.8) if vhr else rng.uniform(0.5, 0.7),
            noise=float(np.exp(rng.normal(-5.3, 0.5))) if vhr else 0.0025,
        )


def _draw_look(
    spec: SceneSpec,
    world: Float32Array,
    base: _Base,
    rng: np.random.Generator,
    far: float,
    shift_px: tuple[float, float],
) -> Look:
    vhr = spec.kind == "vhr"
    green = float(np.clip(base.green + far * rng.normal(0, 0.35), 0, 1))
    leaves = float(np.clip(0.2 + 1.6 * green + far * rng.normal(0, 0.3), 0, 1))
    season = Season(green, leaves, wet=float(rng.uniform(0, 0.8)) * min(far, 1))
    azimuth = base.azimuth + far * rng.normal(0, 0.7 if vhr else 0.3)
    tangent = float(np.clip(base.tangent * np.exp(far * rng.normal(0, 0.35)), 0.35, 3.0))
    lean = rng.normal(0, 0.12 * min(far, 1), 2) if vhr else np.zeros(2)
    mist = far * float(rng.gamma(1.3, 0.018)) if vhr else 0.3 * far * float(rng.gamma(1.2, 0.02))
    haze = np.array([1.25, 1.0, 0.8, 0.5, 0.35, 0.08, 0.04]) * mist * np.exp(rng.normal(0, 0.1, 7))
    # Most products are near neutral; some, old aerial films above all, have a strong cast.
    cast = 0.02 if not vhr else 0.16 if rng.random() < 0.15 else 0.045
    tone = np.exp(far * rng.normal(0, cast, 7))
    return Look(
        season=season,
        palette=dated_palette(world, season, rng, drift=0.07 * far),
        sun=(float(np.sin(azimuth)), float(np.cos(azimuth))),
        sun_tan=tangent,
        skylight=(rng.uniform(0.25, 0.5) * np.array([1.25, 1.05, 0.92, 0.85, 0.8, 0.7, 0.65])).astype(np.float32),
        lean=(float(lean[0]), float(lean[1])),
        haze=haze.astype(np.float32),
        haze_swing=float(rng.uniform(0.0, 0.5)),
        gain=(base.gain * tone).astype(np.float32) if vhr else tone.astype(np.float32),
        gamma=float(np.clip(base.gamma * np.exp(far * rng.normal(0, 0.15)), 0.4, 1.2)),
        brightness=base.brightness * float(np.exp(far * rng.normal(0, 0.18))),
        black=float(rng.uniform(0, 0.03)) + 0.7 * mist,
        mix=_colour_mix(rng, far),
        blur_px=base.blur_px * float(np.exp(far * rng.normal(0, 0.15))),
        sharpen=float(rng.uniform(0.2, 1.4)) if vhr and rng.random() < 0.55 else 0.0,
        noise=base.noise * float(np.exp(far * rng.normal(0, 0.3))),
        jpeg=float(rng.uniform(1.0, 7.0)) if vhr and rng.random() < 0.4 else 0.0,
        stripe=0.0015 * far if rng.random() < 0.1 else 0.0,
        shift_px=shift_px,
    )


def _colour_mix(rng: np.random.Generator, far: float) -> Float32Array:
    """Saturation and crosstalk of an 8-bit product: rows sum to one, so that grey stays grey."""
    saturation = float(np.exp(far * rng.normal(-0.1, 0.16)))
    grey = np.full((3, 3), 1 / 3)
    mix = saturation * np.eye(3) + (1 - saturation) * grey + rng.normal(0, 0.025 * far, (3, 3))
    return np.asarray(mix / mix.sum(axis=1, keepdims=True), dtype=np.float32)
