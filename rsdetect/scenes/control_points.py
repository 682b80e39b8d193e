"""Ground control points of a file without a transform, and the grid that they place it on.

GDAL fits a polynomial to the points (of the first order for fewer than six, else of the second), or thin
plate splines where the polynomial misses a point by a tenth of a pixel, as for a whole swath of radar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import GCPTransformer
from rasterio.warp import calculate_default_transform

from rsdetect.errors import SceneError
from rsdetect.grid import Grid
from rsdetect.scenes.handles import GDAL_ERRORS, one_line
from rsdetect.scenes.turns import full_turn

_MOST_RESIDUAL_PX = 0.1
_LEAST_POINTS = 3


@dataclass(frozen=True)
class ControlPoints:
    """Ground control points of a file."""

    crs: str  # WKT
    points: tuple[tuple[float, float, float, float], ...]  # column, row, x, y
    residual_px: float  # largest distance of a point from the polynomial

    @property
    def spline(self) -> bool:
        """True if thin plate splines are used, which pass through all points."""
        return self.residual_px > _MOST_RESIDUAL_PX

    @property
    def fit(self) -> str:
        """How the control points are used, for messages."""
        if self.spline:
            return "thin plate splines"
        return f"a polynomial, off by up to {self.residual_px:.2g} pixels"

    def grid(self, height: int, width: int) -> Grid:
        """Grid north up, with pixels of the size that the control points give those of the file."""
        transform, wide, high = calculate_default_transform(
            CRS.from_wkt(self.crs), CRS.from_wkt(self.crs), width, height, gcps=_points(self.points)
        )
        return Grid(self.crs, transform, int(high or 0), int(wide or 0))

    def transformer(self) -> str:
        """GDAL's XML of the way from pixels to the CRS of the control points."""
        listed = "".join(
            f'<GCP Id="{number}" Pixel={quoteattr(repr(col))} Line={quoteattr(repr(row))} '
            f"X={quoteattr(repr(x))} Y={quoteattr(repr(y))}/>"
            for number, (col, row, x, y) in enumerate(self.points, 1)
        )
        kind = "TPSTransformer" if self.spline else "GCPTransformer"
        order = "" if self.spline else "<Order>0</Order>"
        fitted = f"{order}<Reversed>0</Reversed><GCPList>{listed}</GCPList>"
        return f"<Src{kind}><{kind}>{fitted}</{kind}></Src{kind}>"


def control_points_of(dataset: Any, path: str) -> ControlPoints | None:
    """Ground control points of an open dataset named `path`; None without any.

    Raises
    ------
    SceneError
        They are too few, on one line, or name no CRS.
    """
    found, crs = dataset.gcps
    if not found:
        return None
    if not crs:
        raise SceneError(
            f"{path} has {len(found)} ground control points without a CRS; name it (gdal_edit.py)."
        )
    points = np.array([(each.col, each.row, each.x, each.y) for each in found], dtype=np.float64)
    turn = full_turn(crs.to_wkt())
    if turn is not None:  # across 180 degrees
        points[:, 2] -= turn * np.rint((points[:, 2] - points[0, 2]) / turn)
    if len(points) < _LEAST_POINTS or not np.isfinite(points).all():
        raise SceneError(f"{path} has {len(points)} ground control points; {_LEAST_POINTS} place an image.")
    rows = tuple((float(col), float(row), float(x), float(y)) for col, row, x, y in points)
    try:
        with GCPTransformer(_points(rows)) as polynomial:
            at = polynomial.rowcol(points[:, 2], points[:, 3], op=lambda number: number)
    except GDAL_ERRORS as error:
        raise SceneError(
            f"the ground control points of {path} place it nowhere: {one_line(error)}."
        ) from error
    residual = np.hypot(at[0] - points[:, 1], at[1] - points[:, 0]).max()
    return ControlPoints(crs.to_wkt(), rows, float(residual))


def _points(points: tuple[tuple[float, float, float, float], ...]) -> list[GroundControlPoint]:
    """Control points for rasterio."""
    return [GroundControlPoint(row=row, col=col, x=x, y=y, z=0.0) for col, row, x, y in points]
