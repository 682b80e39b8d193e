"""Rules of land classes for a pair: which bands it has, and in which units its values are."""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.checks.scan import Scan
from rsdetect.kinds.rules import BASES, LandRules, Scale, wanted_bands
from rsdetect.scenes.known_bands import known_bands
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.radar import is_radar_by
from rsdetect.scenes.scene import Scene

_LOW, _HIGH = 2, 98  # percentiles
_PER_10000 = 1e-4  # Sentinel-2 and many others: reflectance * 10 000
_COLLECTION_2 = (2.75e-5, -0.2)  # Landsat, Collection 2
_COLLECTION_2_ZERO = 6500  # numbers, a little under reflectance 0 there
_BRIGHTEST = 1.6  # of reflectance, which snow and clouds exceed a little


def fit_land_rules(scan: Scan) -> LandRules | None:
    """Rules for the pair of a scan; None if its bands give no land class, as of radar and single bands.

    Values are reflectance where scale and offset are known, or floats up to about 1; integers of 16 bits are
    taken for reflectance * 10 000, or for Landsat's Collection 2 where none is near 0. All others, as of
    8-bit pictures, are stretched by the percentiles of both dates.
    """
    pair = scan.pair
    if any(is_radar_by(pair.bands, scene.path) for scene in (pair.before, pair.after)):
        return None
    found = _basis(pair)
    if found is None:
        return None
    basis, places = found
    sample = scan.sample_pixels()
    if not sample.count:
        return None
    dates = ((pair.before, sample.before), (pair.after, sample.after))
    if pair.normalisation.is_shared and pair.normalisation.method != "none":
        dates = (dates[0], (pair.before, sample.after))  # mapped onto the values of before
    before, after = (_linear(scene, values[list(places)]) for scene, values in dates)
    if basis != "rgb" and before is not None and after is not None:
        return LandRules(basis, places, _scale(before, len(places)), _scale(after, len(places)))
    first, second = (_stretched(values[list(places)]) for _, values in dates)
    return LandRules(basis, places, first, second, units="stretched")


def _basis(pair: Pair) -> tuple[str, tuple[int, ...]] | None:
    """The bands that rules read, and their places in the pair; None if there are too few."""
    names = [known or name for known, name in zip(known_bands(pair.bands), pair.bands, strict=True)]
    for basis in BASES:
        wanted = wanted_bands(basis)
        if all(name in names for name in wanted):
            return basis, tuple(names.index(name) for name in wanted)
    return None


def _linear(scene: Scene, values: Float32Array) -> tuple[float, float] | None:
    """Gain and offset of a date's values to reflectance; None = unknown."""
    low, high = np.percentile(values, [_LOW, _HIGH], axis=1)
    if scene.scales or scene.dtype.startswith("float"):
        return (1.0, 0.0) if high.max() <= _BRIGHTEST else None
    if "8" in scene.dtype or high.max() <= 255:
        return None
    if low.min() >= _COLLECTION_2_ZERO:
        return _COLLECTION_2
    return (_PER_10000, 0.0) if high.max() * _PER_10000 <= _BRIGHTEST else None


def _scale(linear: tuple[float, float], bands: int) -> Scale:
    return Scale((linear[0],) * bands, (linear[1],) * bands)


def _stretched(values: Float32Array) -> Scale:
    """Scale that maps the percentiles of a date, over all bands together, to 0 and 1."""
    low, high = np.percentile(values, [_LOW, _HIGH])
    gain = 1 / max(float(high - low), 1e-6)
    return Scale((gain,) * len(values), (-float(low) * gain,) * len(values))
