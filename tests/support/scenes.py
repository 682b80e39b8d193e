"""Tiny scenes on disk, for every test that reads files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp

UTM = "EPSG:32632"
TEN_METRES = Affine(10, 0, 500000, 0, -10, 5300000)


def write_scene(path, array, *, crs=UTM, transform=TEN_METRES, nodata=None, mask=None, names=None, **profile):
    """Write `array` (bands, height, width) and return the path as text.

    `mask` (height, width) bool, True = valid, becomes the file's mask band: inside the TIFF, or as a .msk
    beside it with `sidecar=True`. `alpha=True` declares the last band as alpha. `names` describes the bands.
    Anything else goes to the driver; `driver` and `dtype` may be among it.
    """
    array = np.asarray(array)
    if array.ndim == 2:
        array = array[None]
    sidecar, alpha = profile.pop("sidecar", False), profile.pop("alpha", False)
    profile = {"driver": "GTiff", "dtype": array.dtype, **profile}
    count, height, width = array.shape
    options = {"GDAL_TIFF_INTERNAL_MASK": not sidecar}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with (
        rasterio.Env(**options),
        rasterio.open(
            path, "w", count=count, height=height, width=width, crs=crs, transform=transform, nodata=nodata,
            **profile,
        ) as dataset,
    ):  # fmt: skip
        if alpha:
            dataset.colorinterp = [*dataset.colorinterp[:-1], ColorInterp.alpha]
        if names:
            dataset.descriptions = names
        dataset.write(array)
        if mask is not None:
            dataset.write_mask(np.where(mask, 255, 0).astype(np.uint8))
    return str(path)


def write_plain(path, array, *, driver="PNG"):
    """Write `array` (bands, height, width) without any georeference and return the path as text."""
    return write_scene(path, array, crs=None, transform=Affine.identity(), driver=driver)


def random_scene(seed, bands=3, height=40, width=50, dtype="uint8"):
    """Noise of any data type, (bands, height, width); never 0, so that 0 may serve as nodata."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return (rng.normal(size=(bands, height, width)) + 10).astype(dtype)
    high = min(np.iinfo(dtype).max, 4000)
    return rng.integers(1, high, (bands, height, width)).astype(dtype)


def textured_scene(seed, bands=3, height=256, width=256, dtype="uint8", sharpness=1.5):
    """A smooth random surface with edges in it, of which a shift can be measured."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    grey = gaussian_filter(rng.normal(size=(height, width)), sharpness, mode="wrap")
    grey = (grey - grey.mean()) / grey.std()
    scene = np.stack([grey * (20 + 3 * band) + 110 for band in range(bands)])
    return np.clip(scene, 1, 250).astype(dtype)
