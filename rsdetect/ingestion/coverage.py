"""Coverage of the area of interest: the grid that reaches all of it, and the share that no scene covers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from rsdetect.errors import NothingToCompare
from rsdetect.grid import Grid, Window
from rsdetect.regions.areas import measure
from rsdetect.regions.outlines import transform_points
from rsdetect.scenes.alignment import moved_places, same_crs, window_of
from rsdetect.scenes.aoi import Area, area_polygons, read_aoi
from rsdetect.scenes.projecting import in_degrees

Ring = list[tuple[float, float]]  # (column, row) on the grid of a site
_POINTS = 21  # per edge of a footprint
_DEGREES = pyproj.CRS.from_epsg(4326).to_wkt()


def covering_grid(grid: Grid, others: Sequence[Grid], aoi: str | Area | None) -> Grid:
    """`grid` extended over what `others` cover, within the area of interest where there is one.

    Its pixels stay where they are.
    """
    rings = [ring for ring in (footprint_on(other, grid) for other in (grid, *others)) if ring]
    covered = np.array([point for ring in rings for point in ring])
    low, high = covered.min(axis=0), covered.max(axis=0)
    if aoi is not None and (wanted := _area_bounds(aoi, grid.crop(_window(low, high)))) is not None:
        begin = np.floor(np.round(low, 3))
        low, high = np.maximum(low, begin + wanted[:2]), np.minimum(high, begin + wanted[2:])
    low, high = np.minimum(low, 0), np.maximum(high, (grid.width, grid.height))
    return grid.crop(_window(low, high))


def _window(low: NDArray[np.float64], high: NDArray[np.float64]) -> Window:
    """Window that covers columns and rows from `low` to `high`."""
    left, top = np.floor(np.round(low, 3)).astype(int).tolist()
    right, bottom = np.ceil(np.round(high, 3)).astype(int).tolist()
    return Window(top, left, bottom - top, right - left)


def footprint_on(other: Grid, grid: Grid) -> Ring:
    """Outline of `other` in (column, row) on `grid`; empty where it has no place there.

    Of a grid that cannot be projected wholly (a world map), the part on `grid` and around it.
    """
    steps = np.linspace(0, 1, _POINTS)
    around = [(t, 0.0) for t in steps] + [(1.0, t) for t in steps] + [(1 - t, 1.0) for t in steps]
    unit = np.array(around + [(0.0, 1 - t) for t in steps])
    if (other.crs is None or grid.crs is None) and not same_crs(other.crs, grid.crs):
        return []
    own = unit * (other.width, other.height)
    try:
        places = moved_places(own, other, grid)
        with np.errstate(invalid="ignore"):
            known = np.isfinite(places).all() and (abs(moved_places(places, grid, other) - own) < 1).all()
        if not known:
            near = Window(-grid.height, -grid.width, 3 * grid.height, 3 * grid.width)
            part = window_of(other, grid.crop(near)).shifted(-grid.height, -grid.width)
            places = unit * (part.width, part.height) + (part.col_off, part.row_off)
            places = places[: 0 if part.is_empty else None]
    except (ProjError, NothingToCompare):
        return []
    return [(float(col), float(row)) for col, row in places]


def uncovered_share(aoi: str | Area | None, grid: Grid, rings: Sequence[Ring]) -> float | None:
    """Share of the area of interest that no footprint covers; None without an area, or if unknown."""
    if aoi is None or not rings:
        return None
    polygons, crs = area_polygons(aoi)
    ground = [
        shapely.transform(shapely.Polygon(ring), lambda xy: transform_points(xy, grid.transform))
        for ring in rings
    ]
    if grid.crs is None or crs is None:
        wanted, covered = shapely.union_all(shapely.make_valid(polygons)), shapely.union_all(ground)
        area, common = wanted.area, shapely.intersection(wanted, covered).area
    else:
        wanted = shapely.union_all(in_degrees(polygons, crs))
        covered = shapely.union_all(in_degrees(np.array(ground, dtype=object), grid.crs))
        area, common = _square_metres(wanted), _square_metres(shapely.intersection(wanted, covered))
    if not area > 0:
        return None
    share = 1 - float(common / area)
    return round(share, 4) if share > 1e-3 else 0.0


def _square_metres(area: shapely.Geometry) -> float:
    """Area on the ground of polygons in degrees."""
    parts = shapely.get_parts(shapely.get_parts(area))
    found = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    return float(measure(found, _DEGREES)[0].sum())


def _area_bounds(aoi: str | Area, grid: Grid) -> NDArray[np.float64] | None:
    """First column and row of the area of interest on `grid`, and its last; None if it lies elsewhere."""
    try:
        return np.array(shapely.from_wkb(read_aoi(aoi, grid)).bounds)
    except NothingToCompare:
        return None
