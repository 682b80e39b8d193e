"""A small site over many dates: the fields' year, clouds, changes of known date, floods that recede.

Four bands as of Sentinel-2 (blue, green, red, near infrared), reflectance x 10 000, ten metres a pixel. It is
far plainer than the simulated pairs, and meant for one thing: that a watched site has a truth in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from math import fsum, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from rsdetect.arraytypes import BoolArray, Float64Array, UInt8Array, UInt16Array
from rsdetect.errors import InputError
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import exp, sin_turns

BANDS = ("blue", "green", "red", "nir")
GSD_M = 10.0
CLEAR, CLOUD, SHADOW = 0, 1, 2  # values of the masks

_SOIL, _CROP = (0.10, 0.13, 0.17, 0.25), (0.04, 0.08, 0.05, 0.42)
_WINTER_WOOD, _SUMMER_WOOD = (0.035, 0.05, 0.04, 0.24), (0.025, 0.05, 0.03, 0.36)
_ROOF = (0.9, 0.95, 1.0, 1.1)  # against its brightness
_WATER, _CLOUD = (0.06, 0.06, 0.04, 0.02), (0.55, 0.54, 0.53, 0.58)
# What a change leaves on the ground; the last of them happens to woods.
_KINDS = {
    "built up": (0.27, 0.28, 0.31, 0.36),
    "greenhouses": (0.34, 0.34, 0.34, 0.38),
    "quarry": (0.30, 0.33, 0.37, 0.41),
    "car park": (0.31, 0.32, 0.34, 0.37),
    "cleared": (0.24, 0.28, 0.33, 0.37),
}
_FLOOD = (0.03, 0.035, 0.025, 0.015)
_EDGES_PX = (9, 17)  # of a change's rectangle, least and most
_GAP_PX = 6  # unchanged ground between two changes
_TRIES = 4000


@dataclass(frozen=True, kw_only=True)
class SeriesSpec:
    """A series to draw. Equal specs give equal pixels."""

    dates: tuple[date, ...]  # in order
    size: int = 192  # height and width in pixels
    seed: int = 0
    changes: int = 3  # that stay
    floods: int = 0  # that recede after three to five dates
    quiet: int = 1  # dates at the beginning before which nothing happens
    cloudy: float = 1 / 3  # share of the dates with clouds; the first is always clear
    season: float = 1.0  # how far fields and woods follow the year, 0 to 1; 0 = they stay half green

    def follow(self, greenness: Float64Array) -> Float64Array:
        """The share of green on a day of which the year would make it `greenness`."""
        return 0.5 + self.season * (greenness - 0.5)


@dataclass(frozen=True)
class Planted:
    """One change of the truth."""

    kind: str
    first: int  # number of the first date that shows it
    end: int | None  # number of the first date that no longer shows it; None = it stays
    where: BoolArray  # (height, width)

    def is_there(self, number: int) -> bool:
        """True when the date of this number shows it."""
        return self.first <= number and (self.end is None or number < self.end)


@dataclass(frozen=True)
class _Land:
    field: NDArray[np.intp]  # (height, width) number of the parcel
    wood: BoolArray  # (height, width)
    water: BoolArray  # (height, width)
    village: BoolArray  # (height, width)
    roofs: Float64Array  # (height, width) reflectance of what stands in the village
    peak: Float64Array  # (parcels,) day of the year on which its crop is greenest
    lushness: Float64Array  # (parcels,) how green it is then, 0 to 1
    brightness: Float64Array  # (height, width) against the tables


class Series:
    """A site over the dates of its spec, drawn date by date."""

    def __init__(self, spec: SeriesSpec) -> None:
        if len(spec.dates) < 2 or list(spec.dates) != sorted(set(spec.dates)):
            raise InputError("a series needs two dates or more, each later than the one before it.")
        self.spec = spec
        rng = Draws([spec.seed, 0])
        self._land = _draw_land(spec.size, rng)
        self.planted = _plant(spec, self._land, rng)
        count = round(spec.cloudy * len(spec.dates))
        self._clouded = set((1 + rng.permutation(np.arange(len(spec.dates) - 1))[:count]).tolist())

    def draw(self, number: int) -> tuple[UInt16Array, UInt8Array]:
        """The scene of one date, (4, height, width), and its mask (height, width): CLEAR, CLOUD or SHADOW."""
        spec, land = self.spec, self._land
        rng = Draws([spec.seed, 1, number])
        day = spec.dates[number].timetuple().tm_yday
        peak = land.peak + rng.normal(0, 3, land.peak.size)  # no year is like another
        crop = (land.lushness * spec.follow(_greenness(day, peak, 45.0)))[land.field]
        wood = float(spec.follow(_greenness(day, np.array([195.0]), 75.0))[0])
        ground = _mix(_SOIL, _CROP, crop)
        ground[:, land.wood] = _mix(_WINTER_WOOD, _SUMMER_WOOD, np.full(land.wood.shape, wood))[:, land.wood]
        ground[:, land.water] = np.array(_WATER)[:, None]
        ground *= land.brightness
        ground[:, land.village] = land.roofs[land.village] * np.array(_ROOF)[:, None]
        for change in self.planted:
            if change.is_there(number):
                ground[:, change.where] = np.array(_KINDS.get(change.kind, _FLOOD))[:, None]
        ground *= 1 + rng.normal(0, 0.02, (len(BANDS), 1, 1))  # sun and air of the day
        mask = self._draw_mask(number, rng)
        ground = np.where(mask == CLOUD, np.array(_CLOUD)[:, None, None], ground)
        ground = np.where(mask == SHADOW, ground * 0.45, ground)
        ground += rng.normal(0, 0.0025, ground.shape)
        return np.clip(np.rint(ground * 10_000), 1, 12_000).astype(np.uint16), mask

    def _draw_mask(self, number: int, rng: Draws) -> UInt8Array:
        size = self.spec.size
        mask = np.full((size, size), CLEAR, dtype=np.uint8)
        if number not in self._clouded:
            return mask
        noise = _noise(size, size / 10, rng)
        cloud = noise > np.quantile(noise, 1 - rng.uniform(0.2, 0.6))
        mask[np.roll(cloud, (size // 16, size // 24), axis=(0, 1))] = SHADOW
        mask[cloud] = CLOUD
        return mask


def _draw_land(size: int, rng: Draws) -> _Land:
    """Parcels around random points, woods on a seventh of the site, villages, and a river through the middle.

    Villages are as bright as what is built later, so that no change sets the brightness of the whole scene.
    """
    parcels = max(8, size * size // 400)
    y, x = np.mgrid[:size, :size]
    points = rng.uniform(0, size, (parcels, 2))
    field = _nearest(points, y, x)
    woods = _noise(size, size / 12, rng)
    centre = size / 2 + size / 8 * sin_turns(x / size + rng.random())
    # Soils differ from parcel to parcel, within a parcel, and from pixel to pixel.
    soils = rng.normal(0, 0.15, parcels)[field] + 0.1 * _noise(size, 6, rng) + 0.03 * _noise(size, 1.5, rng)
    houses = rng.uniform(0.15, 0.45, (size // 3 + 1, size // 3 + 1)).repeat(3, 0).repeat(3, 1)
    villages = _noise(size, size / 16, rng)
    return _Land(
        field=field,
        wood=woods > np.quantile(woods, 0.86),
        water=np.abs(y - centre) < size / 60,
        village=villages > np.quantile(villages, 0.9),
        roofs=houses[:size, :size],
        peak=np.where(rng.random(parcels) < 0.5, 140.0, 205.0),
        lushness=rng.uniform(0.5, 1.0, parcels),
        brightness=exp(soils),
    )


def _noise(size: int, scale_px: float, rng: Draws) -> Float64Array:
    """Smooth noise, (size, size), standard deviation 1."""
    noise = rng.normal(0, 1, (size, size))
    reach = int(4 * scale_px + 0.5)
    weights = exp(-0.5 * np.square(np.arange(reach + 1) / scale_px)).tolist()
    for axis in (0, 1):
        total = noise * weights[0]
        for away in range(1, reach + 1):
            total += (np.roll(noise, away, axis) + np.roll(noise, -away, axis)) * weights[away]
        noise = total
    # Sums that are rounded once, whatever the order.
    noise -= fsum(noise.ravel().tolist()) / noise.size
    return noise / sqrt(fsum(np.square(noise).ravel().tolist()) / noise.size)


def _nearest(
    points: Float64Array, y: NDArray[np.integer[Any]], x: NDArray[np.integer[Any]]
) -> NDArray[np.intp]:
    """The number of the point that is nearest to each pixel; of two as near, the first."""
    number = np.zeros(y.shape, dtype=np.intp)
    least = np.full(y.shape, np.inf)
    for each, (down, right) in enumerate(points.tolist()):
        apart = np.square(y - down) + np.square(x - right)
        nearer = apart < least
        np.copyto(number, each, where=nearer)
        np.copyto(least, apart, where=nearer)
    return number


def _plant(spec: SeriesSpec, land: _Land, rng: Draws) -> tuple[Planted, ...]:
    """Changes and floods, apart from each other, their dates spread over what follows the quiet ones."""
    taken = land.water | land.village
    last = len(spec.dates) - 1
    spread = np.linspace(spec.quiet, max(spec.quiet, last - 4), spec.changes + spec.floods).round()
    firsts = rng.permutation(spread).astype(int)
    kinds = ["flood"] * spec.floods + [list(_KINDS)[i % len(_KINDS)] for i in range(spec.changes)]
    planted = []
    for kind, first in zip(kinds, firsts.tolist(), strict=True):
        where = _find_place(land.wood == (kind == "cleared"), taken, rng)
        taken |= binary_dilation(where, iterations=_GAP_PX)
        end = None
        if kind == "flood":
            first = min(first, max(spec.quiet, last - 7))
            end = first + rng.integers(3, 6)
        planted.append(Planted(kind, first, end, where))
    return tuple(planted)


def _find_place(suited: BoolArray, taken: BoolArray, rng: Draws) -> BoolArray:
    size = taken.shape[0]
    for _ in range(_TRIES):
        height, width = rng.integers(*_EDGES_PX), rng.integers(*_EDGES_PX)
        if max(height, width) >= size - 8:
            continue
        row, col = rng.integers(4, size - 4 - height), rng.integers(4, size - 4 - width)
        place = slice(row, row + height), slice(col, col + width)
        if suited[place].mean() > 0.9 and not taken[place].any():
            where = np.zeros(taken.shape, dtype=bool)
            where[place] = True
            return where
    raise InputError(f"a site of {size} x {size} pixels has no room for so many changes; make it larger.")


def _greenness(day: int, peak: Float64Array, width: float) -> Float64Array:
    """Share of green on a day of the year, 0 to 1, of plants that are greenest on day `peak`."""
    apart = np.abs((day - peak + 182.5) % 365 - 182.5)
    return exp(-0.5 * np.square(apart / width))


def _mix(one: tuple[float, ...], other: tuple[float, ...], share: Float64Array) -> Float64Array:
    """(bands, height, width): `share` of the `other` reflectance, the rest of `one`."""
    low, high = np.array(one)[:, None, None], np.array(other)[:, None, None]
    return np.asarray(low + (high - low) * share)
