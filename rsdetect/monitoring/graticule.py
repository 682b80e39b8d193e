"""Graticule of an overview map: lines of latitude and longitude, or of rows and columns, with labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyproj
import shapely

from rsdetect.arraytypes import Float64Array
from rsdetect.grid import Grid
from rsdetect.jobs.report.space import PageSpace

_MOST_LINES = 5  # in each direction
_POINTS = 33  # of a line, which may be curved
_LEAST_PLACE = 0.02  # distance of a line from the border, as a share of the map


@dataclass(frozen=True)
class GraticuleLine:
    """Line of a graticule, in pixels of the page."""

    path: str  # SVG
    text: str
    x: float  # of its lower or left end, where the text is
    y: float
    is_meridian: bool


def graticule(space: PageSpace) -> list[GraticuleLine]:
    """Graticule of a grid; rows and columns where the grid has no place on Earth."""
    try:
        lines = list(_degree_lines(space))
    except pyproj.exceptions.ProjError:
        lines = []
    return lines or list(_pixel_lines(space.grid))


def _degree_lines(space: PageSpace) -> Iterator[GraticuleLine]:
    """Meridians and parallels of a graticule."""
    grid = space.grid
    if grid.crs is None:
        return
    to_degrees = pyproj.Transformer.from_crs(grid.crs, 4326, always_xy=True)
    share = np.linspace(0, 1, _POINTS)
    cols, rows = (axis.ravel() for axis in np.meshgrid(share * grid.width, share * grid.height))
    place = grid.transform
    xs, ys = (place.a * cols + place.b * rows + place.c, place.d * cols + place.e * rows + place.f)
    lon, lat = (np.asarray(each) for each in to_degrees.transform(xs, ys))
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.all():
        return
    middle = lon[lon.size // 2]
    lon = middle + (lon - middle + 180) % 360 - 180  # in one piece across 180 degrees
    east, north = (lon.min(), lon.max()), (lat.min(), lat.max())
    for is_meridian, along, across in ((True, east, north), (False, north, east)):
        step = _step(along[1] - along[0])
        for value in np.arange(math.ceil(along[0] / step), math.floor(along[1] / step) + 1) * step:
            others = np.linspace(*across, _POINTS)
            fixed = np.full(_POINTS, value)
            longitudes, latitudes = (fixed, others) if is_meridian else (others, fixed)
            xy = to_degrees.transform(longitudes, latitudes, direction="INVERSE")
            text = _degrees_text(float(value), step, "EW" if is_meridian else "NS")
            yield from _line(space.points(np.column_stack(xy)), grid, text, is_meridian)


def _pixel_lines(grid: Grid) -> Iterator[GraticuleLine]:
    """Rows and columns of a graticule."""
    for is_meridian, most in ((True, grid.width), (False, grid.height)):
        step = max(_step(most), 1.0)
        for value in np.arange(step, most, step):
            ends = np.array(
                [[value, 0], [value, grid.height]] if is_meridian else [[0, value], [grid.width, value]]
            )
            yield from _line(
                ends.astype(float), grid, f"{'column' if is_meridian else 'row'} {value:g}", is_meridian
            )


def _line(points: Float64Array, grid: Grid, text: str, is_meridian: bool) -> Iterator[GraticuleLine]:
    """Line of a graticule within the grid; none where it lies outside."""
    if not np.isfinite(points).all():
        return
    found = shapely.clip_by_rect(shapely.LineString(points), 0, 0, grid.width, grid.height)
    parts = [shapely.get_coordinates(part) for part in shapely.get_parts(found)]
    parts = [part for part in parts if len(part) > 1]
    if parts:
        every = np.concatenate(parts)
        place = every[:, 0] / grid.width if is_meridian else every[:, 1] / grid.height
        if place.max() < _LEAST_PLACE or place.min() > 1 - _LEAST_PLACE:
            return  # along the border, which is a line itself
        x, y = every[np.argmax(every[:, 1]) if is_meridian else np.argmin(every[:, 0])]
        path = "".join("M" + " ".join(f"{px:.1f},{py:.1f}" for px, py in part) for part in parts)
        yield GraticuleLine(path, text, float(x), float(y), is_meridian)


def _step(span: float) -> float:
    """Round step by which a span of a graticule has a few lines.

    >>> _step(0.11), _step(96), _step(2.4)
    (0.05, 20.0, 0.5)
    """
    power = 10.0 ** math.floor(math.log10(max(span, 1e-9) / _MOST_LINES))
    return next(round(step * power, 12) for step in (1, 2, 5, 10) if span / (step * power) <= _MOST_LINES)


def _degrees_text(value: float, step: float, signs: str) -> str:
    """Label of a line of a graticule: 12.35° E."""
    value = (value + 180) % 360 - 180 if signs == "EW" else value
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if round(value, decimals) == 0:
        return "0°"
    return f"{abs(value):.{decimals}f}° {signs[value < 0]}"
