"""Holes of regions: small ones are filled, and regions inside of them join the region around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from rsdetect.arraytypes import BoolArray, Float64Array, Int64Array
from rsdetect.grid import Grid
from rsdetect.regions.areas import measure
from rsdetect.regions.connected import connected_components
from rsdetect.regions.simplify import Polygons


@dataclass(frozen=True)
class FilledHoles:
    """Filled holes of n regions, and the m regions that remain."""

    geometry: Polygons  # (m,) without the filled holes
    group: Int64Array  # (n,) which of the m regions each one belongs to
    pixels: Int64Array  # (m,) pixels of the grid in the filled holes, those of joined regions included


def fill_small_holes(geometry: Polygons, inner: Float64Array, grid: Grid, below: float) -> FilledHoles:
    """Fill the holes of regions whose area is below `below` m2, or pixels without a CRS.

    Parameters
    ----------
    geometry
        (n,) pixel outlines in the order of their first pixels.
    inner
        (n, 2) a point inside each of them.
    """
    rings, owner = shapely.get_rings(geometry, return_index=True)
    is_hole = np.diff(owner, prepend=-1) == 0  # the outer ring of a polygon is its first
    holes = shapely.polygons(rings[is_hole])
    pixels = np.rint(shapely.area(holes) / grid.pixel_area).astype(np.int64)
    area = pixels if grid.crs is None else measure(holes, grid.crs)[0]
    small = area < below
    kept = ~is_hole
    kept[np.flatnonzero(is_hole)[~small]] = True
    holes, pixels, around = holes[small], pixels[small], owner[is_hole][small]
    # A region inside a filled hole joins the one around it, which comes first.
    island, hole = shapely.STRtree(holes).query(shapely.points(inner), predicate="within")
    outermost = np.ones(len(geometry), np.bool_)
    outermost[island] = False
    count, group = connected_components(len(geometry), around[hole], island)
    filled = np.bincount(group[around], weights=np.where(outermost[around], pixels, 0), minlength=count)
    return FilledHoles(_with_rings(geometry, kept)[outermost], group, filled.astype(np.int64))


def _with_rings(geometry: Polygons, kept: BoolArray) -> Polygons:
    """The polygons of regions with some of their rings: all outer ones, and the holes that are kept."""
    kind, points, (ring_offsets, polygon_offsets) = shapely.to_ragged_array(geometry)
    length = np.diff(ring_offsets)
    points = points[np.repeat(kept, length)]
    rings_before = np.concatenate([[0], np.cumsum(kept)])
    return np.asarray(
        shapely.from_ragged_array(
            kind,
            points,
            (np.concatenate([[0], np.cumsum(length[kept])]), rings_before[polygon_offsets]),
        )
    )
