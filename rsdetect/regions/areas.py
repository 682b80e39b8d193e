"""Area and perimeter on the ground, in metres, whatever the CRS.

In a projected CRS they are planar, times the unit (feet, say). In a geographic one they lie on the CRS's
own ellipsoid, and an edge is what the pixel grid says it is: straight in longitude and latitude. Edges
along a parallel are therefore *not* replaced by the great circle, which would bulge out of its row of
pixels (by 2 m on an edge of 10 km, at 50 degrees); areas of neighbours add up to the area of their union.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array
from rsdetect.grid import Grid

# Five points of the Gauss-Legendre rule integrate an edge of ten degrees to better than a square millimetre.
_POINTS, _WEIGHTS = (array / 2 for array in np.polynomial.legendre.leggauss(5))


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid of revolution."""

    semi_major_m: float
    eccentricity_squared: float

    def area_to_equator(self, latitude: Float64Array) -> Float64Array:
        """Area between a parallel and the equator, per radian of longitude, in m2.

        `latitude` in radians; negative in the south. Snyder (1987), "Map projections: a working manual",
        eq. 3-12, divided by two pi.
        """
        e2, sine = self.eccentricity_squared, np.sin(latitude)
        e = np.sqrt(e2)
        stretch = np.arctanh(e * sine) / e if e > 0 else sine
        area: Float64Array = self.semi_major_m**2 * (1 - e2) / 2 * (sine / (1 - e2 * sine**2) + stretch)
        return area

    def radii(self, latitude: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Metres per radian of longitude and per radian of latitude, at `latitude` in radians.

        Snyder (1987), eq. 4-20 times the cosine, and eq. 4-18.
        """
        shrink = 1 - self.eccentricity_squared * np.sin(latitude) ** 2
        east = self.semi_major_m * np.cos(latitude) / np.sqrt(shrink)
        north = self.semi_major_m * (1 - self.eccentricity_squared) / shrink**1.5
        return east, north


def measure(polygons: NDArray[np.object_], crs: str | None) -> tuple[Float64Array, Float64Array]:
    """Area in m2 and perimeter in m, holes taken off the area and added to the perimeter.

    Parameters
    ----------
    polygons
        (n,) shapely Polygons in CRS units, x = longitude in a geographic CRS.
    crs
        WKT; None gives NaN, there being no metres.

    >>> square = np.array([shapely.box(0, 0, 10, 10)])
    >>> measure(square, pyproj.CRS(32633).to_wkt())
    (array([100.]), array([40.]))
    """
    if crs is None or polygons.size == 0:
        return np.full(polygons.size, np.nan), np.full(polygons.size, np.nan)
    parsed = pyproj.CRS(crs)
    unit = _unit(parsed)
    if not parsed.is_geographic:
        return shapely.area(polygons) * unit**2, shapely.length(polygons) * unit
    _, points, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(polygons)
    start = np.delete(np.arange(len(points)), ring_offsets[1:] - 1)  # the last point of a ring starts no edge
    edges_to_ring = ring_offsets - np.arange(ring_offsets.size)
    polygon = np.repeat(np.arange(polygons.size), np.diff(edges_to_ring[polygon_offsets]))
    area, length = _edges_on(_ellipsoid(parsed), points[start] * unit, points[start + 1] * unit)
    # Outer rings and holes run in opposite directions, so that one sum has the holes taken off; which of
    # the two runs clockwise only decides the sign.
    signed = np.bincount(polygon, weights=area, minlength=polygons.size)
    perimeter = np.bincount(polygon, weights=length, minlength=polygons.size)
    return np.abs(signed), perimeter.astype(np.float64)


def pixel_area_m2(grid: Grid) -> float | None:
    """Area of a pixel in m2; None in a geographic CRS, where it varies; 1, a pixel, without a CRS."""
    if grid.crs is None:
        return 1.0
    parsed = pyproj.CRS(grid.crs)
    return None if parsed.is_geographic else grid.pixel_area * _unit(parsed) ** 2


def metres_per_unit(crs: str | None, y: float) -> tuple[float, float]:
    """Metres per CRS unit along x and along y, near the ordinate `y`; (1, 1) without a CRS.

    >>> east, north = metres_per_unit(pyproj.CRS(4326).to_wkt(), 60.0)
    >>> round(east), round(north)
    (55800, 111412)
    """
    if crs is None:
        return 1.0, 1.0
    parsed = pyproj.CRS(crs)
    unit = _unit(parsed)
    if not parsed.is_geographic:
        return unit, unit
    east, north = _ellipsoid(parsed).radii(np.array(y * unit))
    return float(east) * unit, float(north) * unit


def _unit(crs: pyproj.CRS) -> float:
    """Metres per unit of a projected or local CRS; radians per unit of a geographic one."""
    return float(crs.axis_info[0].unit_conversion_factor)


def _ellipsoid(crs: pyproj.CRS) -> Ellipsoid:
    geod = crs.get_geod()
    assert geod is not None  # a geographic CRS has an ellipsoid
    return Ellipsoid(float(geod.a), float(geod.es))


def _edges_on(
    ellipsoid: Ellipsoid, start: Float64Array, end: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Of every edge, the signed area between it and the equator in m2, and its length in m.

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
