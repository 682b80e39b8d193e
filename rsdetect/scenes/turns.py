"""Turns of 360 degrees: longitudes that count from -180 or from 0, and grids across 180 degrees."""

from __future__ import annotations

import functools
import math
import warnings
from dataclasses import replace

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import ArrayLike

from rsdetect.arraytypes import Float64Array
from rsdetect.errors import GridMismatch
from rsdetect.grid import Grid


@functools.lru_cache(maxsize=64)
def full_turn(crs: str | None) -> float | None:
    """360 degrees in the unit of a geographic CRS; None for other CRSs, whose coordinates do not repeat."""
    if crs is None:
        return None
    parsed = pyproj.CRS(crs)
    return 2 * math.pi / parsed.axis_info[0].unit_conversion_factor if parsed.is_geographic else None


def turned_toward(other: Grid, reference: Grid) -> Grid:
    """Grid moved by whole turns to where it covers most of `reference`, both in one CRS.

    >>> wgs84 = pyproj.CRS(4326).to_wkt()
    >>> from_0 = Grid(wgs84, Affine(1, 0, 0, 0, -1, 90), 180, 360)
    >>> turned_toward(from_0, Grid(wgs84, Affine(1, 0, -80, 0, -1, 10), 5, 5)).bounds
    (-360.0, -90.0, 0.0, 90.0)
    """
    turn = full_turn(reference.crs)
    if turn is None:
        return other
    left, _, right, _ = reference.bounds
    own = other.bounds

    def covered(turns: int) -> float:
        return min(right, own[2] + turns * turn) - max(left, own[0] + turns * turn)

    best = max((0, -1, 1), key=covered)  # of equal ones the first
    if best == 0 or covered(best) <= max(covered(0), 0):
        return other
    return replace(other, transform=Affine.translation(best * turn, 0) @ other.transform)


def near_longitudes(values: ArrayLike, grid: Grid) -> Float64Array:
    """Coordinates x in the CRS of a grid, by whole turns within half a turn of its middle."""
    found = np.asarray(values, np.float64)
    turn = full_turn(grid.crs)
    if turn is None:
        return found
    left, _, right, _ = grid.bounds
    with np.errstate(invalid="ignore"):  # of infinite ones
        return np.asarray(found - turn * np.rint((found - (left + right) / 2) / turn))


def wrapped_crs(grid: Grid) -> str:
    """CRS of a grid for GDAL, whose longitudes count as those of the grid do.

    GDAL gives longitudes from -180 to 180, where a grid that counts to 360 has nothing.

    Raises
    ------
    GridMismatch
        The datum of such a grid has no name in PROJ's text, by which GDAL is given the middle.
    """
    assert grid.crs is not None
    turn = full_turn(grid.crs)
    left, _, right, _ = grid.bounds
    if turn is None or (left >= -turn / 2 * (1 + 1e-9) and right <= turn / 2 * (1 + 1e-9)):
        return grid.crs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that PROJ's text loses names
        words = pyproj.CRS(grid.crs).to_dict()
    middle = round(math.degrees((left + right) / 2 * (2 * math.pi / turn)), 6)
    if "datum" not in words:
        raise GridMismatch(
            f"longitudes from {math.degrees(left * 2 * math.pi / turn):.7g} degrees on the datum of "
            f"{pyproj.CRS(grid.crs).name} cannot be warped; bring the scene to -180 to 180 degrees first "
            "(gdalwarp -te ...)."
        )
    return f"+proj=longlat +datum={words['datum']} +lon_wrap={middle!r} +no_defs"
