"""Area of interest: polygons of a vector file or of a caller, in pixel coordinates of the pair's grid."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray
from rasterio.features import rasterize

from rsdetect.arraytypes import BoolArray
from rsdetect.errors import InputError, NothingToCompare
from rsdetect.grid import Grid, Window
from rsdetect.scenes.alignment import crs_name
from rsdetect.scenes.aoi_layers import read_layer
from rsdetect.scenes.handles import one_line
from rsdetect.scenes.projecting import project_polygons

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries

_GIVEN = "the given area of interest"


@dataclass(frozen=True)
class Area:
    """Area of interest given as polygons, for options and records."""

    wkt: str
    crs: str | None  # as WKT; None = that of the scenes

    def __str__(self) -> str:
        return _GIVEN


AoiLike: TypeAlias = Union[
    str, Path, "GeoDataFrame", "GeoSeries", shapely.Geometry, Mapping[str, object], Area
]
"""What `aoi` takes: a vector file; polygons with their CRS; or a geometry or GeoJSON-like mapping.

What names no CRS is in that of the scenes. A mapping may name one under "crs", as text or as GeoJSON of
2008 does.
"""

# Vertices are snapped to 1/1024 of a pixel, so that moving them by whole pixels into a tile is exact and
# a pixel falls inside or outside whichever tile asks.
_SNAP = 1024
_CROP = 64  # pixels; a multiple of the strides of networks


def settle_aoi(given: AoiLike | None) -> str | Area | None:
    """Normalise a given area of interest to a path or an `Area`.

    Raises
    ------
    InputError
        It is none of what `AoiLike` names.
    """
    if given is None or isinstance(given, Area):
        return given
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    if isinstance(given, shapely.Geometry):
        return _area_of([given], None)
    if isinstance(given, Mapping):
        return _area_of_mapping(given)
    if hasattr(given, "geometry") and hasattr(given, "crs"):
        return _area_of(given.geometry.dropna(), given.crs)
    raise InputError(
        "`aoi` takes a path, a GeoDataFrame or GeoSeries, a shapely geometry or a GeoJSON-like mapping, and "
        f"got {type(given).__name__}."
    )


def read_aoi(given: AoiLike, grid: Grid) -> bytes:
    """Read the area of interest on `grid`, in (column, row), as WKB; of a file, its first layer.

    Raises
    ------
    InputError
        Not a vector file, no polygons in it, or no CRS where the grid has one.
    NothingToCompare
        The polygons lie outside the grid.
    """
    area = settle_aoi(given)
    geometry = _read_area(area, grid) if isinstance(area, Area) else read_layer(str(area))[0].geometry
    found = _on_grid(geometry, grid, str(area))
    if found.is_empty and not _polygons(geometry).size:
        raise InputError(f"{area} holds no polygon to take as the area of interest.")
    if not found.intersects(shapely.box(0, 0, grid.width, grid.height)):
        taken = ""
        if isinstance(area, Area) and area.crs is None:
            taken = f", taken in their CRS ({crs_name(grid.crs)}) as it names none"
        where = area if isinstance(area, Area) else f"the area of interest in {area}"
        raise NothingToCompare(f"{where} lies outside what both scenes cover{taken}.")
    return bytes(shapely.to_wkb(found))


def _read_area(area: Area, grid: Grid) -> Any:
    import geopandas

    try:
        return geopandas.GeoSeries([shapely.from_wkt(area.wkt)], crs=area.crs or grid.crs)
    except shapely.errors.ShapelyError as error:
        raise InputError(f"{area} is not a geometry: {one_line(error)}.") from error


def _area_of(geometries: Any, crs: Any) -> Area:
    """Geometries of an area of interest, and their CRS for pyproj."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        named = None if crs is None else CRS.from_user_input(crs).to_wkt()
    except CRSError as error:
        raise InputError(f"the CRS of {_GIVEN} is unknown: {one_line(error)}.") from error
    parts = list(geometries)
    while any(part.geom_type == "GeometryCollection" for part in parts):
        parts = list(shapely.get_parts(parts))
    whole = shapely.geometrycollections(parts)
    return Area(shapely.to_wkt(whole, rounding_precision=-1), named)


