"""Synthetic disturbances: a pair whose after scene is noisy, hazy, blurred, compressed or brighter.

Each is a plain, fixed degradation of all pixels, in units of the spread of a band (its 2nd to 98th
percentile), so that it means the same for pictures and for reflectances.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from scipy.ndimage import gaussian_filter

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.errors import InputError
from rsdetect.scenes.arrays import DataArraySource
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import read_scene

_NOISE = 0.05  # standard deviation, spreads
_VEIL = 0.6  # share of the haze at the right edge of the scene; 0 at the left
_BLUR_PX = 1.0  # standard deviation
_QUALITY = 40  # of JPEG
_GAIN = 1.4  # saturated at the 99.9th percentile of the scene


def disturb(pair: Pair, name: str) -> Pair:
    """Pair with a synthetic disturbance of its after scene, which is held in memory.

    Parameters
    ----------
    name
        One of `DISTURBANCES`.
    """
    from xarray import DataArray

    pixels, valid = read_scene(pair.after, pair.grid.window)
    if valid.any():
        pixels = DISTURBANCES[name](pixels, valid)
    dims = ("band", "y", "x")
    array = DataArray(np.where(valid, pixels, np.float32(np.nan)), dims=dims)
    source = DataArraySource(array, dims, pair.grid, pair.after.path)
    after = replace(
        pair.after,
        source=source,
        grid=pair.grid,
        bands=tuple(range(1, len(pixels) + 1)),
        dtype="float32",
        offset=(0, 0),
        warp=None,
        mask=None,
        files=None,
        control=None,
        displacement=None,
        scales=(),
        offsets=(),
    )
    return replace(pair, after=after)


def require_disturbances(names: tuple[str, ...]) -> None:
    """Raise `InputError` for an unknown disturbance."""
    for name in names:
        if name not in DISTURBANCES:
            raise InputError(f"`disturb` {name!r} is unknown; choose from {', '.join(DISTURBANCES)}.")


def _percentiles(pixels: Float32Array, valid: BoolArray, *shares: float) -> NDArray[np.float32]:
    """Percentiles of the valid pixels of each band before a disturbance, (shares, bands, 1, 1)."""
    found = np.percentile(pixels[:, valid], shares, axis=1)
    return np.asarray(found[..., None, None], np.float32)


def _noise(pixels: Float32Array, valid: BoolArray) -> Float32Array:
    low, high = _percentiles(pixels, valid, 2, 98)
    noise = np.random.default_rng(0).standard_normal(pixels.shape, dtype=np.float32)
    return np.asarray(pixels + np.float32(_NOISE) * (high - low) * noise, np.float32)


def _haze(pixels: Float32Array, valid: BoolArray) -> Float32Array:
    (bright,) = _percentiles(pixels, valid, 98)
    veil = np.linspace(0, _VEIL, pixels.shape[2], dtype=np.float32)
    return np.asarray(pixels + veil * (bright - pixels), np.float32)


def _blur(pixels: Float32Array, valid: BoolArray) -> Float32Array:
    return np.asarray(gaussian_filter(pixels, (0, _BLUR_PX, _BLUR_PX)))


def _jpeg(pixels: Float32Array, valid: BoolArray) -> Float32Array:
    low, high = _percentiles(pixels, valid, 0.1, 99.9)
    step = np.maximum(high - low, 1e-6) / 255
    numbers = np.clip(np.rint((pixels - low) / step), 0, 255).astype(np.uint8)
    together = 3 if len(pixels) == 3 else 1
    parts = [_through_jpeg(numbers[first : first + together]) for first in range(0, len(pixels), together)]
    return np.asarray(low + step * np.concatenate(parts), np.float32)


def _through_jpeg(numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, height, width = numbers.shape
    with MemoryFile() as memory:
        shape = {"count": count, "height": height, "width": width, "dtype": "uint8"}
        with memory.open(driver="JPEG", quality=_QUALITY, **shape) as file:
            file.write(numbers)
        with memory.open() as file:
            read: NDArray[np.uint8] = file.read()
            return read


def _gain(pixels: Float32Array, valid: BoolArray) -> Float32Array:
    low, high = _percentiles(pixels, valid, 0.1, 99.9)
    return np.asarray(np.minimum(low + np.float32(_GAIN) * (pixels - low), high), np.float32)


DISTURBANCES: dict[str, Callable[[Float32Array, BoolArray], Float32Array]] = {
    "noise": _noise,
    "haze": _haze,
    "blur": _blur,
    "jpeg": _jpeg,
    "gain": _gain,
}
