"""Exact elementary functions: the same bits on every processor.

Those of NumPy and of the C library differ in the last bit between processors and versions. These consist of
additions, multiplications, divisions and square roots, whose rounding IEEE 754 defines, and of scaling by
powers of two. They are accurate to a few units in the last place of float64, `cos_turns` and `exp` of
float32 arrays to a few of float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array

Floats = NDArray[np.floating[Any]]
Real = TypeVar("Real", float, Float64Array, Floats)

_LN2 = 0.6931471805599453
# ln 2 in two parts; the product of the first with a small integer is exact (fdlibm).
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_EXP = [1 / math.factorial(k) for k in range(14)]
_EXP32 = _EXP[:8]
_ATANH = [1 / (2 * k + 1) for k in range(12)]
_SIN = [(1 - 2 * (k % 2)) / math.factorial(2 * k + 1) for k in range(11)]
_SIN32 = _SIN[:6]
# Wichura 1988, algorithm AS 241 (PPND16): numerators and denominators, lowest power first.
_MIDDLE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_FLANK = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2,
     7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
     1.05075007164441684324e-9),
)  # fmt: skip
_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5,
     2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
     2.04426310338993978564e-15),
)  # fmt: skip


def _exact_polynomial(x: Real, coefficients: Sequence[float]) -> Real:
    """Exact Horner evaluation, lowest power first; at least two coefficients."""
    total: Any = x * coefficients[-1]
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= x
    total += coefficients[0]
    return cast(Real, total)


def exp(x: Real) -> Real:
    """Exact exponential of `x`, a float or an array, within the range of its type."""
    if isinstance(x, float):
        times = round(x / _LN2)
        return math.ldexp(_exact_polynomial(x - times * _LN2_HIGH - times * _LN2_LOW, _EXP), times)
    shift = np.rint(x * (1 / _LN2))
    rest = x - shift * _LN2_HIGH - shift * _LN2_LOW
    grown = _exact_polynomial(rest, _EXP32 if x.dtype == np.float32 else _EXP)
    return cast(Real, np.ldexp(grown, shift.astype(np.int32)))


def log(x: Real) -> Real:
    """Exact natural logarithm of `x` > 0, a float or a float64 array."""
    if isinstance(x, float):
        share, times = math.frexp(x)
        if share < 0.7071067811865476:
            share, times = 2 * share, times - 1
    else:
        share, times = np.frexp(x)
        low = share < 0.7071067811865476
        share, times = np.where(low, 2 * share, share), times - low
    ratio = (share - 1) / (share + 1)
    series = 2 * ratio * _exact_polynomial(ratio * ratio, _ATANH)
    total: Any = times * _LN2_HIGH + (series + times * _LN2_LOW)
    return cast(Real, total)


def power(x: Real, exponent: float) -> Real:
    """Exact power of `x` >= 0, a float or a float64 array; the exponent is above 0."""
    if isinstance(x, float):
        return exp(exponent * log(x)) if x else 0.0
    zero = x == 0
    return np.where(zero, 0.0, exp(exponent * log(np.where(zero, 1.0, x))))


def cos_turns(turns: Real) -> Real:
    """Exact cosine of an angle in full turns, a float or an array."""
    if isinstance(turns, float):
        quarter = (0.25 - abs(turns - round(turns))) * (2 * math.pi)
        return quarter * _exact_polynomial(quarter * quarter, _SIN)
    angle = turns - np.rint(turns)
    np.abs(angle, out=angle)
    np.subtract(0.25, angle, out=angle)
    angle *= 2 * math.pi
    return angle * _exact_polynomial(angle * angle, _SIN32 if angle.dtype == np.float32 else _SIN)


def sin_turns(turns: Real) -> Real:
    """Exact sine of an angle in full turns, a float or an array."""
    return cos_turns(turns - 0.25)


def direction(turns: float) -> tuple[float, float]:
    """Exact (sine, cosine) of an angle in full turns."""
    return sin_turns(turns), cos_turns(turns)


def normal_quantile(share: Float64Array) -> Float64Array:
    """Exact quantiles of the standard normal distribution at each `share` in (0, 1)."""
    off = share - 0.5
    near = off * _exact_ratio(0.180625 - off * off, _MIDDLE)
    far = np.sqrt(-log(np.minimum(share, 1 - share)))
    away = np.where(far <= 5, _exact_ratio(far - 1.6, _FLANK), _exact_ratio(far - 5, _TAIL))
    return np.where(np.abs(off) <= 0.425, near, np.where(off > 0, away, -away))


def _exact_ratio(x: Float64Array, parts: tuple[tuple[float, ...], tuple[float, ...]]) -> Float64Array:
    return _exact_polynomial(x, parts[0]) / _exact_polynomial(x, parts[1])
