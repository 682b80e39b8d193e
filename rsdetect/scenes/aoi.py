"""The area of interest: polygons from any vector file, held in pixel coordinates of the pair's grid."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import shapely
from rasterio.features import rasterize

from rsdetect.arraytypes import BoolArray
from rsdetect.errors import InputError, NothingToCompare
from rsdetect.grid import Grid, Window
from rsdetect.scenes.alignment import crs_name
from rsdetect.scenes.handles import one_line

# Vertices are snapped to 1/1024 of a pixel, so that moving them by whole pixels into a tile is exact and
# a pixel falls inside or outside whichever tile asks.
_SNAP = 1024


def read_aoi(path: str, grid: Grid) -> bytes:
    """The polygons of `path` (every layer's first, any CRS) on `grid`, in (column, row), as WKB.

    Raises
    ------
    InputError
        Not a vector file, no polygons in it, or no CRS where the grid has one.
    NothingToCompare
        The polygons lie outside the grid.
    """
    import geopandas  # half a second that a job without an area of interest need not wait

    try:
        frame = geopandas.read_file(path)
    except Exception as error:
        raise InputError(f"{path} cannot be opened as polygons: {one_line(error)}.") from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise InputError(f"{path} is a table without places; give polygons as the area of interest.")
    area = _on_grid(frame.geometry, grid, path)
    if area.is_empty:
        raise InputError(f"{path} holds no polygon to take as the area of interest.")
    if not area.intersects(shapely.box(0, 0, grid.width, grid.height)):
        raise NothingToCompare(f"the area of interest in {path} lies outside what both scenes cover.")
    return bytes(shapely.to_wkb(area))


def polygons_on(geometry: Any, grid: Grid, path: str) -> bytes:
    """The polygons of a GeoSeries, read from `path`, on `grid`, in (column, row), as WKB.

    Raises
    ------
    InputError
        No CRS where the grid has one.
    """
    return bytes(shapely.to_wkb(_on_grid(geometry, grid, path)))


def touches_window(aoi: bytes, window: Window) -> bool:
    """True when the area and the window share a point."""
    return bool(_area(aoi).intersects(_box(window)))


def inside_aoi(aoi: bytes, window: Window) -> BoolArray:
    """(height, width) bool: the pixels of `window` whose centre lies in the area or on its border."""
    area = _area(aoi)
    box = _box(window)
    if area.covers(box):
        return np.ones(window.shape, dtype=bool)
    # Only what is near matters; the margin keeps cut edges away from the pixels that are asked for.
    near = shapely.intersection(area, shapely.buffer(box, 2, join_style="mitre"))
    shapes = [part for part in shapely.get_parts(near) if part.geom_type == "Polygon" and not part.is_empty]
    if not shapes:
        return np.zeros(window.shape, dtype=bool)
    moved = shapely.transform(shapes, lambda xy: xy - (window.col_off, window.row_off))
    found = rasterize(list(moved), out_shape=window.shape, default_value=1, dtype="uint8").astype(bool)
    # Cutting rounds, and by that a border through the very centre of a pixel may fall on either side of it in
    # two windows. Pixels on a border are therefore asked of the uncut area.
    border = rasterize(list(shapely.boundary(moved)), out_shape=window.shape, all_touched=True, dtype="uint8")
    rows, cols = np.nonzero(border)
    xs, ys = cols + (window.col_off + 0.5), rows + (window.row_off + 0.5)
    found[rows, cols] = shapely.intersects_xy(area, xs, ys)
    return np.asarray(found, dtype=bool)


def _on_grid(geometry: Any, grid: Grid, path: str) -> Any:
    polygons = geometry.explode(index_parts=False)
    polygons = polygons[polygons.geom_type.isin(["Polygon", "MultiPolygon"]) & ~polygons.is_empty]
    if grid.crs is not None and not polygons.empty:
        if polygons.crs is None:
            raise InputError(f"{path} names no CRS, and the scenes are in {crs_name(grid.crs)}.")
        polygons = polygons.to_crs(grid.crs)
    inverse = ~grid.transform
    area = shapely.union_all(shapely.make_valid(polygons.to_numpy()))
    matrix = np.array([[inverse.a, inverse.d], [inverse.b, inverse.e]])
    area = shapely.transform(area, lambda xy: xy @ matrix + (inverse.c, inverse.f))
    return shapely.set_precision(area, 1 / _SNAP)


def _box(window: Window) -> Any:
    return shapely.box(window.col_off, window.row_off, window.col_end, window.row_end)


@functools.lru_cache(maxsize=4)
def _area(aoi: bytes) -> Any:
    area = shapely.from_wkb(aoi)
    shapely.prepare(area)
    # GEOS builds its indices on the first question of each kind, and not for several threads at once.
    corner = shapely.box(0, 0, 1, 1)
    area.intersects(corner), area.covers(corner), shapely.intersects_xy(area, 0.5, 0.5)
    return area
