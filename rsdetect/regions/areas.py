"""Areas and perimeters of polygons on the ground, in square metres and metres, in any CRS.

A projection stretches: square metres of Web Mercator at 52 degrees north are 2.64 times those of the ground.
In a projected CRS a polygon is therefore measured by the scale of the projection at its centroid, computed
from the ellipsoid of the CRS. The error of an area is below 1e-6 for polygons of up to 10 km and below 1e-4
up to 100 km, that of a perimeter below 1e-4 a kilometre; larger polygons are transformed to longitude and
latitude.

In a geographic CRS polygons lie on its ellipsoid, with edges as in the pixel grid: straight in longitude and
latitude. Edges along a parallel are *not* great circles, which would bulge out of their row of pixels (by 2 m
on an edge of 10 km at 50 degrees); areas of adjacent regions add up to the area of their union. A CRS without
a place on Earth (a site grid) keeps its own metres.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array
from rsdetect.grid import Grid
from rsdetect.regions.ground import Ellipsoid, Ground, Scales

_POLYGON = 3  # shapely's type number
_LARGE_M = 100_000.0  # polygons of a larger extent are measured on the ellipsoid
# Gauss-Legendre quadrature with five points: better than a square millimetre on an edge of ten degrees.
_POINTS, _WEIGHTS = (array / 2 for array in np.polynomial.legendre.leggauss(5))


def measure(polygons: NDArray[np.object_], crs: str | None) -> tuple[Float64Array, Float64Array]:
    """Area in m2 and perimeter in m on the ground, holes taken off the area and added to the perimeter.

    Parameters
    ----------
    polygons
        (n,) shapely Polygons or MultiPolygons in CRS units, x = longitude in a geographic CRS.
    crs
        WKT; None gives NaN, there being no metres.

    >>> import pyproj
    >>> square = np.array([shapely.box(500000, 5000000, 500010, 5000010)])
    >>> area, perimeter = measure(square, pyproj.CRS(32633).to_wkt())
    >>> area.round(3), perimeter.round(3)
    (array([100.08]), array([40.016]))
    """
    if crs is None or polygons.size == 0:
        return np.full(polygons.size, np.nan), np.full(polygons.size, np.nan)
    parts, owner = shapely.get_parts(polygons, return_index=True)
    if parts.size != polygons.size or (shapely.get_type_id(polygons) != _POLYGON).any():
        area, perimeter = measure(parts, crs)
        return _summed(owner, area, polygons.size), _summed(owner, perimeter, polygons.size)
    ground = Ground.of(crs)
    if ground.is_geographic:
        return _on_ellipsoid(polygons, ground)
    if ground.to_degrees is None:
        return shapely.area(polygons) * ground.unit**2, shapely.length(polygons) * ground.unit
    bounds = shapely.bounds(polygons)
    scales = Scales.at(shapely.get_coordinates(shapely.centroid(polygons)), ground)
    area, perimeter = shapely.area(polygons) * scales.area, _lengths(polygons, scales)
    large = np.flatnonzero(np.hypot(*(bounds[:, 2:] - bounds[:, :2]).T) * ground.unit > _LARGE_M)
    if large.size:
        dense = shapely.segmentize(polygons[large], _LARGE_M / 10 / ground.unit)
        exact = _on_ellipsoid(_in_degrees(dense, ground), ground)
        known = np.isfinite(exact[0])
        area[large[known]], perimeter[large[known]] = exact[0][known], exact[1][known]
    return area, perimeter


def _summed(owner: NDArray[np.intp], parts: Float64Array, count: int) -> Float64Array:
    """Sums of the areas or lengths of parts, (count,)."""
    return np.bincount(owner, weights=parts, minlength=count).astype(np.float64)


def largest_pixel_m2(grid: Grid) -> float | None:
    """Area of the largest pixel of a grid in m2; None in a geographic CRS; 1, a pixel, without a CRS."""
    if grid.crs is None:
        return 1.0
    ground = Ground.of(grid.crs)
    if ground.is_geographic:
        return None
    if ground.to_degrees is None:
        return grid.pixel_area * ground.unit**2
    cols, rows = np.meshgrid(np.linspace(0, grid.width, 9), np.linspace(0, grid.height, 9))
    xs, ys = grid.transform @ np.array([cols.ravel(), rows.ravel()])
    # Between these places the scale may be a little larger still.
    return grid.pixel_area * float(Scales.at(np.stack([xs, ys], axis=1), ground).area.max()) * 1.001


def central_pixel_m2(grid: Grid) -> float:
    """Area of the pixel in the middle of a grid in m2; 1, a pixel, without a CRS."""
    if grid.crs is None:
        return 1.0
    row, col = grid.height // 2, grid.width // 2
    corners = [grid.transform @ (col + right, row + down) for right, down in ((0, 0), (1, 0), (1, 1), (0, 1))]
    area = float(measure(np.array([shapely.Polygon(corners)]), grid.crs)[0][0])
    return area if np.isfinite(area) else grid.pixel_area * Ground.of(grid.crs).unit ** 2


def exact_pixel_m2(grid: Grid) -> float | None:
    """Area of every pixel of a grid in m2; 1, a pixel, without a CRS; None where it varies."""
    if grid.crs is None:
        return 1.0
    ground = Ground.of(grid.crs)
    return grid.pixel_area * ground.unit**2 if ground.ellipsoid is None else None


def metres_per_unit(crs: str | None, x: float, y: float) -> tuple[float, float]:
    """Metres on the ground per CRS unit along x and along y, at a place; (1, 1) without a CRS.

    >>> import pyproj
    >>> east, north = metres_per_unit(pyproj.CRS(4326).to_wkt(), 9.0, 60.0)
    >>> round(east), round(north)
    (55800, 111412)
    """
    if crs is None:
        return 1.0, 1.0
    ground = Ground.of(crs)
    if ground.is_geographic:
        assert ground.ellipsoid is not None
        east, north = ground.ellipsoid.radii(np.array(y * ground.unit))
        return float(east) * ground.unit, float(north) * ground.unit
    if ground.to_degrees is None:
        return ground.unit, ground.unit
    scales = Scales.at(np.array([[x, y]]), ground)
    return float(np.sqrt(scales.xx[0])), float(np.sqrt(scales.yy[0]))


def distance_m(crs: str | None, one: tuple[float, float], other: tuple[float, float]) -> float | None:
    """Metres on the ground between two places in CRS units; None without a CRS."""
    if crs is None:
        return None
    east, north = metres_per_unit(crs, (one[0] + other[0]) / 2, (one[1] + other[1]) / 2)
    return float(np.hypot((other[0] - one[0]) * east, (other[1] - one[1]) * north))


def _lengths(polygons: NDArray[np.object_], scales: Scales) -> Float64Array:
    """Lengths of all rings of polygons, (n,)."""
    start, end, polygon = _edges(polygons)
    dx, dy = (end - start).T
    squared = scales.xx[polygon] * dx**2 + 2 * scales.xy[polygon] * dx * dy + scales.yy[polygon] * dy**2
    found = np.bincount(polygon, weights=np.sqrt(np.maximum(squared, 0)), minlength=polygons.size)
    return found.astype(np.float64)


def _in_degrees(polygons: NDArray[np.object_], ground: Ground) -> NDArray[np.object_]:
    """Polygons in longitude and latitude, from -180 on across 180 degrees where they lie on both sides."""
    transformer = ground.to_degrees
    assert transformer is not None

    def moved(points: Float64Array) -> Float64Array:
        lon, lat = transformer.transform(points[:, 0], points[:, 1])
        return np.stack([lon, lat], axis=1)

    return np.asarray(shapely.transform(polygons, moved))


def _edges(
    polygons: NDArray[np.object_],
) -> tuple[Float64Array, Float64Array, NDArray[np.intp]]:
    """Start and end of each edge of all rings, (n, 2), and the number of its polygon."""
    _, points, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(polygons)
    start = np.delete(np.arange(len(points)), ring_offsets[1:] - 1)  # the last point of a ring starts no edge
    edges_to_ring = ring_offsets - np.arange(ring_offsets.size)
    polygon = np.repeat(np.arange(polygons.size), np.diff(edges_to_ring[polygon_offsets]))
    return points[start], points[start + 1], polygon


def _on_ellipsoid(polygons: NDArray[np.object_], ground: Ground) -> tuple[Float64Array, Float64Array]:
    """Area and perimeter of polygons in longitude and latitude."""
    assert ground.ellipsoid is not None
    start, end, polygon = _edges(polygons)
    area, length = _edge_areas_and_lengths(ground.ellipsoid, start * ground.degree, end * ground.degree)
    # Outer rings and holes run in opposite directions, so that one sum has the holes taken off; which of
    # the two runs clockwise only decides the sign.
    signed = np.bincount(polygon, weights=area, minlength=polygons.size)
    perimeter = np.bincount(polygon, weights=length, minlength=polygons.size)
    return np.abs(signed), perimeter.astype(np.float64)


def _edge_areas_and_lengths(
    ellipsoid: Ellipsoid, start: Float64Array, end: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Signed area between each edge and the equator in m2, and its length in m.

    `start` and `end` are (n, 2), longitude and latitude in radians.
    """
    step = end - start
    step[:, 0] -= 2 * np.pi * np.rint(step[:, 0] / (2 * np.pi))  # across 180 degrees too
    area, length = np.zeros(len(start)), np.zeros(len(start))
    for point, weight in zip(_POINTS + 0.5, _WEIGHTS, strict=True):
        latitude = start[:, 1] + point * step[:, 1]
        east, north = ellipsoid.radii(latitude)
        area += weight * ellipsoid.area_to_equator(latitude) * step[:, 0]
        length += weight * np.hypot(east * step[:, 0], north * step[:, 1])
    return area, length
