"""Merging of regions: those that are nearer to each other than a gap become one feature of several parts.

Distances are those between outlines on the ground. The outlines are cut into short pieces, so that a region
of a million corners is compared with what is near each piece of it, and not with its whole rectangle.
"""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.grid import Grid
from rsdetect.regions.connected import connected_components
from rsdetect.regions.ground import Ground
from rsdetect.regions.outlines import transform_points
from rsdetect.regions.simplify import Polygons

_PIECE = 32  # edges of an outline
_CHUNK = 4_000  # pieces per query of the spatial index
_PLACES = 9  # in each direction, where the scale of the grid is measured
_ROUNDING = 1e-9  # relative; a distance that equals the gap is not nearer


def near_regions(geometry: Polygons, grid: Grid, gap: float) -> tuple[int, Int64Array]:
    """Groups of regions that are nearer to each other than `gap` metres, or pixels without a CRS, in a chain.

    Returns
    -------
    tuple
        The number of groups, and the group of every region, numbered in the order of their first regions.
    """
    middle, shrink = _metres_at_middle(grid)
    pieces, owner = _outline_pieces(geometry)
    flat = shapely.transform(pieces, lambda points: transform_points(points, middle))
    tree = shapely.STRtree(flat)
    group, count = np.arange(len(geometry)), len(geometry)
    for start in range(0, len(flat), _CHUNK):
        one, other = tree.query(
            flat[start : start + _CHUNK], predicate="dwithin", distance=gap / shrink * (1 + 1e-6)
        )
        one = one + start
        apart = group[owner[one]] < group[owner[other]]
        one, other = one[apart], other[apart]
        near = _distances(flat[one], flat[other], middle, grid) < gap * (1 - _ROUNDING)
        edges = owner[one[near]], owner[other[near]]
        # What is known of the earlier pieces takes one edge per region.
        first = np.unique(group, return_index=True)[1]
        count, group = connected_components(
            len(geometry),
            np.concatenate([first[group], edges[0]]),
            np.concatenate([np.arange(len(geometry)), edges[1]]),
        )
    return count, group


def merged_parts(geometry: Polygons, group: Int64Array, count: int) -> Polygons:
    """The parts of each merged feature as one MultiPolygon, (count,); in order of their first pixels."""
    order = np.argsort(group, kind="stable")
    merged = np.empty(count, np.object_)
    if count:
        merged[:] = shapely.multipolygons(geometry[order], indices=group[order])
    return merged


def _metres_at_middle(grid: Grid) -> tuple[Affine, float]:
    """From CRS units to metres (or pixels) by the scale in the middle; how much shorter a metre may be."""
    t = grid.transform
    if grid.crs is None:
        return ~t, 1.0
    cols, rows = np.meshgrid(np.linspace(0, grid.width, _PLACES), np.linspace(0, grid.height, _PLACES))
    places = np.stack(t @ np.array([cols.ravel(), rows.ravel()]), axis=1)
    jacobians = Ground.of(grid.crs).jacobians(places)
    centre = jacobians[len(places) // 2]
    shrink = np.linalg.svd(jacobians @ np.linalg.inv(centre), compute_uv=False)[:, -1].min()
    (a, b), (d, e) = centre
    return Affine(a, b, 0, d, e, 0), max(float(shrink), 1e-3)


def _outline_pieces(geometry: Polygons) -> tuple[Polygons, Int64Array]:
    """Outlines of regions to merge as short lines, and the region of each."""
    _, points, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(geometry)
    edges = np.diff(ring_offsets) - 1
    number = -(-edges // _PIECE)
    ring = np.repeat(np.arange(edges.size), number)
    within = np.arange(ring.size) - np.repeat(np.cumsum(number) - number, number)
    start = ring_offsets[ring] + within * _PIECE
    length = np.minimum(_PIECE, edges[ring] - within * _PIECE) + 1
    offsets = np.concatenate([[0], np.cumsum(length)])
    index = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], length)
    lines = shapely.from_ragged_array(shapely.GeometryType.LINESTRING, points[index], (offsets,))
    region = np.repeat(np.arange(len(geometry)), np.diff(polygon_offsets))
    return np.asarray(lines), region[ring]


def _distances(one: Polygons, other: Polygons, middle: Affine, grid: Grid) -> Float64Array:
    """Distances on the ground between pieces of outlines to merge, (n,)."""
    if one.size == 0:
        return np.empty(0)
    if grid.crs is None:
        return np.asarray(shapely.distance(one, other))
    ends = shapely.get_coordinates(shapely.shortest_line(one, other))
    start, end = transform_points(ends, ~middle).reshape(-1, 2, 2).transpose(1, 0, 2)
    steps = np.einsum("nij,nj->ni", Ground.of(grid.crs).jacobians((start + end) / 2), end - start)
    return np.asarray(np.hypot(steps[:, 0], steps[:, 1]))
