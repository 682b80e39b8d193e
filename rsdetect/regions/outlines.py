"""Outlines of regions: from the corners of pieces to polygons, for many regions at once without a loop.

Along every grid line the corners come in pairs: an edge connects the first and second, the third and fourth,
and so on. The pairs of the rows and of the columns together link every corner to its two neighbours, in any
block, and following the links gives the rings.

Where two inside pixels meet diagonally, the point exists twice. If the pixels belong to different regions,
each outline turns around its own pixel. If they belong to one region, the outlines turn around the two
*outside* pixels instead: the region closes a loop there, so that those two are on different sides of it, and
the hole gets a ring of its own that touches the other ring in a point. No ring passes through a point twice,
so every polygon is valid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.regions.connected import cycles

# Position of a pixel relative to a corner point: twice "right" plus "lower", so that left sorts before right,
# and the two pixels of a diagonal add up to 3.
UPPER_LEFT, LOWER_LEFT, UPPER_RIGHT, LOWER_RIGHT = 0, 1, 2, 3


@dataclass(frozen=True)
class Corners:
    """Corners of outlines: points where an outline turns, or may turn as far as one block shows.

    A point where two inside pixels meet diagonally exists twice, once for each pixel. The dtypes are small
    because the corners that wait for adjacent blocks dominate the memory of tracing.
    """

    row: NDArray[np.int32]  # (n,) grid line, counted from the raster's upper edge
    col: NDArray[np.int32]  # (n,) likewise from its left edge
    pixel: NDArray[np.int8]  # (n,) which of the four pixels around the point: an inside one
    owner: Int64Array  # (n,) piece, later region, of this pixel

    def __getitem__(self, chosen: NDArray[np.bool_] | Int64Array) -> Corners:
        return Corners(self.row[chosen], self.col[chosen], self.pixel[chosen], self.owner[chosen])

    def renumbered(self, owner: Int64Array) -> Corners:
        """Corners of outlines with other owner numbers."""
        return replace(self, owner=owner)

    @staticmethod
    def joined(parts: Sequence[Corners]) -> Corners:
        """Concatenate corners of outlines from several parts, at least one."""
        return Corners(
            row=np.concatenate([part.row for part in parts]),
            col=np.concatenate([part.col for part in parts]),
            pixel=np.concatenate([part.pixel for part in parts]),
            owner=np.concatenate([part.owner for part in parts]),
        )


@dataclass(frozen=True)
class Outlines:
    """Outlines of regions in pixel coordinates, in row-major order of the regions' first pixels."""

    points: NDArray[np.int32]  # (n, 2) column and row; rings are closed
    ring_offsets: Int64Array  # (rings + 1,) start of each ring in `points`
    polygon_offsets: (
        Int64Array  # (regions + 1,) where in `ring_offsets` each region starts: outer ring, holes
    )
    region: Int64Array  # (regions,) number of the region

    def first_points(self) -> NDArray[np.int32]:
        """(regions, 2) column and row of the upper left corner of each region's first pixel."""
        return self.points[self.ring_offsets[self.polygon_offsets[:-1]]]

    def polygons(self, transform: Affine) -> NDArray[np.object_]:
        """(regions,) valid, normalized shapely Polygons of the outlines; `transform` maps (column, row)."""
        points, offsets = transform_points(self.points, transform), (self.ring_offsets, self.polygon_offsets)
        polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, offsets)
        return np.asarray(shapely.normalize(polygons))


def transform_points(points: Float64Array | NDArray[np.int32], transform: Affine) -> Float64Array:
    """Transform (n, 2) points of outlines by an affine transform."""
    x, y = points.T
    t = transform
    return np.stack([t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f], axis=1)