def _area_of_mapping(given: Mapping[str, Any]) -> Area:
    crs = given.get("crs")
    if isinstance(crs, Mapping):  # GeoJSON of 2008
        crs = crs.get("properties", {}).get("name")
    if "wkt" in given:  # of a record
        return Area(str(given["wkt"]), crs)
    try:
        return _area_of(list(_geometries(given)), crs)
    except (KeyError, TypeError, ValueError, AttributeError, shapely.errors.ShapelyError) as error:
        raise InputError(f"{_GIVEN} is no GeoJSON-like mapping: {one_line(error)}.") from error


def _geometries(given: Mapping[str, Any]) -> Iterator[Any]:
    if given["type"] == "FeatureCollection":
        for feature in given["features"]:
            yield from _geometries(feature)
    elif given["type"] == "Feature":
        if given["geometry"] is not None:
            yield shapely.geometry.shape(given["geometry"])
    else:
        yield shapely.geometry.shape(given)


def area_polygons(area: str | Area) -> tuple[NDArray[np.object_], str | None]:
    """Polygons of an area of interest and their CRS, which is None where it names none.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    if isinstance(area, Area):
        return np.array([shapely.from_wkt(area.wkt)], dtype=object), area.crs
    frame, _ = read_layer(area)
    return _polygons(frame.geometry).to_numpy(), frame.crs


def polygons_on(geometry: Any, grid: Grid, path: str) -> bytes:
    """Polygons of a GeoSeries, read from `path`, on `grid`, in (column, row), as WKB.

    Raises
    ------
    InputError
        No CRS where the grid has one.
    """
    return bytes(shapely.to_wkb(_on_grid(geometry, grid, path)))


def crop_to_area(aoi: bytes, grid: Grid) -> tuple[Window, bytes]:
    """The part of a grid that an area of interest lies in, and the area in (column, row) of that part.

    Its edges are multiples of 64 pixels, as far as the grid goes: what a network sees of a pixel depends on
    where the pixel lies among its strides, and so stays what it is in the whole grid.
    """
    left, top, right, bottom = shapely.bounds(shapely.from_wkb(aoi))
    first_row, first_col = (math.floor(edge / _CROP) * _CROP for edge in (top, left))
    end_row, end_col = (math.ceil(edge / _CROP) * _CROP for edge in (bottom, right))
    around = Window(first_row, first_col, end_row - first_row, end_col - first_col)
    part = around.intersection(grid.window)
    moved = shapely.transform(shapely.from_wkb(aoi), lambda xy: xy - (part.col_off, part.row_off))
    return part, bytes(shapely.to_wkb(moved))


def touches_window(aoi: bytes, window: Window) -> bool:
    """True if the area of interest and the window intersect."""
    return bool(_area(aoi).intersects(_box(window)))


def inside_aoi(aoi: bytes, window: Window) -> BoolArray:
    """Mask (height, width) of the pixels of `window` whose centres lie in the area of interest."""
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


def _polygons(geometry: Any) -> Any:
    """Polygons of a GeoSeries; points and lines are left out."""
    parts = geometry.explode(index_parts=False)
    return parts[parts.geom_type.isin(["Polygon", "MultiPolygon"]) & ~parts.is_empty]


def _on_grid(geometry: Any, grid: Grid, path: str) -> Any:
    polygons = _polygons(geometry)
    if not np.isfinite(shapely.get_coordinates(polygons.to_numpy())).all():
        raise InputError(f"{path} has coordinates that are not finite.")
    if grid.crs is not None and not polygons.empty:
        if polygons.crs is None:
            raise InputError(f"{path} names no CRS, and the scenes are in {crs_name(grid.crs)}.")
        shapes = project_polygons(polygons.to_numpy(), polygons.crs, grid, path)
    else:
        shapes = shapely.make_valid(polygons.to_numpy())
    inverse = ~grid.transform
    area = shapely.union_all([each for each in shapely.get_parts(shapes) if each.geom_type == "Polygon"])
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
