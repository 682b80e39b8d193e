"""Simulated time series of a small site: seasonal fields, clouds, changes with known dates, receding floods.

Four bands as of Sentinel-2 (blue, green, red, near infrared), reflectance x 10 000, 10 m per pixel. It is
much simpler than the simulated pairs; its purpose is ground truth in time for monitoring.
"""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import UInt8Array, UInt16Array
from rsdetect.errors import InputError
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.time_series_changes import plant_changes
from rsdetect.simulation.time_series_land import draw_series_land, smooth_series_noise
from rsdetect.simulation.time_series_spec import SeriesSpec

BANDS = ("blue", "green", "red", "nir")
GSD_M = 10.0
CLEAR, CLOUD, SHADOW = 0, 1, 2  # values of the masks

_CLOUD = (0.55, 0.54, 0.53, 0.58)


class Series:
    """Simulated time series of a site, rendered date by date."""

    def __init__(self, spec: SeriesSpec) -> None:
        if len(spec.dates) < 2 or list(spec.dates) != sorted(set(spec.dates)):
            raise InputError("a series needs two dates or more, each later than the one before it.")
        self.spec = spec
        rng = Draws([spec.seed, 0])
        self._land = draw_series_land(spec.size, rng)
        self.planted = plant_changes(spec, self._land, rng)
        count = round(spec.cloudy * len(spec.dates))
        self._clouded = set((1 + rng.permutation(np.arange(len(spec.dates) - 1))[:count]).tolist())

    def draw(self, number: int) -> tuple[UInt16Array, UInt8Array]:
        """Scene of one date, (4, height, width), and its mask (height, width): CLEAR, CLOUD or SHADOW."""
        rng = Draws([self.spec.seed, 1, number])
        ground = self._land.reflectance(self.spec, self.spec.dates[number].timetuple().tm_yday, rng)
        for change in self.planted:
            if change.is_there(number):
                ground[:, change.where] = change.reflectance
        ground *= 1 + rng.normal(0, 0.02, (len(BANDS), 1, 1))  # illumination and atmosphere of the day
        mask = self._draw_cloud_mask(number, rng)
        ground = np.where(mask == CLOUD, np.array(_CLOUD)[:, None, None], ground)
        ground = np.where(mask == SHADOW, ground * 0.45, ground)
        ground += rng.normal(0, 0.0025, ground.shape)
        return np.clip(np.rint(ground * 10_000), 1, 12_000).astype(np.uint16), mask

    def _draw_cloud_mask(self, number: int, rng: Draws) -> UInt8Array:
        size = self.spec.size
        mask = np.full((size, size), CLEAR, dtype=np.uint8)
        if number not in self._clouded:
            return mask
        noise = smooth_series_noise(size, size / 10, rng)
        cloud = noise > np.quantile(noise, 1 - rng.uniform(0.2, 0.6))
        mask[np.roll(cloud, (size // 16, size // 24), axis=(0, 1))] = SHADOW
        mask[cloud] = CLOUD
        return mask
