"""Alignment of grids: whether two grids coincide, and a description of their difference."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pyproj
from affine import Affine
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from rsdetect.arraytypes import Float64Array
from rsdetect.errors import GridMismatch, NothingToCompare
from rsdetect.grid import Grid, Window
from rsdetect.scenes.turns import near_longitudes, turned_toward

# Products of one mission differ in the last digits of their transforms; a twentieth of a pixel, anywhere in
# the scene, does not affect a comparison of pixels.
_TOLERANCE_PX = 0.05
_LATTICE = 51  # places along each side of a grid


@functools.lru_cache(maxsize=256)
def same_crs(one: str | None, other: str | None) -> bool:
    """True if both are None or mean one coordinate reference system.

    The order of axes does not count, because GDAL gives x before y for all of them, nor do heights and
    `+towgs84=0`.
    """
    if one is None or other is None or one == other:
        return one == other
    if CRS.from_wkt(one) == CRS.from_wkt(other):
        return True
    first, second = _without_null_shift(one), _without_null_shift(other)
    if first.equals(second, ignore_axis_order=True):
        return True
    # A PROJ string knows the ellipsoid only; with `+towgs84=0` it claims that the datum is the other's.
    was_bound = pyproj.CRS(one).is_bound or pyproj.CRS(other).is_bound
    if not was_bound or first.is_bound or second.is_bound:
        return False
    return _without_datum(first) == _without_datum(second)


def _without_null_shift(crs: str) -> pyproj.CRS:
    """A CRS without heights, and without a shift of its datum by zero."""
    parsed = pyproj.CRS(crs)
    if parsed.is_compound and parsed.sub_crs_list:
        parsed = parsed.sub_crs_list[0]
    if parsed.is_bound and parsed.source_crs is not None and not any(_shift_of(parsed)):
        return parsed.source_crs
    return parsed


def _shift_of(bound: pyproj.CRS) -> list[float]:
    operation = bound.coordinate_operation
    return [1.0] if operation is None else list(operation.towgs84) or [1.0]


def _without_datum(crs: pyproj.CRS) -> dict[str, object]:
    """Projection and ellipsoid of a CRS, as PROJ names them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that PROJ strings lose something, which is why they are compared
        words = dict(crs.to_dict())
    ellipsoid = crs.ellipsoid
    for key in ("datum", "ellps", "a", "b", "rf", "towgs84", "type", "no_defs"):
        words.pop(key, None)
    words["ellipsoid"] = ellipsoid and (ellipsoid.semi_major_metre, round(ellipsoid.inverse_flattening, 4))
    return words


def crs_name(crs: str | None) -> str:
    """Short name of a CRS for messages: its EPSG code, else its own name.

    >>> crs_name(CRS.from_epsg(32632).to_wkt())
    'EPSG:32632'
    """
    if crs is None:
        return "no CRS"
    parsed = CRS.from_wkt(crs)
    code = parsed.to_epsg()
    return f"EPSG:{code}" if code else parsed.wkt.split('"')[1]


def offset_between(reference: Grid, other: Grid) -> tuple[int, int] | None:
    """Alignment offset: (row, column) of `reference`'s first pixel on `other`'s grid; None if not aligned."""
    if not same_crs(reference.crs, other.crs):
        return None
    other = turned_toward(other, reference)
    to_other: Affine = ~other.transform @ reference.transform
    col, row = round(to_other.c), round(to_other.f)
    shifted = Affine.translation(-col, -row) @ to_other
    corners = ((x, y) for x in (0, reference.width) for y in (0, reference.height))
    drift = [abs(np.subtract(shifted @ corner, corner)).max() for corner in corners]
    return (row, col) if max(drift) <= _TOLERANCE_PX else None


def describe_mismatch(before: Grid, after: Grid) -> str:
    """Description of the difference between two grids that are not aligned, as a clause."""
    if not same_crs(before.crs, after.crs):
        return _differing_crs(str(before.crs), str(after.crs))
    if not np.allclose(before.pixel_size, after.pixel_size, rtol=1e-6, atol=0):
        return f"pixels of {_size(before)} and of {_size(after)}"
    t, u = before.transform, after.transform
    if not np.allclose(
        (t.a, t.b, t.d, t.e), (u.a, u.b, u.d, u.e), rtol=1e-6, atol=1e-6 * before.pixel_size[0]
    ):
        return f"rows and columns that run in different directions, {_directions(t)} and {_directions(u)}"
    col, row = ~t @ (u.c, u.f)
    return (
        f"{_size(before)} pixels from ({t.c:.10g}, {t.f:.10g}) and from ({u.c:.10g}, {u.f:.10g}), "
        f"{col - round(col):+.2f} columns and {row - round(row):+.2f} rows off"
    )


def _differing_crs(one: str, other: str) -> str:
    """Names of two CRSs, and what differs if the names do not."""
    names = crs_name(one), crs_name(other)
    if names[0] != names[1]:
        return f"{names[0]} and {names[1]}"
    first, second = pyproj.CRS(one), pyproj.CRS(other)
    datums = [str(each.datum or each.type_name) for each in (first, second)]
    if datums[0] != datums[1]:
        return f"{names[0]} on {datums[0]} and on {datums[1]}"
    words = [set(each.to_wkt(pretty=True).splitlines()) for each in (first, second)]
    only = [
        ", ".join(sorted(line.strip().rstrip(",") for line in words[i] - words[1 - i])[:3]) for i in (0, 1)
    ]
    return f"{names[0]} with {only[0] or 'nothing more'} and with {only[1] or 'nothing more'}"


