"""Pictures embedded in pages: bands stretched to RGB and encoded as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.devices import usable_cores

Rgb = NDArray[np.uint8]  # (3, height, width)
GREY = (128, 128, 128)  # colour of invalid pixels

_LOW, _HIGH = 2, 98  # percentiles of the stretch of a band
_TRIED = 8  # pictures, about, by which a quality is chosen
_QUALITIES = (85, 75, 60, 45, 30, 15)  # of JPEG


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
    level = values - low
    level *= np.float32(255) / np.where(high > low, high - low, np.float32(1))
    np.rint(np.clip(level, 0, 255, out=level), out=level)
    picture: Rgb = level.astype(np.uint8)
    picture[:, ~valid] = np.array(GREY, np.uint8)[:, None]
    return picture


def data_uri(picture: Rgb, driver: str = "PNG", **options: int) -> str:
    """Encode a picture as a data URI for a page; `driver` is PNG or JPEG, with creation options of GDAL."""
    profile = {"driver": driver, "count": 3, "height": picture.shape[1], "width": picture.shape[2]}
    with MemoryFile() as memory:
        with memory.open(dtype="uint8", **profile, **options) as file:
            file.write(picture)
        content = bytes(memory.getbuffer())
    return _as_uri(content, driver)


def palette_uri(classes: NDArray[np.uint8], colours: Mapping[int, tuple[int, int, int, int]]) -> str:
    """Encode classes (height, width) as a PNG with a palette of red, green, blue and opacity, all to 255."""
    with MemoryFile() as memory:
        height, width = classes.shape
        with memory.open(driver="PNG", count=1, height=height, width=width, dtype="uint8") as file:
            file.write(classes, 1)
            file.write_colormap(1, dict(colours))
        content = bytes(memory.getbuffer())
    return _as_uri(content, "PNG")


def uris_within(pictures: Sequence[Rgb], most_bytes: int) -> list[str]:
    """Encode pictures as JPEG, in the best quality in which all data URIs together are small enough.

    The least quality is used if none is. The quality at which some of the pictures are small enough is tried
    first, so that few are encoded several times.
    """
    some = pictures[:: max(1, len(pictures) // _TRIED)]
    share = sum(each.size for each in some) / max(1, sum(each.size for each in pictures))
    with ThreadPoolExecutor(usable_cores(), thread_name_prefix="picture") as pool:

        def encoded(each: Sequence[Rgb], quality: int) -> list[str]:
            return list(pool.map(lambda picture: data_uri(picture, "JPEG", QUALITY=quality), each))

        found: list[str] = []
        for number, quality in enumerate(_QUALITIES, 1):
            is_last = number == len(_QUALITIES)
            if not is_last and sum(map(len, encoded(some, quality))) > share * most_bytes:
                continue
            found = encoded(pictures, quality)
            if sum(map(len, found)) <= most_bytes:
                break
    return found


def _as_uri(content: bytes, driver: str) -> str:
    return f"data:image/{driver.lower()};base64,{base64.b64encode(content).decode()}"
