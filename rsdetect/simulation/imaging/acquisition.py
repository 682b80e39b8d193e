"""Acquisition of both dates: random views (season, sun, atmosphere, sensor, tone) of a scene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import direction, exp
from rsdetect.simulation.imaging.compression import Compression
from rsdetect.simulation.imaging.detector_noise import Flaws
from rsdetect.simulation.imaging.mosaic import draw_seam
from rsdetect.simulation.imaging.optics import Optics
from rsdetect.simulation.imaging.sensors import Product, Sensor
from rsdetect.simulation.imaging.tone_curve import Stretch, Tone, colour_matrix
from rsdetect.simulation.imaging.view import View
from rsdetect.simulation.materials import Season, dated_palette
from rsdetect.simulation.spec import SceneSpec

_HAZE = np.array([1.25, 1.0, 0.8, 0.5, 0.35, 0.08, 0.04])  # by band: less at longer wavelengths
_SKY = np.array([1.25, 1.05, 0.92, 0.85, 0.8, 0.6, 0.5])  # light in a shadow, by band
_NIR_WHITE = 2.2  # plants are brighter in near infrared by this factor; pictures compensate it


def draw_views(spec: SceneSpec, world: Float32Array, rng: Draws) -> tuple[View, View]:
    """Acquisition views of both dates: a common base, and differences that grow with `spec.contrast`."""
    far = float(min(spec.contrast, 1.5))
    shift = spec.shift_px
    if shift is None:
        (down, right), length = direction(rng.random()), 0.7 * rng.random()
        shift = (length * down, length * right)
    draw = _ViewSampler(spec, world, _BaseView.draw(spec.sensor, rng), far, rng)
    before, after = draw.view((0.0, 0.0)), draw.view(shift)
    if far and rng.random() < 0.35:
        # The truth is on the grid of before, so only after is warped.
        warp, scale = rng.uniform(0.2, 0.8) * min(far, 1), exp(rng.uniform(3.0, 5.5))
        after = replace(after, optics=replace(after.optics, warp=warp, warp_scale=scale))
    return draw.maybe_mosaic(before, 0), draw.maybe_mosaic(after, 1)


@dataclass(frozen=True)
class _BaseView:
    """Acquisition parameters that both dates of a scene have in common."""

    green: float
    azimuth: float  # of the sun, in full turns
    tangent: float
    film: bool
    stretch: Stretch
    percent: float  # percentage of pixels that a stretch saturates at either end
    gamma: float
    brightness: float
    gain: NDArray[np.float64]
    blur: float
    noise: float
    native: float
    compressed: bool

    @staticmethod
    def draw(sensor: Sensor, rng: Draws) -> _BaseView:
        picture = sensor.product is Product.PICTURE
        return _BaseView(
            green=rng.beta(1.3, 0.9),
            azimuth=rng.random(),
            tangent=rng.uniform(0.5, 2.0),
            film=rng.random() < sensor.film,
            stretch=rng.choice(list(Stretch), [0.5, 0.25, 0.15, 0.1]),
            percent=rng.uniform(0.1, 2.0),
            gamma=rng.uniform(0.5, 0.9),
            brightness=rng.log_normal(0.95, 0.22),
            gain=rng.log_normal(0, 0.07, 7) if picture else np.ones(7),
            blur=rng.uniform(0.35, 0.8) if picture else rng.uniform(0.45, 0.7),
            noise=rng.log_normal(-5.3, 0.5) if picture else 0.0025,
            native=rng.uniform(1.1, 1.8) if rng.random() < 0.25 and sensor.gsd_m < 10 else 1.0,
            compressed=bool(picture and rng.random() < 0.4),
        )


@dataclass(frozen=True)
class _ViewSampler:
    """Sampler of the acquisition views of one scene."""

    spec: SceneSpec
    world: Float32Array
    base: _BaseView
    far: float
    rng: Draws

    @property
    def _picture(self) -> bool:
        return self.spec.sensor.product is Product.PICTURE

    def _chance(self, share: float) -> bool:
        """True with a probability that grows with the requested contrast of the acquisitions."""
        return self.rng.random() < share * min(self.far, 1)

    def view(self, shift: tuple[float, float]) -> View:
        base, far, rng = self.base, self.far, self.rng
        film = base.film != self._chance(0.5 * self.spec.sensor.film)
        season = self._season()
        azimuth = base.azimuth + far * rng.normal(0, 0.7 if self.spec.sensor.lean else 0.3) / (2 * pi)
        mist = far * rng.gamma(1.3, 0.018) * (1.0 if self._picture else 0.4)
        lean = (
            rng.normal(0, 1, 2) * self.spec.sensor.lean * min(far, 1) * (1.7 if rng.random() < 0.2 else 0.8)
        )
        swings = rng.uniform(0.0, 0.5) if rng.random() < 0.7 else rng.uniform(0.5, 1.2)
        # Most products are nearly neutral; some have a strong colour cast.
        cast = 0.02 if not self._picture else 0.10 if film or rng.random() < 0.1 else 0.045
        return View(
            season=season,
            palette=dated_palette(self.world, season, rng, drift=0.07 * far),
            sun=direction(azimuth),
            sun_tan=float(np.clip(base.tangent * rng.log_normal(0, 0.4 * far), 0.3, 3.0)),
            skylight=(rng.uniform(0.22, 0.5) * _SKY).astype(np.float32),
            lean=(float(lean[0]), float(lean[1])),
            haze=(_HAZE * mist * rng.log_normal(0, 0.1, 7)).astype(np.float32),
            haze_swing=float(swings) * min(far, 1),
            cirrus=rng.uniform(0.05, 0.35) if self._chance(0.08) else 0.0,
            gain=(base.gain * rng.log_normal(0, far * cast, 7)).astype(np.float32),
            optics=self._optics(shift, film),
            flaws=self._flaws(film),
            tone=self._tone(film, mist),
            compression=self._compression(),
        )

    def maybe_mosaic(self, view: View, date: int) -> View:
        """Acquisition view, or a mosaic of it with another day beyond a seam."""
        if not self._chance(0.12 if self._picture else 0.06):
            return view
        other = self.view(view.shift_px)
        # Both days share the instrument, a matched tone, and the painted buildings.
        black = other.tone.low - view.tone.low
        tone = replace(view.tone, low=view.tone.low + black, high=view.tone.high + black)
        other = replace(
            view,
            tone=tone,
            season=other.season,
            palette=other.palette,
            sun=other.sun,
            sun_tan=other.sun_tan,
            skylight=other.skylight,
            haze=other.haze,
            gain=0.5 * (view.gain + other.gain),
        )
        size = (self.spec.height, self.spec.width)
        return replace(view, seam=draw_seam(size, date, self.rng), beyond=other)

    def _season(self) -> Season:
        rng, far = self.rng, self.far
        green = float(np.clip(self.base.green + far * rng.normal(0, 0.35), 0, 1))
        leaves = float(np.clip(0.2 + 1.6 * green + far * rng.normal(0, 0.3), 0, 1))
        autumn = rng.uniform(0.2, 0.9) if green < 0.6 and self._chance(0.25) else 0.0
        return Season(
            green,
            leaves,
            wet=rng.uniform(0, 0.8) * min(far, 1),
            autumn=autumn,
            snow=rng.uniform(0.1, 0.9) if green < 0.3 and self._chance(0.06) else 0.0,
            glint=rng.uniform(0.02, 0.2) if self._chance(0.1) else 0.0,
        )

    def _optics(self, shift: tuple[float, float], film: bool) -> Optics:
        rng, far, base = self.rng, self.far, self.base
        blur = base.blur * rng.log_normal(0, 0.15 * far) * (1.25 if film else 1.0)
        sharpen = rng.uniform(0.2, 1.4) if self._picture and rng.random() < 0.5 else 0.0
        sharpen *= 1.7 if self._chance(0.1) else 1.0
        native = base.native
        if self._chance(0.2) and self.spec.sensor.gsd_m < 10:
            native = rng.uniform(1.1, 2.2)
        fringe = rng.normal(0, 0.12, 2) if self.spec.sensor.gsd_m < 10 and self._chance(0.2) else np.zeros(2)
        return Optics(
            blur=min(blur, 1.3),
            sharpen=sharpen,
            native=native,
            nearest=rng.random() < 0.25,
            shift=shift,
            fringe=(float(np.clip(fringe[0], -0.3, 0.3)), float(np.clip(fringe[1], -0.3, 0.3))),
            warp=0.0,
            warp_scale=1.0,
        )

    def _flaws(self, film: bool) -> Flaws:
        rng, far, sensor = self.rng, self.far, self.spec.sensor
        swept = sensor.product is Product.RADIANCE
        slope = far * rng.normal(0, 0.05 if self._chance(0.4) else 0.008, 2)
        uneven = self._picture and self._chance(0.35)
        return Flaws(
            noise=self.base.noise * rng.log_normal(0, 0.3 * far) * (1.8 if film else 1.0),
            grain=rng.uniform(0.3, 0.9) if film or rng.random() < 0.2 else 0.0,
            stripe=rng.uniform(0.001, 0.004) if self._chance(0.08) else 0.0,
            banding=rng.uniform(0.0005, 0.004) if swept and self._chance(0.6) else 0.0,
            dead=rng.uniform(0.002, 0.015) if not self._picture and self._chance(0.04) else 0.0,
            slope=(float(slope[0]), float(slope[1])),
            vignette=rng.uniform(0.05, 0.3) if sensor.film and self._chance(0.25) else 0.0,
            frame_px=rng.uniform(500, 4000),
            uneven=rng.uniform(0.02, 0.16) if uneven else 0.0,
            tint=rng.uniform(0.0, 0.07) if uneven else 0.0,
            uneven_px=rng.log_uniform(40, 600),
        )

    def _tone(self, film: bool, mist: float) -> Tone:
        rng, far, base = self.rng, self.far, self.base
        stretch = base.stretch
        if self._chance(0.3):
            stretch = rng.choice(list(Stretch))
        black = rng.uniform(-0.03, 0.02) + 0.7 * mist
        white = 1 / (base.brightness * rng.log_normal(0, 0.18 * far))
        least = base.percent * rng.log_normal(0, 0.4 * far)
        low, high = np.full(4, black), black + white * np.array([1, 1, 1, _NIR_WHITE])
        saturation = rng.log_normal(-0.1 * far, 0.16 * far)
        lift, top = np.zeros(4), np.ones(4)
        if film:
            # Film dyes fade unevenly: black turns grey and brown, white dull and yellow.
            saturation *= rng.uniform(0.35, 0.9) if rng.random() < 0.85 else 0.0
            warm = rng.uniform(-0.3, 1.0) * np.array([1.0, 0.3, -0.8, 0.0])
            lift = np.clip(rng.uniform(0.0, 0.22) + 0.05 * warm, 0, 0.4)
            top = np.clip(rng.uniform(0.65, 1.0) + 0.1 * warm, 0.5, 1.05)
        return Tone(
            stretch=stretch,
            low=low.astype(np.float32),
            high=high.astype(np.float32),
            percent=(min(least, 8.0), 100 - min(0.8 * least, 8.0)),
            room=rng.uniform(0.0, 0.25),
            weight=rng.uniform(0.4, 0.95),
            gamma=float(np.clip(base.gamma * rng.log_normal(0, 0.15 * far), 0.4, 1.3)),
            mix=colour_matrix(rng, far, saturation),
            lift=lift.astype(np.float32),
            top=top.astype(np.float32),
        )

    def _compression(self) -> Compression:
        rng = self.rng
        if self.base.compressed == self._chance(0.25):
            return Compression()
        waves = rng.uniform(2.0, 9.0) if rng.random() < 0.25 else 0.0
        blocks = 0.0 if waves else rng.uniform(1.0, 8.0)
        return Compression(blocks=blocks, halved_colour=rng.random() < 0.6, waves=waves)
