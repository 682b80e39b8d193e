"""Projecting polygons onto a grid: clipped to it first, with vertices so dense that edges stay on their line.

Edges of vector files are straight in the file's CRS. Projected by their corners alone they become chords: in
the middle of an edge of 1.2 degrees the border is 170 m off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from rsdetect.errors import InputError
from rsdetect.grid import Grid
from rsdetect.scenes.alignment import crs_name

_PIECES = 1000  # of the extent of a grid: its chords are off by a millionth of what the whole extent would be
_MARGIN = 0.05  # around the grid, as a share of its extent; clipping leaves edges there


def project_polygons(polygons: NDArray[np.object_], crs: Any, grid: Grid, name: str) -> NDArray[np.object_]:
    """Polygons in the CRS of a grid, as far as they lie on it.

    Parameters
    ----------
    crs
        Of the polygons, as pyproj takes it.
    name
        What messages call them.

    Raises
    ------
    InputError
        There is no way from one CRS to the other.
    """
    assert grid.crs is not None
    source, target = pyproj.CRS.from_user_input(crs), pyproj.CRS(grid.crs)
    polygons = shapely.make_valid(polygons)
    try:
        if not source.equals(target, ignore_axis_order=True):
            there = pyproj.Transformer.from_crs(source, target, always_xy=True)
            box = _bounds_in(source, target, grid)
            polygons = _clipped(polygons, box, periodic=source.is_geographic)
            polygons = shapely.segmentize(polygons, max(box[2] - box[0], box[3] - box[1]) / _PIECES)
            polygons = shapely.transform(
                polygons, lambda xy: np.column_stack(there.transform(xy[:, 0], xy[:, 1], errcheck=True))
            )
    except ProjError as error:
        names = crs_name(source.to_wkt()), crs_name(grid.crs)
        raise InputError(
            f"{name} is in {names[0]}, from which there is no way to {names[1]} of the scenes; give it in "
            "their CRS."
        ) from error
    if target.is_geographic:  # which may count from 0 to 360 degrees
        polygons = _clipped(polygons, _widened(grid.bounds), periodic=True)
    return np.asarray(shapely.make_valid(polygons))


def _bounds_in(source: pyproj.CRS, target: pyproj.CRS, grid: Grid) -> tuple[float, float, float, float]:
    """Bounds of a grid in the CRS of the polygons; across 180 degrees the right one is above 180."""
    back = pyproj.Transformer.from_crs(target, source, always_xy=True)
    steps = np.linspace(0, 1, 51)
    cols, rows = np.meshgrid(steps * grid.width, steps * grid.height)
    xs, ys = grid.transform @ np.array([cols.ravel(), rows.ravel()])
    moved_x, moved_y = (np.asarray(each) for each in back.transform(xs, ys))
    known = np.isfinite(moved_x) & np.isfinite(moved_y)
    if not known.any():
        raise ProjError("the grid has no place in the other CRS")
    moved_x, moved_y = moved_x[known], moved_y[known]
    if source.is_geographic and moved_x.max() - moved_x.min() > 180:
        moved_x = np.where(moved_x < 0, moved_x + 360, moved_x)
    return _widened((moved_x.min(), moved_y.min(), moved_x.max(), moved_y.max()))


def _widened(bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, bottom, right, top = (float(edge) for edge in bounds)
    margin = _MARGIN * max(right - left, top - bottom)
    return left - margin, bottom - margin, right + margin, top + margin


def _clipped(
    polygons: NDArray[np.object_], box: tuple[float, float, float, float], *, periodic: bool
) -> NDArray[np.object_]:
    """What of polygons lies in a box; `periodic` ones lie there again 360 degrees further."""
    parts = []
    for shift in (0, -360, 360) if periodic else (0,):
        moved = (
            polygons
            if shift == 0
            else shapely.transform(polygons, lambda xy, by=shift: xy + np.array([by, 0]))
        )
        parts.append(shapely.intersection(moved, shapely.box(*box)))
    found = shapely.get_parts(np.concatenate(parts))
    return np.asarray(found[~shapely.is_empty(found)])


_DEGREES = pyproj.CRS.from_epsg(4326)
_EARTH = (-180.0, -90.0, 180.0, 90.0)
_DENSE = 200  # pieces of an outline's extent, for places in degrees


def in_degrees(polygons: NDArray[np.object_], crs: Any) -> NDArray[np.object_]:
    """Polygons projected to longitude and latitude, cut at 180 degrees; those without a place are left out.

    Raises
    ------
    InputError
        The CRS has no place on Earth.
    """
    source = pyproj.CRS.from_user_input(crs)
    polygons = shapely.make_valid(polygons[~shapely.is_missing(polygons)])
    if source.is_geographic:
        polygons = np.array([_unfolded(each) for each in polygons], dtype=object)
    try:
        there = pyproj.Transformer.from_crs(source, _DEGREES, always_xy=True)
        moved = [_to_degrees(each, source, there) for each in polygons]
    except ProjError as error:
        raise InputError(f"{crs_name(source.to_wkt())} has no longitude and latitude.") from error
    found = cut_at_180(np.array(moved, dtype=object))
    return np.asarray(found[~shapely.is_empty(found)])


def cut_at_180(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Polygons in degrees, continuous across 180 degrees, as projected to between -180 and 180, (n,)."""
    box = shapely.box(*_EARTH)
    parts = [
        shapely.intersection(shapely.transform(polygons, lambda xy, by=shift: xy + np.array([by, 0])), box)
        for shift in (0, -360, 360)
    ]
    return np.array([shapely.union_all(each) for each in zip(*parts, strict=True)], dtype=object)


def _to_degrees(polygon: Any, source: pyproj.CRS, there: pyproj.Transformer) -> Any:
    """A polygon in degrees, continuous across 180 degrees; empty where it has no place."""
    west, south, east, north = shapely.bounds(polygon)
    edge = max(east - west, north - south) / _DENSE
    if not edge > 0:
        return shapely.Polygon()
    dense = shapely.segmentize(polygon, edge)
    xy = shapely.get_coordinates(dense)
    lon, lat = there.transform(xy[:, 0], xy[:, 1])
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return shapely.Polygon()
    if source.is_geographic:  # which may count to 360
        own = np.rad2deg(xy[:, 0] * source.axis_info[0].unit_conversion_factor)
        return shapely.set_coordinates(dense, np.column_stack([lon + 360 * np.rint((own - lon) / 360), lat]))
    for pole in (-90.0, 90.0):
        x, y = there.transform(0.0, pole, direction="INVERSE")
        if np.isfinite([x, y]).all() and shapely.contains_xy(polygon, x, y):
            return shapely.box(-180, min(pole, lat.min()), 180, max(pole, lat.max()))
    near = lon[0] + (lon - lon[0] + 180) % 360 - 180
    return shapely.make_valid(shapely.set_coordinates(dense, np.column_stack([near, lat])))


def _unfolded(polygon: Any) -> Any:
    """A footprint from 179 to -179 degrees as one from 179 to 181, as catalogues mean it."""
    west, _, east, _ = shapely.bounds(polygon)
    if not 180 < east - west < 359 or polygon.geom_type != "Polygon":
        return polygon
    return shapely.make_valid(
        shapely.transform(polygon, lambda xy: np.column_stack([xy[:, 0] + 360 * (xy[:, 0] < 0), xy[:, 1]]))
    )
