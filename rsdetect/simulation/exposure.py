"""From painted ground to one date's image: light, air, sensor, product."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.simulation.canvas import Canvas
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.imaging.atmosphere import cloud_cover, cover, veil
from rsdetect.simulation.imaging.compression import compress
from rsdetect.simulation.imaging.detector_noise import add_flaws, encode, fall_off, to_numbers
from rsdetect.simulation.imaging.illumination import cast_shadows, reflect
from rsdetect.simulation.imaging.look import Look
from rsdetect.simulation.imaging.optics import form_image
from rsdetect.simulation.imaging.sensors import Product
from rsdetect.simulation.imaging.tone_curve import Limits, apply_tone, measure_limits
from rsdetect.simulation.materials import BANDS
from rsdetect.simulation.noise import Frame
from rsdetect.simulation.spec import SceneSpec
from rsdetect.simulation.world import World

_TALL_M = 35.0  # shadows of what is taller are cut there


@dataclass(frozen=True)
class Sensed:
    """The light that one date's sensor measured in a frame, before it became a product."""

    look: Look
    bands: list[Float32Array]  # reflectance with all flaws, each (height, width)
    beyond: list[Float32Array]  # the same on the other day of a mosaic, empty where there is none
    clouded: BoolArray  # (height, width) thick cloud or its shadow
    shadowed: BoolArray  # (height, width) of these, the shadow


def shadow_reach_px(gsd_m: float, look: Look) -> int:
    """The longest shadow that is drawn; longer ones are cut, because the margin around a block costs time."""
    return min(48, ceil(_TALL_M / look.sun_tan / gsd_m))


def coarseness(spec: SceneSpec) -> list[int]:
    """How many times larger each band's own pixels are than those of the product."""
    return [2 if name in spec.sensor.coarse else 1 for name in spec.bands]


def sense(spec: SceneSpec, world: World, canvas: Canvas, frame: Frame, margin: int, date: int) -> Sensed:
    """Look at `frame`; `canvas` reaches `margin` pixels beyond it on every side."""
    look = world.looks[date]
    opacity, thick, dark, light = cloud_cover(frame, look, spec.cloud, date, world.cloud_m)
    # A frame is drawn once only, so its noise may be its own; rows and columns here may be negative.
    rng = Draws([world.seed, date, frame.row + (1 << 31), frame.col + (1 << 31)])
    places = tuple(BANDS.index(name) for name in spec.bands)

    def see(look: Look) -> list[Float32Array]:
        shadow = cast_shadows(canvas.height_m, look, spec.ground_m, shadow_reach_px(spec.ground_m, look))
        middle = (len(places) - 1) / 2
        ground = [
            form_image(band, look.optics, frame, margin, coarse, number - middle)
            for number, (band, coarse) in enumerate(
                zip(reflect(canvas, shadow, look, places), coarseness(spec), strict=True)
            )
        ]
        seen = veil(ground, places, look, frame, date, world.cloud_m)
        if spec.cloud:
            seen = cover(seen, places, (opacity, light))
        size = (spec.height, spec.width)
        signal = fall_off(frame, look.flaws, size, date, len(places))
        seen = [
            band * (part * look.gain[place]) for band, part, place in zip(seen, signal, places, strict=True)
        ]
        return add_flaws(seen, look.flaws, frame, date, rng)

    outside = world.edges[date].beyond(frame)
    return Sensed(
        look=look,
        bands=see(look),
        beyond=see(look.beyond) if look.beyond else [],
        clouded=(thick | dark) & ~outside,
        shadowed=dark & ~outside,
    )


def stretch_limits(spec: SceneSpec, sensed: Sensed) -> tuple[Limits, ...]:
    """Black and white of a picture, one pair for each day of a mosaic; nothing for other products."""
    if spec.sensor.product is not Product.PICTURE:
        return ()
    days = [(sensed.look, sensed.bands), (sensed.look.beyond, sensed.beyond)]
    return tuple(measure_limits(bands, look.tone) for look, bands in days if look)


def develop(
    spec: SceneSpec, world: World, sensed: Sensed, limits: tuple[Limits, ...], frame: Frame, date: int
) -> NDArray[Any]:
    """Make the product of what was sensed: (bands, height, width) in its numbers, 0 = no data."""
    look = sensed.look
    days = [(look, sensed.bands), (look.beyond, sensed.beyond)]
    if limits:
        toned = [
            apply_tone(bands, day.tone, limit)
            for (day, bands), limit in zip(days, limits, strict=False)
            if day
        ]
    else:
        toned = [encode(bands, spec.bands, spec.sensor.product, day.sun_tan) for day, bands in days if day]
    image = toned[0]
    if look.seam:
        share = look.seam.share(frame)
        image = [here + share * (there - here) for here, there in zip(*toned, strict=True)]
    if limits:
        image = compress([np.clip(band, 0, 255) for band in image], look.compression)
    numbers = to_numbers(image, spec.dtype)
    numbers[:, world.edges[date].beyond(frame)] = 0
    return numbers
