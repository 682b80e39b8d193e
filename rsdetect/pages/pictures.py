"""Pictures embedded in pages: bands stretched to RGB and encoded as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from rsdetect.arraytypes import BoolArray, Float32Array

Rgb = NDArray[np.uint8]  # (3, height, width)
GREY = (128, 128, 128)  # colour of invalid pixels

_LOW, _HIGH = 2, 98  # percentiles of the stretch of a band


def colour_bands(names: Sequence[str]) -> list[int]:
    """Indices of the bands to picture: red, green, blue by name, else the first three, else the first."""
    if {"red", "green", "blue"} <= set(names):
        return [names.index(name) for name in ("red", "green", "blue")]
    return [0, 1, 2] if len(names) >= 3 else [0, 0, 0]


def stretch_limits(values: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Lowest and highest pictured value per band of (bands, pixels), with at least one pixel."""
    low, high = np.percentile(values, [_LOW, _HIGH], axis=1).astype(np.float32)
    return low, high


def stretched(values: Float32Array, limits: tuple[Float32Array, Float32Array], valid: BoolArray) -> Rgb:
    """Picture of (bands, height, width) stretched between `limits`, grey where not `valid`."""
    low, high = (limit[:, None, None] for limit in limits)
    share = np.clip((values - low) / np.where(high > low, high - low, np.float32(1)), 0, 1)
    picture: Rgb = np.rint(share * 255).astype(np.uint8)
    picture[:, ~valid] = np.array(GREY, np.uint8)[:, None]
    return picture


def data_uri(picture: Rgb, driver: str = "PNG") -> str:
    """Encode a picture as a data URI for a page; `driver` is PNG or JPEG."""
    profile = {"driver": driver, "count": 3, "height": picture.shape[1], "width": picture.shape[2]}
    with MemoryFile() as memory:
        with memory.open(dtype="uint8", **profile) as file:
            file.write(picture)
        content = bytes(memory.getbuffer())
    return f"data:image/{driver.lower()};base64,{base64.b64encode(content).decode()}"
