"""Coverage of the area of interest: the grid that reaches all of it, and the share that no scene covers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import geopandas
import numpy as np
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

from rsdetect.grid import Grid, Window
from rsdetect.scenes.alignment import same_crs
from rsdetect.scenes.aoi_layers import read_layer
from rsdetect.scenes.handles import GDAL_ERRORS

Ring = list[tuple[float, float]]  # (column, row) on the grid of a site
_POINTS = 21  # per edge of a footprint


def covering_grid(grid: Grid, others: Sequence[Grid], aoi: Path | None) -> Grid:
    """`grid` extended over what `others` cover, within the area of interest where there is one.

    Its pixels stay where they are.
    """
    rings = [ring for ring in (footprint_on(other, grid) for other in (grid, *others)) if ring]
    covered = np.array([point for ring in rings for point in ring])
    low, high = covered.min(axis=0), covered.max(axis=0)
    if aoi is not None and (wanted := _area_bounds(aoi, grid)) is not None:
        low, high = np.maximum(low, wanted[0]), np.minimum(high, wanted[1])
    left, top = np.minimum(np.floor(np.round(low, 3)), 0).astype(int).tolist()
    right, bottom = np.maximum(np.ceil(np.round(high, 3)), (grid.width, grid.height)).astype(int).tolist()
    return grid.crop(Window(top, left, bottom - top, right - left))


def footprint_on(other: Grid, grid: Grid) -> Ring:
    """Outline of `other` in (column, row) on `grid`; empty where it has no place there."""
    steps = np.linspace(0, 1, _POINTS)
    around = [(t, 0.0) for t in steps] + [(1.0, t) for t in steps] + [(1 - t, 1.0) for t in steps]
    unit = np.array(around + [(0.0, 1 - t) for t in steps])
    cols, rows = (unit * (other.width, other.height)).T
    t = other.transform
    xs, ys = t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f
    if not same_crs(other.crs, grid.crs):
        if other.crs is None or grid.crs is None:
            return []
        try:
            xs, ys = transform_points(CRS.from_wkt(other.crs), CRS.from_wkt(grid.crs), xs, ys)
        except GDAL_ERRORS:
            return []
    t, xs, ys = ~grid.transform, np.asarray(xs), np.asarray(ys)
    cols, rows = t.a * xs + t.b * ys + t.c, t.d * xs + t.e * ys + t.f
    if not np.isfinite([cols, rows]).all():
        return []
    return [(float(col), float(row)) for col, row in zip(cols, rows, strict=True)]


def uncovered_share(aoi: str | None, grid: Grid, rings: Sequence[Ring]) -> float | None:
    """Share of the area of interest that no footprint covers; None without an area, or if unknown."""
    if aoi is None or not rings:
        return None
    area = _area_on(Path(aoi), grid)
    if area is None or area.area == 0:
        return None
    ground = shapely.union_all(shapely.make_valid([shapely.Polygon(ring) for ring in rings]))
    share = 1 - float(shapely.intersection(area, ground).area / area.area)
    return round(share, 4) if share > 1e-3 else 0.0


def _area_bounds(aoi: Path, grid: Grid) -> tuple[np.ndarray, np.ndarray] | None:
    frame = _read(aoi)
    try:
        bounds = tuple(frame.total_bounds)
        if grid.crs is not None and frame.crs is not None:
            bounds = transform_bounds(frame.crs.to_wkt(), grid.crs, *bounds, densify_pts=51)
    except GDAL_ERRORS:
        return None
    corners = np.array([~grid.transform @ (x, y) for x in bounds[::2] for y in bounds[1::2]])
    return (corners.min(axis=0), corners.max(axis=0)) if np.isfinite(corners).all() else None


def _area_on(aoi: Path, grid: Grid) -> shapely.Geometry | None:
    frame = _read(aoi)
    area = shapely.union_all(shapely.make_valid(frame.geometry.dropna().to_numpy()))
    if grid.crs is not None and frame.crs is not None:
        fine = shapely.segmentize(area, max(np.ptp(np.reshape(area.bounds, (2, 2)), axis=0)) / 200 or 1)
        area = geopandas.GeoSeries([fine], crs=frame.crs).to_crs(grid.crs).iloc[0]
    inverse = ~grid.transform
    matrix = np.array([[inverse.a, inverse.d], [inverse.b, inverse.e]])
    area = shapely.transform(area, lambda xy: xy @ matrix + (inverse.c, inverse.f))
    return shapely.make_valid(area) if np.isfinite(area.bounds).all() else None


def _read(aoi: Path) -> geopandas.GeoDataFrame:
    frame, _ = read_layer(str(aoi))
    return frame[frame.geom_type.isin(["Polygon", "MultiPolygon"])]
