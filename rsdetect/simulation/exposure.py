"""Exposure of one date: painted ground to image, by illumination, atmosphere, sensor and product."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.simulation.canvas import Canvas
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.imaging.atmosphere import apply_clouds, apply_haze, cloud_cover
from rsdetect.simulation.imaging.compression import compress
from rsdetect.simulation.imaging.detector_noise import add_detector_noise, detector_falloff
from rsdetect.simulation.imaging.digital_numbers import encode_product, to_digital_numbers
from rsdetect.simulation.imaging.illumination import cast_shadows, illuminate
from rsdetect.simulation.imaging.optics import form_image
from rsdetect.simulation.imaging.sensors import Product
from rsdetect.simulation.imaging.tone_curve import Limits, apply_tone, measure_limits
from rsdetect.simulation.imaging.view import View
from rsdetect.simulation.materials import BANDS
from rsdetect.simulation.noise import Frame
from rsdetect.simulation.spec import SceneSpec
from rsdetect.simulation.world import World

_TALL_M = 35.0  # shadows of taller objects are cut at this height


@dataclass(frozen=True)
class Exposure:
    """Exposure of a frame: the light that one date's sensor measured, before it became a product."""

    view: View
    bands: list[Float32Array]  # reflectance with all artefacts, each (height, width)
    beyond: list[Float32Array]  # the same on the other day of a mosaic; empty without a mosaic
    clouded: BoolArray  # (height, width) thick cloud or its shadow
    shadowed: BoolArray  # (height, width) shadow of a cloud only


def shadow_reach_px(gsd_m: float, view: View) -> int:
    """Length of the longest shadow of an exposure; longer ones are cut to bound the margin of a block."""
    return min(48, ceil(_TALL_M / view.sun_tan / gsd_m))


def band_coarseness(spec: SceneSpec) -> list[int]:
    """Pixel size of each band of an exposure, as a multiple of the product's pixel size."""
    return [2 if name in spec.sensor.coarse else 1 for name in spec.bands]


def expose(spec: SceneSpec, world: World, canvas: Canvas, frame: Frame, margin: int, date: int) -> Exposure:
    """Expose `frame` on one date; `canvas` extends `margin` pixels beyond it on every side."""
    view = world.views[date]
    opacity, thick, dark, light = cloud_cover(frame, view, spec.cloud, date, world.cloud_m)
    # A frame is drawn once only, so its noise need not depend on the place; rows and columns may be negative.
    rng = Draws([world.seed, date, frame.row + (1 << 31), frame.col + (1 << 31)])
    places = tuple(BANDS.index(name) for name in spec.bands)

    def expose_day(view: View) -> list[Float32Array]:
        shadow = cast_shadows(canvas.height_m, view, spec.ground_m, shadow_reach_px(spec.ground_m, view))
        middle = (len(places) - 1) / 2
        ground = [
            form_image(band, view.optics, frame, margin, coarse, number - middle)
            for number, (band, coarse) in enumerate(
                zip(illuminate(canvas, shadow, view, places), band_coarseness(spec), strict=True)
            )
        ]
        seen = apply_haze(ground, places, view, frame, date, world.cloud_m)
        if spec.cloud:
            seen = apply_clouds(seen, places, (opacity, light))
        size = (spec.height, spec.width)
        signal = detector_falloff(frame, view.flaws, size, date, len(places))
        seen = [
            band * (part * view.gain[place]) for band, part, place in zip(seen, signal, places, strict=True)
        ]
        return add_detector_noise(seen, view.flaws, frame, date, rng)

    outside = world.edges[date].beyond(frame)
    return Exposure(
        view=view,
        bands=expose_day(view),
        beyond=expose_day(view.beyond) if view.beyond else [],
        clouded=(thick | dark) & ~outside,
        shadowed=dark & ~outside,
    )


def stretch_limits(spec: SceneSpec, sensed: Exposure) -> tuple[Limits, ...]:
    """Stretch limits of an exposure, one pair per day of a mosaic; empty unless the product is a picture."""
    if spec.sensor.product is not Product.PICTURE:
        return ()
    days = [(sensed.view, sensed.bands), (sensed.view.beyond, sensed.beyond)]
    return tuple(measure_limits(bands, view.tone) for view, bands in days if view)


def develop_exposure(
    spec: SceneSpec, world: World, sensed: Exposure, limits: tuple[Limits, ...], frame: Frame, date: int
) -> NDArray[Any]:
    """Develop an exposure to the digital numbers of its product, (bands, height, width); 0 = nodata."""
    view = sensed.view
    days = [(view, sensed.bands), (view.beyond, sensed.beyond)]
    if limits:
        toned = [
            apply_tone(bands, day.tone, limit)
            for (day, bands), limit in zip(days, limits, strict=False)
            if day
        ]
    else:
        toned = [
            encode_product(bands, spec.bands, spec.sensor.product, day.sun_tan) for day, bands in days if day
        ]
    image = toned[0]
    if view.seam:
        share = view.seam.share(frame)
        image = [here + share * (there - here) for here, there in zip(*toned, strict=True)]
    if limits:
        image = compress([np.clip(band, 0, 255) for band in image], view.compression)
    numbers = to_digital_numbers(image, spec.dtype)
    numbers[:, world.edges[date].beyond(frame)] = 0
    return numbers
