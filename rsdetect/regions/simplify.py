"""Simplification of outlines as a coverage, so that shared borders stay shared."""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from rsdetect.grid import Grid
from rsdetect.regions.areas import metres_per_unit
from rsdetect.regions.outlines import transform_points

Polygons = NDArray[np.object_]  # shapely Polygons


def simplify_outlines(geometry: Polygons, grid: Grid, tolerance: float) -> Polygons:
    """Simplify all outlines at once, as a coverage, so that shared borders stay shared.

    This is done in pixel coordinates scaled to metres at the middle of the grid, and rounded back to integer
    pixels, so that the remaining corners are exactly those of the outlines.
    """
    if geometry.size == 0:
        return geometry
    t = grid.transform
    east, north = metres_per_unit(grid.crs, *(t @ (grid.width / 2, grid.height / 2)))
    stretched = Affine(t.a * east, t.b * east, 0, t.d * north, t.e * north, 0)

    def moved(polygons: Polygons, here: Affine, there: Affine) -> Polygons:
        """Transform outlines from `here` to `there` by way of integer pixels."""
        return np.asarray(
            shapely.transform(
                polygons, lambda points: transform_points(np.rint(transform_points(points, ~here)), there)
            )
        )

    simplified = shapely.coverage_simplify(moved(geometry, t, stretched), tolerance)
    return np.asarray(shapely.normalize(moved(simplified, stretched, t)))
