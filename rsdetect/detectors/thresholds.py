"""Thresholds of change from a histogram, for any detector.

Every function takes `counts` and `centres`, (bins,), with increasing centres, and returns the lowest value of
change. If all counts are in one bin there is no threshold, and the result is 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.errors import InputError

_UNIFORM_BINS = 512
_TOP = 1e-4  # share of the largest values that lie in the last of them


def find_level(rule: str, counts: Int64Array, centres: Float64Array) -> float:
    """The value that a rule gives, as `require_level` takes it."""
    kind, number = require_level(rule)
    if kind == "fixed":
        return number
    if kind == "quantile":
        return quantile(counts, centres, number)
    return _RULES[kind](*uniform(counts, centres))


def require_level(rule: str) -> tuple[str, float]:
    """The kind of a rule and its number, NaN where it has none.

    >>> require_level("quantile:0.98"), require_level("0.2")
    (('quantile', 0.98), ('fixed', 0.2))

    Raises
    ------
    InputError
        No such rule.
    """
    kind, _, text = rule.strip().lower().rpartition(":")
    if not kind and text in _RULES:
        return text, math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if (not kind and number > 0 and math.isfinite(number)) or (kind == "quantile" and 0 < number < 1):
        return kind or "fixed", number
    raise InputError(
        f"level={rule!r} is unknown; choose one of {', '.join(_RULES)}, quantile:Q with Q between 0 and 1, "
        "or a distance above 0."
    )


def uniform(counts: Int64Array, centres: Float64Array) -> tuple[Int64Array, Float64Array]:
    """The histogram in 512 bins of equal width, up to all but the largest ten-thousandth of the values."""
    occupied = np.flatnonzero(counts)
    if occupied.size == 0:
        return counts, centres
    low, high = centres[occupied[0]], quantile(counts, centres, 1 - _TOP)
    if not high > low:
        return counts[occupied[:1]], centres[occupied[:1]]
    width = (high - low) / _UNIFORM_BINS
    places = np.clip((centres - low) / width, 0, _UNIFORM_BINS - 1).astype(np.intp)
    summed = np.bincount(places, counts, _UNIFORM_BINS).astype(np.int64)
    return summed, np.asarray(low + width * (np.arange(_UNIFORM_BINS) + 0.5))


def otsu(counts: Int64Array, centres: Float64Array) -> float:
    """Threshold of Otsu (1979), "A threshold selection method from gray-level histograms".

    >>> otsu(np.array([5, 1, 0, 0, 1, 3]), np.arange(6.0))
    1.0
    """
    if np.count_nonzero(counts) < 2:
        return 0.0
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(hist=(counts, centres)))


def kittler(counts: Int64Array, centres: Float64Array) -> float:
    """Kittler and Illingworth (1986), "Minimum error thresholding": two normal classes.

    >>> kittler(np.array([1, 4, 6, 4, 1, 0, 1, 2, 1]), np.arange(9.0))
    4.0
    """
    return _least_error(counts, centres, generalised=False)


def kittler_generalised(counts: Int64Array, centres: Float64Array) -> float:
    """Bazi, Bruzzone and Melgani (2005), "An unsupervised approach based on the generalized Gaussian model".

    Minimum error as of Kittler and Illingworth with two generalised Gaussians, whose shapes follow from mean
    absolute and mean square deviations (Mallat 1989).
    """
    return _least_error(counts, centres, generalised=True)


def kapur(counts: Int64Array, centres: Float64Array) -> float:
    """Kapur, Sahoo and Wong (1985), "A new method for gray-level picture thresholding using entropy".

    >>> kapur(np.array([4, 4, 0, 0, 0, 1, 1]), np.arange(7.0))
    1.0
    """
    if np.count_nonzero(counts) < 2:
        return 0.0
    share = counts / counts.sum()
    below = share.cumsum()
    entropy = -(share * np.log(np.where(share > 0, share, 1))).cumsum()
    known = np.flatnonzero((counts > 0) & (below < 1 - 1e-12))
    first, rest = below[known], 1 - below[known]
    total = np.log(first * rest) + entropy[known] / first + (entropy[-1] - entropy[known]) / rest
    return float(centres[known[np.argmax(total)]])


def rosin(counts: Int64Array, centres: Float64Array) -> float:
    """Rosin (2001), "Unimodal thresholding": the corner between the peak and the end of the tail.

    >>> rosin(np.array([0, 100, 20, 4, 3, 2, 1]), np.arange(7.0))
    2.0
    """
    if np.count_nonzero(counts) < 2:
        return 0.0
    peak, end = int(np.argmax(counts)), int(np.flatnonzero(counts)[-1])
    if end == peak:
        return float(centres[end])
    places = np.arange(peak, end + 1)
    fall = (counts[peak] - counts[end]) / (end - peak)
    below = counts[peak] - fall * (places - peak) - counts[places]  # at a fixed angle to the line
    return float(centres[places[np.argmax(below)]])


def quantile(counts: Int64Array, centres: Float64Array, share: float) -> float:
    """The value below which a share of all lies, to the width of a bin."""
    total = counts.cumsum()
    return float(centres[np.searchsorted(total, share * total[-1])])


def _least_error(counts: Int64Array, centres: Float64Array, *, generalised: bool) -> float:
    """Where two classes overlap least: the minimum of Kittler's criterion over all cuts."""
    if np.count_nonzero(counts) < 2:
        return 0.0
    occupied = np.flatnonzero(counts)
    width = float(np.diff(centres).min())
    best, least = 0.0, math.inf
    for cut in occupied[:-1]:
        cost = 0.0
        for part in (slice(0, cut + 1), slice(cut + 1, None)):
            share = float(counts[part].sum() / counts.sum())
            cost += share * (_spread_cost(counts[part], centres[part], width, generalised) - math.log(share))
        if cost < least:
            best, least = float(centres[cut]), cost
    return best


def _spread_cost(counts: Int64Array, centres: Float64Array, width: float, generalised: bool) -> float:
    """Mean negative logarithm of a class' density, up to a constant."""
    mean = float(np.average(centres, weights=counts))
    away = np.abs(centres - mean)
    variance = float(np.average(away**2, weights=counts)) + width**2 / 12  # of the width of the bins
    if not generalised:
        return 0.5 * (math.log(2 * math.pi * variance) + 1)
    ratio = float(np.average(away, weights=counts)) ** 2 / variance
    shape = float(np.interp(ratio, _RATIOS, _SHAPES))
    scale = math.sqrt(variance) * math.exp((math.lgamma(1 / shape) - math.lgamma(3 / shape)) / 2)
    return math.log(2 * scale / shape) + math.lgamma(1 / shape) + 1 / shape


def _ratio(shape: float) -> float:
    """Squared mean absolute over mean square deviation of a generalised Gaussian."""
    return math.exp(2 * math.lgamma(2 / shape) - math.lgamma(1 / shape) - math.lgamma(3 / shape))


_SHAPES = np.geomspace(0.3, 10, 200)
_RATIOS = np.array([_ratio(shape) for shape in _SHAPES])
_RULES: dict[str, Callable[[Int64Array, Float64Array], float]] = {
    "otsu": otsu,
    "kittler": kittler,
    "kittler-generalised": kittler_generalised,
    "kapur": kapur,
    "rosin": rosin,
}
