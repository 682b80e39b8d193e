"""Grid of an xarray DataArray, from its coordinates and attributes of rioxarray, odc-geo or stackstac.

The coordinates define the position of the pixels, because slicing an array changes them and not the
attributes. A consistent transform in the attributes gives the exact numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from rsdetect.errors import SceneError
from rsdetect.grid import Grid

if TYPE_CHECKING:
    from xarray import DataArray

_DIMS = (("y", "x"), ("latitude", "longitude"), ("lat", "lon"), ("northing", "easting"))
_IRREGULAR = 0.02  # tolerance of coordinates in pixels; float32 coordinates are rounded


def spatial_dims(array: DataArray, name: str) -> tuple[str, str]:
    """Names of an array's spatial dimensions, down and across. `SceneError` if there are none."""
    for y, x in _DIMS:
        if y in array.dims and x in array.dims:
            return y, x
    raise SceneError(
        f"{name} has the dimensions {', '.join(map(str, array.dims))}; call those of its grid y and x: "
        "array.rename({'OLD': 'y', ...})."
    )


def north_up(array: DataArray, y: str, x: str) -> DataArray:
    """View of an array with rows from north to south and columns from west to east."""
    if y in array.coords and _ascends(array[y].values):
        array = array.isel({y: slice(None, None, -1)})
    if x in array.coords and _ascends(array[x].values[::-1]):
        array = array.isel({x: slice(None, None, -1)})
    return array


def grid_of_array(array: DataArray, y: str, x: str, name: str) -> Grid:
    """Grid of an array that is `north_up`.

    Raises
    ------
    SceneError
        It has no CRS or no transform, or is rotated or irregular.
    """
    height, width = array.sizes[y], array.sizes[x]
    if not height or not width:
        raise SceneError(f"{name} has no pixels: {height} x {width}.")
    geobox = getattr(getattr(array, "odc", None), "geobox", None)
    crs = _crs(array, y, geobox)
    if crs is None:
        raise SceneError(
            f"{name} has no CRS; say which with rioxarray, array.rio.write_crs('EPSG:32632'), or odc-geo, "
            "array.odc.assign_crs('EPSG:32632')."
        )
    declared, at_corners = _declared_transform(array, geobox)
    if declared is not None and (declared.b or declared.d):
        raise SceneError(
            f"{name} lies on a rotated grid; bring it onto one along its axes first: "
            "array.rio.reproject(array.rio.crs)."
        )
    has_coordinates = y in array.coords and x in array.coords
    if not has_coordinates and declared is None:
        raise SceneError(
            f"{name} has neither coordinates {y} and {x} nor a transform; give it coordinates, or "
            "array.rio.write_transform(transform)."
        )
    if not has_coordinates:
        assert declared is not None
        return Grid(crs, declared, height, width)
    a, first_x = _steps(
        array[x].values, None if declared is None else declared.a, f"{name}: the coordinate {x}"
    )
    e, first_y = _steps(
        array[y].values, None if declared is None else declared.e, f"{name}: the coordinate {y}"
    )
    if declared is not None and (found := _shifted(declared, (a, e), (first_x, first_y), at_corners)):
        return Grid(crs, found, height, width)
    return Grid(crs, Affine(a, 0, first_x - a / 2, 0, e, first_y - e / 2), height, width)


def _ascends(values: NDArray[Any]) -> np.bool_ | bool:
    return values.ndim == 1 and values.dtype.kind in "iuf" and len(values) > 1 and values[-1] > values[0]


def _grid_mapping(array: DataArray) -> dict[str, Any]:
    """Attributes of an array's coordinate with the CRS by the CF convention."""
    name = array.encoding.get("grid_mapping", array.attrs.get("grid_mapping", "spatial_ref"))
    return dict(array.coords[name].attrs) if name in array.coords else {}


def _crs(array: DataArray, y: str, geobox: Any) -> str | None:
    """CRS of an array as rasterio's WKT: from the grid mapping's attributes, odc-geo, or the array's."""
    about, own = _grid_mapping(array), array.attrs
    along_y = array.coords[y].attrs if y in array.coords else {}
    texts = about.get("crs_wkt"), about.get("spatial_ref"), getattr(geobox, "crs", None)
    for text in (*texts, own.get("crs"), own.get("crs_wkt"), along_y.get("crs")):
        if text is not None:
            try:
                return _wkt(str(text))
            except CRSError:
                continue
    return None


def _wkt(text: str) -> str:
    """WKT of an array's CRS as in a file's header, without the codes of its parts, also from pyproj."""
    crs = CRS.from_user_input(text)
    wkt = str(crs.to_wkt())
    if wkt == text or (code := crs.to_epsg()) is None or CRS.from_epsg(code) != crs:
        return wkt
    return str(CRS.from_epsg(code).to_wkt())


def _declared_transform(array: DataArray, geobox: Any) -> tuple[Affine | None, bool]:
    """Declared transform of an array, and whether coordinates may be those of corners, as in stackstac."""
    about = _grid_mapping(array)
    if "GeoTransform" in about:
        return Affine.from_gdal(*map(float, str(about["GeoTransform"]).split())), False
    if "transform" in array.attrs:
        return Affine(*[float(number) for number in tuple(array.attrs["transform"])[:6]]), True
    if geobox is not None:
        return Affine(*tuple(geobox.affine)[:6]), False
    return None, False


def _steps(values: NDArray[Any], declared: float | None, what: str) -> tuple[float, float]:
    """Step between an array's coordinates, and the first one."""
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise SceneError(f"{what} is not one row of numbers; reproject the array onto a regular grid first.")
    values = values.astype(np.float64)
    if len(values) == 1:
        if declared is None:
            raise SceneError(
                f"{what} has a single value, which gives no size of a pixel; write one with rioxarray: "
                "array.rio.write_transform(transform)."
            )
        return declared, float(values[0])
    step = float(values[-1] - values[0]) / (len(values) - 1)
    expected = values[0] + step * np.arange(len(values))
    if not np.isfinite(values).all() or not step or np.abs(values - expected).max() > _IRREGULAR * abs(step):
        raise SceneError(
            f"{what} is not evenly spaced; bring the array onto a regular grid first: "
            "array.rio.reproject(crs) or array.interp(...)."
        )
    return step, float(values[0])


def _shifted(
    declared: Affine, steps: tuple[float, float], first: tuple[float, float], at_corners: bool
) -> Affine | None:
    """Declared transform shifted by whole pixels to an array's first coordinate; None if inconsistent."""
    a, e = abs(declared.a), -abs(declared.e)
    if not np.allclose((a, e), steps, rtol=1e-6, atol=0):
        return None
    if declared.a != a or declared.e != e:
        return None  # of an array that was flipped since
    places = (first[0] - declared.c) / a, (first[1] - declared.f) / e
    for middle in (0.5, 0.0) if at_corners else (0.5,):
        whole = [round(place - middle) for place in places]
        if (
            max(abs(place - middle - number) for place, number in zip(places, whole, strict=True))
            < _IRREGULAR
        ):
            return declared @ Affine.translation(*whole) if any(whole) else declared
    return None
