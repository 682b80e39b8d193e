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

from rsdetect.arraytypes import BoolArray, Float64Array
from rsdetect.doubts import Doubt
from rsdetect.errors import SceneError
from rsdetect.grid import Grid
from rsdetect.scenes.handles import GDAL_ERRORS, one_line
from rsdetect.scenes.turns import full_turn

_MOST_RESIDUAL_PX = 0.1
_LEAST_POINTS = 3
_QUADRATIC_POINTS = 12  # from which on a polynomial of the second order has degrees of freedom enough
_MOST_DEVIATIONS = 20.0  # of a point from the others' polynomial, in standard deviations of the others
_LEAST_DEVIATION_PX = 0.5
_LEAST_DEVIATION_SHARE = 1e-3  # of the image, where the polynomial is linear and the ground may be bent


@dataclass(frozen=True)
class ControlPoints:
    """Ground control points of a file."""

    crs: str  # WKT
    points: tuple[tuple[float, float, float, float], ...]  # column, row, x, y
    residual_px: float  # largest distance of a point from the polynomial
    doubts: tuple[Doubt, ...] = ()  # points that disagree with the others

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
            f"{path} has {len(found)} ground control points without a CRS; name it "
            "(gdal_edit.py -a_srs EPSG:...)."
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
    return ControlPoints(crs.to_wkt(), rows, float(residual), _doubts(points, path))


def _doubts(points: Float64Array, path: str) -> tuple[Doubt, ...]:
    """The doubt about points that disagree with the others: splines would bend the scene through them."""
    outliers = outliers_of(points)
    if not outliers:
        return ()
    listed = ", ".join(f"{number} by {offset:.3g} pixels" for number, offset in outliers)
    which = "point" if len(outliers) == 1 else "points"
    return (
        Doubt(
            "control-point",
            f"{path} has ground control {which} ({listed}; counted from 1) off the place that the other "
            f"{len(points) - len(outliers)} give; correct or remove what is wrong "
            "(gdal_translate -gcp ...)",
        ),
    )


def outliers_of(points: Float64Array) -> list[tuple[int, float]]:
    """Numbers, from 1, of the points that disagree with the others, and by how many pixels.

    The worst point is left out until a fifth is (generalised extreme deviates): several wrong points would
    otherwise hide each other.
    """
    quadratic = len(points) >= _QUADRATIC_POINTS
    pixels, ground = points[:, :2], points[:, 2:]
    terms = _terms(pixels, quadratic=quadratic)
    scaled = (ground - ground.mean(axis=0)) / ground.std(axis=0)
    floor = _LEAST_DEVIATION_PX
    if not quadratic:
        floor = max(floor, _LEAST_DEVIATION_SHARE * float(np.hypot(*np.ptp(pixels, axis=0))))
    kept, left_out = np.ones(len(points), bool), list[int]()
    found: list[tuple[int, float]] = []
    for _ in range(len(points) // 5):
        inverse = np.linalg.pinv(terms[kept])
        free = np.maximum(1 - (terms[kept] * inverse.T).sum(axis=1), 1e-9)  # of a residual, by its leverage
        residuals = scaled[kept] - terms[kept] @ (inverse @ scaled[kept])
        worst = int(np.flatnonzero(kept)[(np.hypot(*residuals.T) / np.sqrt(free)).argmax()])
        kept[worst] = False
        degrees = kept.sum() - terms.shape[1]
        if degrees < 1 or np.linalg.matrix_rank(terms[kept]) < terms.shape[1]:
            break
        left_out.append(worst)
        offsets = _offsets_px(terms, pixels, scaled, kept)
        deviation = max(floor, float(np.sqrt((offsets[kept] ** 2).sum() / (2 * degrees))))
        spread = np.sqrt(1 + ((terms[worst] @ np.linalg.pinv(terms[kept])) ** 2).sum())  # beyond the others
        if offsets[worst] > _MOST_DEVIATIONS * deviation * spread:
            found = sorted((each + 1, float(offsets[each])) for each in left_out)
    return found


def _terms(pixels: Float64Array, *, quadratic: bool) -> Float64Array:
    """Terms (n, 3 or 6) of a polynomial over pixels (n, 2); the second and third are linear."""
    col, row = ((pixels - pixels.mean(axis=0)) / pixels.std(axis=0)).T
    linear = [np.ones_like(col), col, row]
    return np.stack([*linear, *([col * col, col * row, row * row] if quadratic else [])], axis=1)


def _offsets_px(
    terms: Float64Array, pixels: Float64Array, ground: Float64Array, kept: BoolArray
) -> Float64Array:
    """Distances (n,), in pixels, of all points from the polynomial through those that are kept."""
    residuals = ground - terms @ (np.linalg.pinv(terms[kept]) @ ground[kept])
    per_term = np.linalg.pinv(terms[kept, :3]) @ ground[kept]
    in_pixels = np.linalg.pinv(per_term[1:]) * pixels.std(axis=0)
    return np.asarray(np.hypot(*(residuals @ in_pixels).T))


def _points(points: tuple[tuple[float, float, float, float], ...]) -> list[GroundControlPoint]:
    """Control points for rasterio."""
    return [GroundControlPoint(row=row, col=col, x=x, y=y, z=0.0) for col, row, x, y in points]
