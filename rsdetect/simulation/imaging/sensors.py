"""Sensors of simulated scenes: a table with one row per kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np


class Product(Enum):
    """Product of a sensor: the meaning of its digital numbers."""

    PICTURE = "8 bit, toned for display"
    REFLECTANCE = "16 bit, reflectance x 10 000"
    SCALED = "16 bit, (reflectance + 0.2) / 0.0000275, as Landsat's Collection 2"
    RADIANCE = "8 bit, radiance at the sensor, as Landsat 5's TM"


@dataclass(frozen=True)
class Sensor:
    """Sensor of one kind of scene."""

    about: str  # short description for the command line
    bands: tuple[str, ...]  # names from `materials.BANDS`, in the order of the file
    product: Product
    gsd_m: float  # typical ground size of a pixel
    range_m: tuple[float, float]  # least and greatest pixel size of training scenes
    film: float = 0.0  # share of dates on faded film
    lean: float = 0.0  # standard deviation of the relief displacement, metres per metre of height
    coarse: tuple[str, ...] = ()  # bands with pixels of twice the size

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the sensor's digital numbers."""
        return np.dtype(np.uint8 if self.product in (Product.PICTURE, Product.RADIANCE) else np.uint16)


_RGB = ("red", "green", "blue")
_FOUR = ("blue", "green", "red", "nir")
_SIX = ("blue", "green", "red", "nir", "swir1", "swir2")
_SEVEN = ("blue", "green", "red", "rededge", "nir", "swir1", "swir2")

SENSORS = {
    "vhr": Sensor("satellite RGB, 8 bit, 0.5 m", _RGB, Product.PICTURE, 0.5, (0.3, 3.0), 0.05, 0.16),
    "aerial": Sensor("aerial RGB, 8 bit, 0.5 m", _RGB, Product.PICTURE, 0.5, (0.3, 2.0), 0.4, 0.13),
    "rgbn": Sensor("RGB and NIR, 8 bit, 1 m", (*_RGB, "nir"), Product.PICTURE, 1.0, (0.5, 5.0), 0.1, 0.1),
    "smallsat": Sensor("4 bands, 16 bit, 3 m", _FOUR, Product.REFLECTANCE, 3.0, (3.0, 10.0), 0.0, 0.08),
    "s2": Sensor("4 bands, 16 bit, 10 m", _FOUR, Product.REFLECTANCE, 10.0, (10.0, 10.0)),
    "s2-swir": Sensor(
        "7 bands, 16 bit, 10 m",
        _SEVEN,
        Product.REFLECTANCE,
        10.0,
        (10.0, 20.0),
        coarse=("rededge", "swir1", "swir2"),
    ),
    "landsat": Sensor("6 bands, 16 bit, 30 m", _SIX, Product.SCALED, 30.0, (30.0, 30.0)),
    "tm": Sensor("6 bands, 8 bit, 30 m", _SIX, Product.RADIANCE, 30.0, (30.0, 30.0)),
}
