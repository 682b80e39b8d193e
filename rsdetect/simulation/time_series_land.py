"""Land cover of a simulated time series: parcels, woods, villages, a river, and seasonal reflectance."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float64Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import exp, sin_turns
from rsdetect.simulation.time_series_spec import SeriesSpec

_SOIL, _CROP = (0.10, 0.13, 0.17, 0.25), (0.04, 0.08, 0.05, 0.42)
_WINTER_WOOD, _SUMMER_WOOD = (0.035, 0.05, 0.04, 0.24), (0.025, 0.05, 0.03, 0.36)
_ROOF = (0.9, 0.95, 1.0, 1.1)  # relative to the brightness of the roof
_WATER = (0.06, 0.06, 0.04, 0.02)


@dataclass(frozen=True)
class SeriesLand:
    """Land cover of a simulated site, constant over the time series."""

    field: NDArray[np.intp]  # (height, width) index of the parcel
    wood: BoolArray  # (height, width)
    water: BoolArray  # (height, width)
    village: BoolArray  # (height, width)
    roofs: Float64Array  # (height, width) reflectance of the buildings in the villages
    peak: Float64Array  # (parcels,) day of the year on which the crop is greenest
    lushness: Float64Array  # (parcels,) greenness on that day, 0 to 1
    brightness: Float64Array  # (height, width) relative to the tables above

    def reflectance(self, spec: SeriesSpec, day: int, rng: Draws) -> Float64Array:
        """Reflectance of the land on a day of the year, (4, height, width), before any change."""
        peak = self.peak + rng.normal(0, 3, self.peak.size)  # the season shifts from year to year
        crop = (self.lushness * spec.follow(_seasonal_greenness(day, peak, 45.0)))[self.field]
        wood = float(spec.follow(_seasonal_greenness(day, np.array([195.0]), 75.0))[0])
        ground = _blend_reflectance(_SOIL, _CROP, crop)
        woods = _blend_reflectance(_WINTER_WOOD, _SUMMER_WOOD, np.full(self.wood.shape, wood))
        ground[:, self.wood] = woods[:, self.wood]
        ground[:, self.water] = np.array(_WATER)[:, None]
        ground *= self.brightness
        ground[:, self.village] = self.roofs[self.village] * np.array(_ROOF)[:, None]
        return ground


def draw_series_land(size: int, rng: Draws) -> SeriesLand:
    """Land cover of a site: parcels around random points, woods on a seventh of it, villages, and a river.

    Villages are as bright as later buildings, so that no change sets the brightness of the whole scene.
    """
    parcels = max(8, size * size // 400)
    y, x = np.mgrid[:size, :size]
    points = rng.uniform(0, size, (parcels, 2))
    field = _nearest_parcel(points, y, x)
    woods = smooth_series_noise(size, size / 12, rng)
    centre = size / 2 + size / 8 * sin_turns(x / size + rng.random())
    # Soils differ from parcel to parcel, within a parcel, and from pixel to pixel.
    soils = (
        rng.normal(0, 0.15, parcels)[field]
        + 0.1 * smooth_series_noise(size, 6, rng)
        + 0.03 * smooth_series_noise(size, 1.5, rng)
    )
    houses = rng.uniform(0.15, 0.45, (size // 3 + 1, size // 3 + 1)).repeat(3, 0).repeat(3, 1)
    villages = smooth_series_noise(size, size / 16, rng)
    return SeriesLand(
        field=field,
        wood=woods > np.quantile(woods, 0.86),
        water=np.abs(y - centre) < size / 60,
        village=villages > np.quantile(villages, 0.9),
        roofs=houses[:size, :size],
        peak=np.where(rng.random(parcels) < 0.5, 140.0, 205.0),
        lushness=rng.uniform(0.5, 1.0, parcels),
        brightness=exp(soils),
    )


def smooth_series_noise(size: int, scale_px: float, rng: Draws) -> Float64Array:
    """Smooth noise over a site of a time series, (size, size), standard deviation 1."""
    noise = rng.normal(0, 1, (size, size))
    radius = int(4 * scale_px + 0.5)
    weights = exp(-0.5 * np.square(np.arange(radius + 1) / scale_px)).tolist()
    for axis in (0, 1):
        total = noise * weights[0]
        for away in range(1, radius + 1):
            total += (np.roll(noise, away, axis) + np.roll(noise, -away, axis)) * weights[away]
        noise = total
    # Exact sums, rounded once, do not depend on the order of summation.
    noise -= fsum(noise.ravel().tolist()) / noise.size
    return noise / sqrt(fsum(np.square(noise).ravel().tolist()) / noise.size)


def _nearest_parcel(
    points: Float64Array, y: NDArray[np.integer[Any]], x: NDArray[np.integer[Any]]
) -> NDArray[np.intp]:
    """Index of each land pixel's parcel, whose point is nearest; the first one of a tie."""
    number = np.zeros(y.shape, dtype=np.intp)
    least = np.full(y.shape, np.inf)
    for each, (down, right) in enumerate(points.tolist()):
        apart = np.square(y - down) + np.square(x - right)
        nearer = apart < least
        np.copyto(number, each, where=nearer)
        np.copyto(least, apart, where=nearer)
    return number


def _seasonal_greenness(day: int, peak: Float64Array, width: float) -> Float64Array:
    """Seasonal greenness of the land on a day of the year, 0 to 1, with its maximum on day `peak`."""
    apart = np.abs((day - peak + 182.5) % 365 - 182.5)
    return exp(-0.5 * np.square(apart / width))


def _blend_reflectance(one: tuple[float, ...], other: tuple[float, ...], share: Float64Array) -> Float64Array:
    """Linear blend of two land cover spectra, (bands, height, width), with `share` of the `other`."""
    low, high = np.array(one)[:, None, None], np.array(other)[:, None, None]
    return np.asarray(low + (high - low) * share)
