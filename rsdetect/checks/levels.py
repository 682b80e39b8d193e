"""Levels of two dates that differ by a round constant or factor: undeclared units."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rsdetect.scenes.pair import Pair
from rsdetect.stats import PixelSample

_ROUND = (1.0, 2.0, 5.0)
_NEAR = 0.05  # share of the constant by which a band may miss it where the ground is much the same
_NEAR_IN_THE_DARK = 0.15  # the same for the darkest pixels, which seasons hardly move
_DARK = 1.0  # percentile
_STEADY = 3.0  # times the spread of the differences that a constant must be
_FACTORS = (10.0, 100.0, 1000.0, 10_000.0, 100_000.0)
_NEAR_FACTOR = 0.3
_LEAST_SHARE = 0.2  # of the middle value: haze and light move the ground by less
_LEAST = 100  # pixels


def level_warnings(pair: Pair, sample: PixelSample) -> tuple[str, ...]:
    """Warnings on levels of a pair that differ by a constant or factor that illumination cannot cause.

    Parameters
    ----------
    sample
        Pixels that are valid on both dates.
    """
    if sample.count < _LEAST:
        return ()
    before, after = (np.asarray(date, np.float64) for date in (sample.before, sample.after))
    constant = _constant(before, after)
    if constant is not None:
        return (
            f"the values of {pair.after.path} lie about {abs(constant):g} "
            f"{'above' if constant > 0 else 'below'} those of {pair.before.path} in every band: one of them "
            "seems to have an offset that the other lacks, and no file declares it (Sentinel-2 adds 1000, "
            "0.1 of reflectance, since baseline 04.00); gdal_edit.py -scale ... -offset ... declares it.",
        )
    factor = _factor(before, after)
    if factor is None:
        return ()
    larger, smaller = (pair.after, pair.before) if factor > 1 else (pair.before, pair.after)
    return (
        f"the values of {larger.path} are about {max(factor, 1 / factor):g} times those of {smaller.path} in "
        "every band: they seem to be in other units, and no file declares them; gdal_edit.py -scale does.",
    )


def _constant(before: NDArray[np.float64], after: NDArray[np.float64]) -> float | None:
    moved = after - before
    middle = np.median(moved, axis=1)
    spread = np.median(np.abs(moved - middle[:, None]), axis=1)
    wanted = _round_number(float(middle.mean()), _ROUND)
    least = _LEAST_SHARE * float(np.median(np.abs(before)))
    steady = max(_STEADY * float(np.median(spread)), least)
    if wanted and _all_near(middle, wanted, _NEAR) and abs(wanted) >= steady:
        return wanted
    dark = [np.percentile(date, _DARK, axis=1) for date in (before, after)]
    wanted = _round_number(float((dark[1] - dark[0]).mean()), (1.0,))
    clear = abs(wanted) >= least and bool((np.minimum(*dark) < abs(wanted)).all())
    return wanted if clear and _all_near(dark[1] - dark[0], wanted, _NEAR_IN_THE_DARK) else None


def _factor(before: NDArray[np.float64], after: NDArray[np.float64]) -> float | None:
    one, two = (np.median(date, axis=1) for date in (before, after))
    if (one <= 0).any() or (two <= 0).any():
        return None
    ratio = two / one
    for factor in (*_FACTORS, *(1 / factor for factor in _FACTORS)):
        if _all_near(ratio, factor, _NEAR_FACTOR):
            return factor
    return None


def _round_number(value: float, digits: tuple[float, ...]) -> float:
    """Nearest level with one digit out of `digits`, with the sign of `value`; 0 for 0.

    >>> _round_number(1013.0, (1.0, 2.0, 5.0)), _round_number(-0.19, (1.0, 2.0, 5.0))
    (1000.0, -0.2)
    """
    if value == 0 or not math.isfinite(value):
        return 0.0
    power = math.floor(math.log10(abs(value)))
    choices = [float(f"{digit}e{step}") for step in (power, power + 1) for digit in digits]
    return math.copysign(min(choices, key=lambda each: abs(each - abs(value))), value)


def _all_near(values: NDArray[np.float64], wanted: float, share: float) -> bool:
    return bool((np.abs(values - wanted) <= share * abs(wanted)).all())
