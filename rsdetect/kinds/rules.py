"""Rules that give the land class of a pixel from its reflectance on one date, by published spectral indices.

Where the bands allow it: snow by NDSI (Hall, Riggs and Salomonson 1995: 0.4, with near infrared above 0.11),
water by MNDWI above 0 (Xu 2006) or NDWI above 0 (McFeeters 1996), burnt ground by NBR below -0.1 (Key and
Benson 2006) where it is dark, vegetation by NDVI (Sobrino and others 2004: bare soil below 0.2, full cover
above 0.5), built and sealed ground by the slope from blue to near infrared (PISI, Tian and others 2018),
which soil and plants have and roofs and roads lack. Dark dense vegetation is trees (Huang and others 2008).

Pictures in red, green and blue have no such indices. They give vegetation by the excess of green (Woebbecke
and others 1995, on chromatic coordinates), snow by brightness, and little else; their classes are less sure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array, UInt8Array
from rsdetect.jsontypes import JsonObject
from rsdetect.kinds.classes import Land, pair_codes

BASES = ("swir", "nir", "rgb")
_BANDS = {
    "swir": ("blue", "green", "red", "nir", "swir1", "swir2"),
    "nir": ("blue", "green", "red", "nir"),
    "rgb": ("blue", "green", "red"),
}
_DARKEST = np.float32(1e-4)  # reflectance; keeps indices finite where bands are 0 or negative


@dataclass(frozen=True)
class Scale:
    """Scale of one date: reflectance is value * gain + offset, one of each per used band."""

    gains: tuple[float, ...]
    offsets: tuple[float, ...]

    def reflectance(self, values: Float32Array, places: tuple[int, ...]) -> Float32Array:
        """Reflectance of the bands at `places` of values (bands, n), above 0; (used bands, n)."""
        gains, offsets = (np.array(each, np.float32)[:, None] for each in (self.gains, self.offsets))
        return np.asarray(np.maximum(values[list(places)] * gains + offsets, _DARKEST))


@dataclass(frozen=True)
class LandRules:
    """Rules of a pair: which bands they read, and the scale of each date."""

    basis: str  # one of BASES: the bands that there are
    places: tuple[int, ...]  # in the pair's bands, of those of the basis in order
    before: Scale
    after: Scale
    units: str = "reflectance"  # or "stretched": values of pictures, by percentiles

    def codes(self, before: Float32Array, after: Float32Array) -> UInt8Array:
        """Codes of the land classes of pixels on both dates, values (bands, n) each; (n,)."""
        return pair_codes(
            self._classes(self.before.reflectance(before, self.places)),
            self._classes(self.after.reflectance(after, self.places)),
        )

    def _classes(self, bands: Float32Array) -> UInt8Array:
        if self.basis == "rgb":
            return picture_classes(*bands)
        return spectral_classes(dict(zip(_BANDS[self.basis], bands, strict=True)))

    @classmethod
    def of_record(cls, content: Mapping[str, Any] | None) -> Self | None:
        """Rules as `as_record` and JSON gave them; None = of a record without."""
        if content is None:
            return None
        before, after = (
            Scale(tuple(content[date]["gains"]), tuple(content[date]["offsets"]))
            for date in ("before", "after")
        )
        return cls(content["basis"], tuple(content["places"]), before, after, content["units"])

    def as_record(self) -> JsonObject:
        """Rules as JSON types, for the record of a run."""
        return asdict(self)


def wanted_bands(basis: str) -> tuple[str, ...]:
    """Common names of the bands of a basis, in the order of its rules."""
    return _BANDS[basis]


def index(more: Float32Array, less: Float32Array) -> Float32Array:
    """Normalised difference of two bands of rules, -1 to 1; 0 where both are 0.

    >>> index(np.float32([0.75, 0.0]), np.float32([0.25, 0.0])).tolist()
    [0.5, 0.0]
    """
    total = more + less
    return np.asarray(np.divide(more - less, total, out=np.zeros_like(total), where=total != 0))


def spectral_classes(bands: Mapping[str, Float32Array]) -> UInt8Array:
    """Land classes by rules of reflectance, (n,).

    Parameters
    ----------
    bands
        blue, green, red and nir, and perhaps swir1 and swir2; (n,) each.
    """
    green, red, nir = bands["green"], bands["red"], bands["nir"]
    ndvi, ndwi = index(nir, red), index(green, nir)
    pisi = 0.8192 * bands["blue"] - 0.5735 * nir + 0.0750
    if "swir1" in bands:
        mndwi, nbr = index(green, bands["swir1"]), index(nir, bands["swir2"])
        bright = (mndwi > 0.4) & (nir > 0.11)
        wet = ((mndwi > 0) | (ndwi > 0)) & (ndvi < 0)
        burnt = (nbr < -0.17) & (nir < 0.18)
        dark = (bands["swir1"] < 0.22) & (red < 0.075)
    else:
        bright = (ndvi < 0.1) & (green > 0.4)
        wet = (ndwi > 0) & (nir < 0.2)
        burnt = np.zeros(nir.shape, np.bool_)
        dark = red < 0.07
    return _first_of(
        (bright & (green > 0.4), Land.SNOW),
        (wet, Land.WATER),
        (burnt, Land.BURNT),
        ((ndvi > 0.4) & dark, Land.TREES),
        (ndvi > 0.33, Land.LOW_VEGETATION),
        ((pisi > -0.02) & (index(red, bands["blue"]) < 0.18), Land.BUILT),
        otherwise=Land.BARE,
    )


def picture_classes(blue: Float32Array, green: Float32Array, red: Float32Array) -> UInt8Array:
    """Land classes of pictures in red, green and blue, stretched to about 0 to 1; (n,)."""
    total = blue + green + red
    excess_green = (2 * green - red - blue) / total
    redder = (red - blue) / total
    return _first_of(
        (total < 0.2, Land.UNKNOWN),  # shadow, or water
        (total > 3.3, Land.SNOW),
        ((excess_green > 0.07) & (total < 1.2), Land.TREES),
        (excess_green > 0.18, Land.LOW_VEGETATION),
        ((redder > 0.13) & (total > 0.6), Land.BARE),
        otherwise=Land.BUILT,
    )


def _first_of(*rules: tuple[BoolArray, Land], otherwise: Land) -> UInt8Array:
    """The class of the first rule that holds at each pixel."""
    return np.select(
        [holds for holds, _ in rules], [np.uint8(land) for _, land in rules], np.uint8(otherwise)
    ).astype(np.uint8)
