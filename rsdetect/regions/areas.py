"""Areas and perimeters of polygons on the ground, in square metres and metres, in any CRS.

In a projected CRS they are planar, times the unit (e.g. feet). In a geographic CRS they are computed on its
ellipsoid, with edges as in the pixel grid: straight in longitude and latitude. Edges along a parallel are
*not* great circles, which would bulge out of their row of pixels (by 2 m on an edge of 10 km at 50 degrees);
areas of adjacent regions add up to the area of their union.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array
from rsdetect.grid import Grid

# Gauss-Legendre quadrature with five points: better than a square millimetre on an edge of ten degrees.
_POINTS, _WEIGHTS = (array / 2 for array in np.polynomial.legendre.leggauss(5))


@dataclass(frozen=True)
class Ellipsoid:
    """Ellipsoid of revolution, for areas in a geographic CRS."""

    semi_major_m: float
    eccentricity_squared: float

    def area_to_equator(self, latitude: Float64Array) -> Float64Array:
        """Area between a parallel and the equator, per radian of longitude, in m2.

        `latitude` in radians; negative in the south. Snyder (1987), "Map projections: a working manual", eq.
        3-12, divided by two pi.
        """
        e2, sine = self.eccentricity_squared, np.sin(latitude)
        e = np.sqrt(e2)
        stretch = np.arctanh(e * sine) / e if e > 0 else sine
        area: Float64Array = self.semi_major_m**2 * (1 - e2) / 2 * (sine / (1 - e2 * sine**2) + stretch)
        return area

    def radii(self, latitude: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Metres per radian of longitude and of latitude for areas and lengths, at `latitude` in radians.

        Snyder (1987), eq. 4-20 times the cosine, and eq. 4-18.
        """
        shrink = 1 - self.eccentricity_squared * np.sin(latitude) ** 2
        east = self.semi_major_m * np.cos(latitude) / np.sqrt(shrink)
        north = self.semi_major_m * (1 - self.eccentricity_squared) / shrink**1.5
        return east, north


def measure(polygons: NDArray[np.object_], crs: str | None) -> tuple[Float64Array, Float64Array]:
    """Measure areas in m2 and perimeters in m; holes reduce the area and add to the perimeter.

    Parameters
    ----------
    polygons
        (n,) shapely Polygons in CRS units, x = longitude in a geographic CRS.
    crs
        WKT; None gives NaN, because there are no metres.

    >>> square = np.array([shapely.box(0, 0, 10, 10)])
    >>> measure(square, pyproj.CRS(32633).to_wkt())
    (array([100.]), array([40.]))
    """
    if crs is None or polygons.size == 0:
        return np.full(polygons.size, np.nan), np.full(polygons.size, np.nan)
    parsed = pyproj.CRS(crs)
    unit = _crs_unit(parsed)
    if not parsed.is_geographic:
        return shapely.area(polygons) * unit**2, shapely.length(polygons) * unit
    _, points, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(polygons)
    start = np.delete(np.arange(len(points)), ring_offsets[1:] - 1)  # the last point of a ring starts no edge
    edges_to_ring = ring_offsets - np.arange(ring_offsets.size)
    polygon = np.repeat(np.arange(polygons.size), np.diff(edges_to_ring[polygon_offsets]))
    area, length = _edge_areas_and_lengths(
        _crs_ellipsoid(parsed), points[start] * unit, points[start + 1] * unit
    )
    # Outer rings and holes have opposite orientation, so that one sum subtracts the holes; which of the two
    # is clockwise affects the sign only.
    signed = np.bincount(polygon, weights=area, minlength=polygons.size)
    perimeter = np.bincount(polygon, weights=length, minlength=polygons.size)
    return np.abs(signed), perimeter.astype(np.float64)


def pixel_area_m2(grid: Grid) -> float | None:
    """Area of a pixel in m2; None in a geographic CRS, where it varies; 1, a pixel, without a CRS."""
    if grid.crs is None:
        return 1.0
    parsed = pyproj.CRS(grid.crs)
    return None if parsed.is_geographic else grid.pixel_area * _crs_unit(parsed) ** 2


def metres_per_unit(crs: str | None, y: float) -> tuple[float, float]:
    """Metres per CRS unit along x and along y near the ordinate `y`, for areas; (1, 1) without a CRS.

    >>> east, north = metres_per_unit(pyproj.CRS(4326).to_wkt(), 60.0)
    >>> round(east), round(north)
    (55800, 111412)
    """
    if crs is None:
        return 1.0, 1.0
    parsed = pyproj.CRS(crs)
    unit = _crs_unit(parsed)
    if not parsed.is_geographic:
        return unit, unit
    east, north = _crs_ellipsoid(parsed).radii(np.array(y * unit))
    return float(east) * unit, float(north) * unit


def _crs_unit(crs: pyproj.CRS) -> float:
    """Metres per unit of a projected or local CRS, radians per unit of a geographic one, for areas."""
    return float(crs.axis_info[0].unit_conversion_factor)


def _crs_ellipsoid(crs: pyproj.CRS) -> Ellipsoid:
    """Ellipsoid of a geographic CRS, for areas."""
    geod = crs.get_geod()
    assert geod is not None  # a geographic CRS has an ellipsoid
    return Ellipsoid(float(geod.a), float(geod.es))


def _edge_areas_and_lengths(
    ellipsoid: Ellipsoid, start: Float64Array, end: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Signed area between each edge and the equator in m2, and its length in m.

    `start` and `end` are (n, 2), longitude and latitude in radians.
    """
    step = end - start
    area, length = np.zeros(len(start)), np.zeros(len(start))
    for point, weight in zip(_POINTS + 0.5, _WEIGHTS, strict=True):
        latitude = start[:, 1] + point * step[:, 1]
        east, north = ellipsoid.radii(latitude)
        area += weight * ellipsoid.area_to_equator(latitude) * step[:, 0]
        length += weight * np.hypot(east * step[:, 0], north * step[:, 1])
    return area, length
