"""Outlines with fewer corners, simplified together so that shared borders stay shared."""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from rsdetect.grid import Grid
from rsdetect.regions.areas import metres_per_unit
from rsdetect.regions.outlines import transformed

Polygons = NDArray[np.object_]  # shapely Polygons


def simplified(geometry: Polygons, grid: Grid, tolerance: float) -> Polygons:
    """Leave out corners of all outlines at once, as a coverage, so that what regions share stays shared.

    Done in pixel coordinates stretched to metres at the middle of the grid, and taken back to whole
    pixels, so that the corners that stay are exactly those of the outlines.
    """
    if geometry.size == 0:
        return geometry
    t = grid.transform
    middle = t.d * grid.width / 2 + t.e * grid.height / 2 + t.f
    east, north = metres_per_unit(grid.crs, middle)
    stretched = Affine(t.a * east, t.b * east, 0, t.d * north, t.e * north, 0)

    def moved(polygons: Polygons, here: Affine, there: Affine) -> Polygons:
        """By way of whole pixels."""
        return np.asarray(
            shapely.transform(
                polygons, lambda points: transformed(np.rint(transformed(points, ~here)), there)
            )
        )

    simplified = shapely.coverage_simplify(moved(geometry, t, stretched), tolerance)
    return np.asarray(shapely.normalize(moved(simplified, stretched, t)))
