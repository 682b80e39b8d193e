"""Digital numbers of a product: reflectance scaled to integers, or radiance at the sensor."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.imaging.sensors import Product

# Landsat 5's TM, bands 1 to 5 and 7 (Chander, Markham, Helder 2009): the sun's irradiance in W / m2 / um,
# and the radiance at numbers 0 and 255 in W / m2 / sr / um.
_SUN = {"blue": 1958.0, "green": 1827.0, "red": 1551.0, "nir": 1036.0, "swir1": 214.9, "swir2": 80.65}
_DARK = {"blue": -1.52, "green": -2.84, "red": -1.17, "nir": -1.51, "swir1": -0.37, "swir2": -0.15}
_FULL = {"blue": 193.0, "green": 365.0, "red": 264.0, "nir": 221.0, "swir1": 30.2, "swir2": 16.5}
# Path reflectance of a clear atmosphere at the sensor.
_AIR = {"blue": 0.072, "green": 0.038, "red": 0.020, "nir": 0.007, "swir1": 0.0, "swir2": 0.0}


def encode_product(
    bands: list[Float32Array], names: tuple[str, ...], product: Product, sun_tan: float
) -> list[Float32Array]:
    """Encode reflectance as the digital numbers of a product other than a picture, still float."""
    if product is Product.REFLECTANCE:
        return [band * np.float32(1e4) for band in bands]
    if product is Product.SCALED:
        return [(band + np.float32(0.2)) * np.float32(1 / 2.75e-5) for band in bands]
    assert product is Product.RADIANCE, product
    sine = sun_tan / sqrt(1 + sun_tan * sun_tan)  # of the sun's elevation
    out = []
    for band, name in zip(bands, names, strict=True):
        per_reflectance = _SUN[name] * sine / pi
        step = (_FULL[name] - _DARK[name]) / 255
        out.append(((band + np.float32(_AIR[name])) * per_reflectance - _DARK[name]) * np.float32(1 / step))
    return out


def to_digital_numbers(bands: list[Float32Array], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Round to digital numbers, at least 1, because 0 is nodata; (bands, height, width)."""
    top = 255 if dtype == np.uint8 else 65535
    stack = np.stack(bands)
    return np.clip(np.rint(stack), 1, top).astype(dtype)
