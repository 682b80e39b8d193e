"""Ground under a CRS: metres on the ellipsoid per CRS unit, at any place."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import pyproj

from rsdetect.arraytypes import Float64Array

_STEP_M = 50.0  # from a place to where its scale is measured, in metres of the CRS


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


@dataclass(frozen=True)
class Ground:
    """Where coordinates of a CRS lie on the ellipsoid."""

    is_geographic: bool
    unit: float  # metres per unit of a projected or local CRS; radians per unit of a geographic one
    ellipsoid: Ellipsoid | None  # None = the CRS has no place on Earth
    to_degrees: pyproj.Transformer | None  # from a projected CRS to its own longitude and latitude
    degree: float  # radians per unit of that longitude and latitude

    @classmethod
    @functools.lru_cache(maxsize=16)
    def of(cls, crs: str) -> Ground:
        """The ground of a CRS as WKT."""
        parsed = pyproj.CRS(crs)
        unit = float(parsed.axis_info[0].unit_conversion_factor)
        geod = parsed.get_geod()
        if parsed.is_geographic:
            assert geod is not None  # a geographic CRS has an ellipsoid
            return cls(True, unit, Ellipsoid(float(geod.a), float(geod.es)), None, unit)
        own = parsed.geodetic_crs
        if geod is None or own is None or not parsed.is_projected:
            return cls(False, unit, None, None, 1.0)
        own = own.to_2d()
        flat = parsed.source_crs if parsed.is_bound and parsed.source_crs else parsed
        transformer = pyproj.Transformer.from_crs(flat, own, always_xy=True)
        degree = float(own.axis_info[0].unit_conversion_factor)
        return cls(False, unit, Ellipsoid(float(geod.a), float(geod.es)), transformer, degree)

    def jacobians(self, places: Float64Array) -> Float64Array:
        """Metres on the ground to the east and to the north per CRS unit along x and along y.

        Parameters
        ----------
        places
            (n, 2) x and y in CRS units.

        Returns
        -------
        (n, 2, 2); [east, north] by [x, y]. The CRS's own metres where a place has no longitude and latitude.
        """
        own = np.eye(2) * self.unit
        if self.is_geographic:
            assert self.ellipsoid is not None
            metres = np.stack(self.ellipsoid.radii(places[:, 1] * self.unit), axis=1) * self.unit
            return metres[:, :, None] * np.eye(2)
        if self.to_degrees is None:
            return np.broadcast_to(own, (len(places), 2, 2))
        assert self.ellipsoid is not None
        step = _STEP_M / self.unit
        moved = np.stack([places + np.array(d) * step for d in ((-1, 0), (1, 0), (0, -1), (0, 1))])
        lon, lat = self.to_degrees.transform(moved[..., 0], moved[..., 1])
        lon, lat = np.asarray(lon) * self.degree, np.asarray(lat) * self.degree
        with np.errstate(invalid="ignore"):
            east, north = self.ellipsoid.radii(lat.mean(axis=0))
            around = lon[1::2] - lon[::2]
            around -= 2 * np.pi * np.rint(around / (2 * np.pi))  # across 180 degrees too
            found = np.stack([around * east, (lat[1::2] - lat[::2]) * north]) / (2 * step)
        every = found.transpose(2, 0, 1)
        known = np.isfinite(every).all(axis=(1, 2), keepdims=True)
        return np.where(known, every, own)


@dataclass(frozen=True)
class Scales:
    """Squared metres on the ground per squared CRS unit: of a step (dx, dy), xx dx2 + 2 xy dx dy + yy dy2."""

    xx: Float64Array  # (n,)
    xy: Float64Array
    yy: Float64Array

    @property
    def area(self) -> Float64Array:
        """m2 on the ground per squared unit."""
        found: Float64Array = np.sqrt(np.maximum(self.xx * self.yy - self.xy**2, 0))
        return found

    @classmethod
    def at(cls, places: Float64Array, ground: Ground) -> Scales:
        """The scales at places (n, 2) of the ground."""
        (ax, ay), (bx, by) = ground.jacobians(places).transpose(1, 2, 0)
        return cls(ax**2 + bx**2, ax * ay + bx * by, ay**2 + by**2)
