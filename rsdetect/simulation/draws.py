"""Random draws that are the same on every processor and with every version of NumPy.

NumPy guarantees the raw bits of a generator. Its distributions depend on the C library and may change between
versions; here they are computed from the bits by exact operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsdetect.arraytypes import Float32Array, Float64Array
from rsdetect.simulation import exact

Size = int | tuple[int, ...]


class Draws:
    """Random draws, seeded by one integer or by a sequence of them, none negative."""

    def __init__(self, seed: int | Sequence[int]) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed))

    @overload
    def random(self) -> float: ...
    @overload
    def random(self, size: Size) -> Float64Array: ...
    def random(self, size: Size | None = None) -> float | Float64Array:
        """Uniform draws in [0, 1), multiples of 2^-53."""
        if size is None:
            return (int(self._bits.random_raw()) >> 11) * 2.0**-53
        raw = np.asarray(self._bits.random_raw(math.prod(_draw_shape(size))), dtype=np.uint64)
        shares: Float64Array = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return shares.reshape(_draw_shape(size))

    @overload
    def uniform(self, low: float, high: float) -> float: ...
    @overload
    def uniform(self, low: float, high: float, size: Size) -> Float64Array: ...
    def uniform(self, low: float, high: float, size: Size | None = None) -> float | Float64Array:
        """Uniform draws between `low` and `high`."""
        if size is None:
            return low + (high - low) * self.random()
        return low + (high - low) * self.random(size)

    def log_uniform(self, low: float, high: float) -> float:
        """Log-uniform draw between `low` and `high`."""
        return exact.exp(self.uniform(exact.log(float(low)), exact.log(float(high))))

    @overload
    def normal(self, mean: float, deviation: float) -> float: ...
    @overload
    def normal(self, mean: float, deviation: float, size: Size) -> Float64Array: ...
    def normal(self, mean: float, deviation: float, size: Size | None = None) -> float | Float64Array:
        """Normal draws, quantized to 65 536 steps of equal probability: within 4.33 deviations."""
        if size is None:
            return mean + deviation * float(_normal_steps()[int(self._bits.random_raw()) >> 48])
        steps: Float64Array = np.take(
            _normal_steps(), self._draw_uint16(math.prod(_draw_shape(size)))
        ).astype(np.float64)
        return mean + deviation * steps.reshape(_draw_shape(size))

    @overload
    def log_normal(self, mean: float, deviation: float) -> float: ...
    @overload
    def log_normal(self, mean: float, deviation: float, size: Size) -> Float64Array: ...
    def log_normal(self, mean: float, deviation: float, size: Size | None = None) -> float | Float64Array:
        """Log-normal draws."""
        if size is None:
            return exact.exp(self.normal(mean, deviation))
        return exact.exp(self.normal(mean, deviation, size))

    def pixel_noise(self, shape: tuple[int, int]) -> Float32Array:
        """Standard normal noise for an image, with the steps of `normal`; float32."""
        noise: Float32Array = np.take(_normal_steps(), self._draw_uint16(math.prod(shape)))
        return noise.reshape(shape)

    def _draw_uint16(self, count: int) -> NDArray[np.uint16]:
        """Draws of 16 bits, (count,)."""
        words = np.asarray(self._bits.random_raw(-(-count // 4)), dtype="<u8")
        return words.view("<u2")[:count]

    @overload
    def integers(self, low: int, high: int) -> int: ...
    @overload
    def integers(self, low: int, high: int, size: Size) -> NDArray[np.int64]: ...
    def integers(self, low: int, high: int, size: Size | None = None) -> int | NDArray[np.int64]:
        """Integer draws in [low, high); with a `size`, their span is below 2^32."""
        if size is None:
            return low + (int(self._bits.random_raw()) * (high - low) >> 64)
        return low + np.floor(self.random(size) * (high - low)).astype(np.int64)

    def index(self, odds: ArrayLike, size: int) -> NDArray[np.intp]:
        """Indices into `odds`, drawn with probabilities proportional to its values; (size,)."""
        ends = np.cumsum(np.asarray(odds, dtype=np.float64))
        found = np.searchsorted(ends, self.random(size) * ends[-1], side="right")
        return np.asarray(np.minimum(found, len(ends) - 1), dtype=np.intp)

    def choice(self, options: Sequence[Any], odds: ArrayLike | None = None) -> Any:
        """One of `options`, drawn uniformly or in proportion to `odds`."""
        return options[self.index(np.ones(len(options)) if odds is None else odds, 1)[0]]

    def gamma(self, shape: float, scale: float) -> float:
        """Gamma draw (Marsaglia, Tsang 2000)."""
        if shape < 1:
            lifted = self.gamma(shape + 1, scale)
            return lifted * exact.power(self.random() + 2.0**-54, 1 / shape)
        d = shape - 1 / 3
        c = 1 / math.sqrt(9 * d)
        while True:
            x = self.normal(0.0, 1.0)
            v = (1 + c * x) * (1 + c * x) * (1 + c * x)
            if v > 0 and exact.log(self.random() + 2.0**-54) < x * x / 2 + d * (1 - v + exact.log(v)):
                return scale * d * v

    def beta(self, a: float, b: float) -> float:
        """Beta draw."""
        first, second = self.gamma(a, 1.0), self.gamma(b, 1.0)
        return first / (first + second)

    def shares(self, weights: Sequence[float]) -> Float64Array:
        """Dirichlet draw: positive shares with sum 1."""
        parts = np.array([self.gamma(weight, 1.0) for weight in weights])
        return np.asarray(parts / parts.sum())

    def permutation(self, values: ArrayLike) -> NDArray[Any]:
        """The values in random order, drawn."""
        values = np.asarray(values)
        return values[np.argsort(self.random(len(values)), kind="stable")]


def _draw_shape(size: Size) -> tuple[int, ...]:
    return (size,) if isinstance(size, int) else size


@lru_cache(maxsize=1)
def _normal_steps() -> Float32Array:
    """Centres of the steps of equal probability that normal draws are quantized to, (65536,)."""
    return exact.normal_quantile((np.arange(65536) + 0.5) / 65536).astype(np.float32)
