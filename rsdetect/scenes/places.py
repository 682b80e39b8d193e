"""Places of a grid as text for readers: latitude and longitude, or row and column."""

from __future__ import annotations

import numpy as np
import pyproj

from rsdetect.arraytypes import Float64Array
from rsdetect.grid import Grid


def place_texts(grid: Grid, points: Float64Array) -> list[str]:
    """Latitude and longitude of points (points, 2) in units of a grid's CRS; row and column without a CRS.

    Returns
    -------
    list of str
        "" of points that have no place on Earth.
    """
    if grid.crs is None:
        inverse = ~grid.transform
        pixels = [inverse @ (float(x), float(y)) for x, y in points]
        return [f"row {row:.0f}, column {col:.0f}" for col, row in pixels]
    try:
        to_degrees = pyproj.Transformer.from_crs(grid.crs, 4326, always_xy=True)
        longitudes, latitudes = to_degrees.transform(*points.T)
    except pyproj.exceptions.ProjError:  # a CRS without a place on Earth
        return [f"{x:.6g}, {y:.6g}" for x, y in points]
    return [
        f"{lat:.5f}, {lon:.5f}" if np.isfinite([lat, lon]).all() else ""
        for lat, lon in zip(latitudes, longitudes, strict=True)
    ]
