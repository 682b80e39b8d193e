"""From painted ground to one date's image: light, air, sensor."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.canvas import Canvas
from rsdetect.simulate.light import cast_shadows, cloud_cover, haze_swing, reflect
from rsdetect.simulate.noise import Frame
from rsdetect.simulate.sensor import add_noise, blur_and_shift, compress, to_numbers, tone_curve
from rsdetect.simulate.spec import SceneSpec
from rsdetect.simulate.world import World

BoolArray = NDArray[np.bool_]

_BANDS = {"vhr": (2, 1, 0), "s2": (0, 1, 2, 4)}  # places in materials.BANDS
_CLOUD = np.float32(0.75)  # reflectance of thick cloud


@dataclass(frozen=True)
class Exposure:
    """One date's image of a frame."""

    image: NDArray[Any]  # (bands, height, width) in the sensor's numbers, 0 = no data
    clouded: BoolArray  # (height, width) thick cloud or its shadow
    shadowed: BoolArray  # (height, width) of these, the shadow


def shadow_reach_px(gsd_m: float) -> int:
    """The longest shadow that is drawn; longer ones are cut, because the margin around a block costs time."""
    return min(24, ceil(80 / gsd_m))


def expose(spec: SceneSpec, world: World, canvas: Canvas, frame: Frame, margin: int, date: int) -> Exposure:
    """Take the image of `frame`; `canvas` reaches `margin` pixels beyond it on every side."""
    look, bands = world.looks[date], _BANDS[spec.kind]
    shadow = cast_shadows(canvas.height_m, look, spec.ground_m, shadow_reach_px(spec.ground_m))
    ground = [blur_and_shift(band, look, margin) for band in reflect(canvas, shadow, look, bands)]
    opacity, thick, dark, light = cloud_cover(frame, look, spec.cloud, date, world.cloud_m)
    haze = haze_swing(frame, look, date, 8 * world.cloud_m)
    seen = []
    for band, clear in zip(bands, ground, strict=True):
        lit = clear * light + look.haze[band] * haze
        seen.append(lit + opacity * (_CLOUD - lit))
    # A frame is drawn once only, so its noise may be its own; rows and columns here may be negative.
    rng = np.random.default_rng([world.seed, date, frame.row + 2**31, frame.col + 2**31])
    seen = add_noise(seen, look, frame, 201 + 10 * date, rng)
    if spec.kind == "vhr":
        seen = tone_curve(seen, look)
        seen = compress(seen, look.jpeg) if look.jpeg else seen
    else:
        seen = [value * (look.gain[band] * np.float32(1e4)) for value, band in zip(seen, bands, strict=True)]
    image = to_numbers(seen, spec.dtype)
    outside = world.edges[date].beyond(frame)
    image[:, outside] = 0
    return Exposure(image, (thick | dark) & ~outside, dark & ~outside)
