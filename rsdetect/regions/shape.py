"""Shape of regions on the ground: compactness, length, width, orientation and number of holes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from rsdetect.arraytypes import BoolArray, Float64Array, Int64Array
from rsdetect.grid import Grid
from rsdetect.regions.ground import Ground
from rsdetect.regions.simplify import Polygons

_PRECISION = 0.01  # of a width, in pixels
_SQUARE = 1e-3  # relative difference of length and breadth below which a region has no orientation


@dataclass(frozen=True)
class Shapes:
    """Shapes of n regions as columns; NaN = unknown."""

    compactness: Float64Array  # (n,) 4 pi area / perimeter^2: 1 for a disc (Polsby and Popper 1991)
    length_m: Float64Array  # (n,) longer side of the smallest rectangle around it; NaN without a CRS
    width_m: Float64Array  # (n,) diameter of the largest circle inside of it; NaN without a CRS
    orientation_deg: Float64Array  # (n,) of that side, clockwise from north, [0, 180); NaN of a square
    holes: Int64Array  # (n,)


def shapes_of(geometry: Polygons, grid: Grid) -> Shapes:
    """Shapes of regions, each measured on the ground around its own centroid."""
    placed = on_ground(geometry, grid)
    length, orientation = _longer_sides(placed)
    unit = np.nan if grid.crs is None else 1.0
    perimeter = shapely.length(placed)
    return Shapes(
        compactness=np.divide(
            4 * np.pi * shapely.area(placed),
            perimeter**2,
            out=np.full(len(placed), np.nan),
            where=perimeter > 0,
        ),
        length_m=length * unit,
        width_m=widths(placed, grid) * unit,
        orientation_deg=orientation,
        holes=_numbers_of_holes(geometry),
    )


def on_ground(geometry: Polygons, grid: Grid) -> Polygons:
    """Regions in metres to the east and north of their own centroids; in pixels without a CRS."""
    if geometry.size == 0:
        return geometry
    centres = shapely.get_coordinates(shapely.centroid(geometry))
    points, owner = shapely.get_coordinates(geometry, return_index=True)
    placed = np.einsum("nij,nj->ni", _jacobians(centres, grid)[owner], points - centres[owner])
    return np.asarray(shapely.set_coordinates(geometry.copy(), placed))


def widths(placed: Polygons, grid: Grid) -> Float64Array:
    """Diameters of the largest circles inside regions, (n,): at most 1 % of a pixel too small.

    Parameters
    ----------
    placed
        As `on_ground` gives them.
    """
    if placed.size == 0:
        return np.empty(0)
    radius = shapely.length(shapely.maximum_inscribed_circle(placed, _precision(grid) / 2))
    return np.asarray(2 * radius)


def is_as_wide(placed: Polygons, grid: Grid, least: float) -> BoolArray:
    """True for regions, as `on_ground` gives them, that hold a circle of the diameter `least`, (n,)."""
    wide: BoolArray = np.ones(len(placed), np.bool_)
    # Every point of a region is within its width / 2 of the outline: area <= perimeter * width / 2. So most
    # need no search for the circle.
    doubtful = np.flatnonzero(2 * shapely.area(placed) < least * shapely.length(placed))
    wide[doubtful] = widths(placed[doubtful], grid) + _precision(grid) >= least
    return wide


def _precision(grid: Grid) -> float:
    """Precision of a width, in metres or pixels."""
    t = grid.transform
    jacobian = _jacobians(np.array([t @ (grid.width / 2, grid.height / 2)]), grid)[0]
    return _PRECISION * float(np.sqrt(abs(np.linalg.det(jacobian)) * grid.pixel_area))


def _jacobians(places: Float64Array, grid: Grid) -> Float64Array:
    """Metres, or pixels without a CRS, to the east and north per CRS unit, at the centres of shapes."""
    if grid.crs is None:
        t = grid.transform
        up = np.array([[1.0, 0.0], [0.0, -1.0]]) @ np.linalg.inv([[t.a, t.b], [t.d, t.e]])
        return np.broadcast_to(up, (len(places), 2, 2))
    return Ground.of(grid.crs).jacobians(places)


def _longer_sides(placed: Polygons) -> tuple[Float64Array, Float64Array]:
    """Length and orientation of the longer sides of the smallest rectangles around shapes."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(placed)).reshape(-1, 5, 2)
    sides = np.diff(corners[:, :3], axis=1)  # (n, 2, 2): two adjacent sides
    lengths = np.hypot(sides[..., 0], sides[..., 1])
    longer = np.argmax(lengths, axis=1)
    number = np.arange(len(placed))
    east, north = sides[number, longer].T
    degrees = np.round(np.degrees(np.arctan2(east, north)) % 180, 3) % 180  # 0, not 179.9999999
    square = np.abs(lengths[:, 0] - lengths[:, 1]) <= _SQUARE * lengths.max(axis=1, initial=0)
    return lengths[number, longer], np.where(square, np.nan, degrees)


def _numbers_of_holes(geometry: Polygons) -> Int64Array:
    """Numbers of holes in shapes of one part or several."""
    parts, owner = shapely.get_parts(geometry, return_index=True)
    holes = shapely.get_num_interior_rings(parts)
    return np.bincount(owner, weights=holes, minlength=len(geometry)).astype(np.int64)