def trace_outlines(corners: Corners) -> Outlines:
    """Trace the outlines of regions by linking their corners.

    Parameters
    ----------
    corners
        All corners of these regions from all blocks, at least one, in any order.
    """
    nodes = _merge_corners(corners)
    order, starts = cycles(_next_corners(nodes))
    # The first corner of a region is on its outer ring, so that sorting by the ring's first corner puts
    # the outer ring before the holes, and regions in the order of their first pixels.
    ring_region = nodes.owner[order[starts]]
    regions, first_ring, region_rank = np.unique(ring_region, return_index=True, return_inverse=True)
    appearance = first_ring[region_rank]
    by_region = np.argsort(appearance, kind="stable")
    corner, ring_offsets = _closed_rings(order, starts, by_region)
    new_polygon = np.flatnonzero(np.diff(appearance[by_region], prepend=-1))
    return Outlines(
        points=np.stack([nodes.col[corner], nodes.row[corner]], axis=1),
        ring_offsets=ring_offsets,
        polygon_offsets=np.append(new_polygon, by_region.size),
        region=regions[np.argsort(first_ring)],
    )


def _merge_corners(corners: Corners) -> Corners:
    """Merge corners of several blocks at one point, and drop those where the outline does not turn."""
    width = int(corners.col.max()) + 1
    place = (corners.row.astype(np.int64) * width + corners.col) * 4 + corners.pixel
    by_place = np.argsort(place)
    nodes, point = corners[by_place], place[by_place] // 4
    first = np.flatnonzero(np.diff(point, prepend=-1))
    count = np.diff(np.append(first, point.size))
    keep = np.zeros(point.size, np.bool_)
    # One pixel: a corner. Three, where four blocks meet: the same corner, seen from the missing pixel.
    keep[first[(count == 1) | (count == 3)]] = True
    # Two: a diagonal contact, or two adjacent pixels with a straight outline.
    pair = first[count == 2]
    pair = pair[nodes.pixel[pair] + nodes.pixel[pair + 1] == 3]
    keep[pair] = True
    keep[pair + 1] = True
    return nodes[keep]


def _next_corners(nodes: Corners) -> Int64Array:
    """Next corner of the outline for every corner, with the region on the right."""
    index = np.arange(nodes.row.size)
    goes_right = index % 2 == 0
    in_row = index ^ 1
    # Of two nodes at one point, the one whose vertical edge leads up comes first in the column.
    height = int(nodes.row[-1]) + 1
    column_key = (nodes.col.astype(np.int64) * height + nodes.row) * 2 + _leads_down_at_contact(nodes)
    by_column = np.argsort(column_key)
    in_column, goes_down = np.empty_like(index), np.empty_like(goes_right)
    in_column[by_column[0::2]], in_column[by_column[1::2]] = by_column[1::2], by_column[0::2]
    goes_down[by_column[0::2]], goes_down[by_column[1::2]] = True, False
    # The two edges of a corner enclose one of the four pixels. If that one is inside, the corner is convex.
    convex = 2 * goes_right + goes_down == nodes.pixel
    inside_is_below = goes_down == convex
    return np.where(goes_right == inside_is_below, in_row, in_column)


def _leads_down_at_contact(nodes: Corners) -> Int64Array:
    """For both outline corners of a diagonal contact: 1 where the vertical edge leads down. Else 0."""
    same_point = (nodes.row[1:] == nodes.row[:-1]) & (nodes.col[1:] == nodes.col[:-1])
    left = np.flatnonzero(same_point)
    one_region = nodes.owner[left] == nodes.owner[left + 1]
    leads_down = np.zeros(nodes.row.size, np.int64)
    # The left node has the edge to the left. Around its own pixel, the edge leads to that pixel's side;
    # around the outside pixel, to the other side. The right node likewise.
    for node in (left, left + 1):
        leads_down[node] = (nodes.pixel[node] % 2 == 1) != one_region
    return leads_down


def _closed_rings(order: Int64Array, starts: Int64Array, rings: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Concatenated corners of the outlines `rings`, each with its first corner repeated at its end."""
    length = np.diff(np.append(starts, order.size))[rings] + 1
    offsets = np.concatenate(([0], np.cumsum(length)))
    position = np.arange(offsets[-1]) + np.repeat(starts[rings] - offsets[:-1], length)
    position[offsets[1:] - 1] = starts[rings]
    return order[position], offsets