def window_of(other: Grid, reference: Grid) -> Window:
    """Smallest window on the grid `reference` that contains the grid `other` to align; may be empty.

    Places of either grid that have none in the other's CRS (of a world map in UTM) are left out.
    """
    assert reference.crs is not None and other.crs is not None
    try:
        places = _places_on(other, reference)
        seen = ((places > 0) & (places < (reference.width, reference.height))).all(axis=1).sum()
        if seen < _LATTICE:  # a large grid, whose own lattice may miss the reference
            places = np.concatenate([places, _places_under(reference, other)])
    except ProjError:
        places = np.empty((0, 2))
    if not places.size:
        raise NothingToCompare(
            f"the scenes do not overlap: places in {crs_name(other.crs)} cannot be expressed in "
            f"{crs_name(reference.crs)}."
        )
    (left, top), (right, bottom) = np.floor(places.min(axis=0)), np.ceil(places.max(axis=0))
    window = Window(int(top), int(left), int(bottom - top), int(right - left))
    return window.intersection(reference.window)


def _places_on(other: Grid, reference: Grid) -> Float64Array:
    """Places all over `other` to align, (n, 2) in columns and rows of `reference`."""
    there = moved_places(_lattice(other), other, reference)
    known = np.flatnonzero(np.isfinite(there).all(axis=1))
    # Beyond what a projection is made for, it gives places that are not there.
    back = moved_places(there[known], reference, other)
    return there[known[(abs(back - _lattice(other)[known]) < 1).all(axis=1)]]


def _places_under(reference: Grid, other: Grid) -> Float64Array:
    """Places of `reference` that lie in the grid `other` to align, and those beside them, (n, 2)."""
    own = _lattice(reference)
    there = moved_places(own, reference, other)
    with np.errstate(invalid="ignore"):
        inside = own[((there >= 0) & (there <= (other.width, other.height))).all(axis=1)]
    step = np.array([reference.width, reference.height]) / (_LATTICE - 1)
    return np.concatenate([inside - step, inside + step])


def _lattice(grid: Grid) -> Float64Array:
    """Places all over a grid to align, (n, 2) in columns and rows."""
    steps = np.linspace(0, 1, _LATTICE)
    cols, rows = np.meshgrid(steps * grid.width, steps * grid.height)
    return np.stack([cols.ravel(), rows.ravel()], axis=1)


def moved_places(places: Float64Array, grid: Grid, other: Grid) -> Float64Array:
    """Places (n, 2) in columns and rows of a grid, in those of another to align; infinite where unknown.

    Raises
    ------
    ProjError
        There is no way from one CRS to the other.
    """
    xs, ys = _applied(grid.transform, places).T
    if not same_crs(grid.crs, other.crs):
        assert grid.crs is not None and other.crs is not None
        xs, ys = _way(grid.crs, other.crs).transform(xs, ys)
    with np.errstate(invalid="ignore"):  # of infinite places
        found = _applied(~other.transform, np.column_stack([near_longitudes(xs, other), ys]))
    return np.where(np.isfinite(xs)[:, None], found, np.inf)


def _applied(transform: Affine, places: Float64Array) -> Float64Array:
    """Places (n, 2) of a grid to align, transformed."""
    t = transform
    return np.asarray(places @ np.array([[t.a, t.d], [t.b, t.e]]) + (t.c, t.f))


@functools.lru_cache(maxsize=64)
def _way(crs: str, other: str) -> pyproj.Transformer:
    """Transformer between the CRSs of two grids to align."""
    return pyproj.Transformer.from_crs(pyproj.CRS(crs), pyproj.CRS(other), always_xy=True)


def require_same_georeference(before: tuple[str, Grid, bool], after: tuple[str, Grid, bool]) -> None:
    """Refuse to align a georeferenced scene with one that is not.

    Each argument is (path, grid, georeferenced).
    """
    for (path, grid, georeferenced), (other_path, other, other_georeferenced) in (
        (before, after),
        (after, before),
    ):
        if georeferenced and not other_georeferenced:
            raise GridMismatch(
                f"{path} is georeferenced and {other_path} is not; give both scenes a georeference "
                "(gdal_translate -a_srs ... -a_ullr ...), or neither."
            )
        if grid.crs is not None and other.crs is None:
            raise GridMismatch(
                f"{path} is in {crs_name(grid.crs)} and {other_path} names no CRS; "
                f"say which one it is in (gdal_edit.py -a_srs ... {other_path})."
            )


def _directions(transform: Affine) -> str:
    step = f"(x {transform.a:+.7g}, y {transform.d:+.7g})"
    return f"{step} a column with (x {transform.b:+.7g}, y {transform.e:+.7g}) a row"


def _size(grid: Grid) -> str:
    width, height = grid.pixel_size
    unit = "°" if grid.crs and CRS.from_wkt(grid.crs).is_geographic else " m" if grid.crs else ""
    return f"{width:.7g}{unit}" if width == height else f"{width:.7g} x {height:.7g}{unit}"
