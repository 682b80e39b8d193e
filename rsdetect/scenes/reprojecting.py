"""Reprojecting outlines into another CRS, each on its own and whole."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from rsdetect.scenes.projecting import cut_at_180

_LONGEST_EDGE_M = 1000.0  # of a reprojected outline; at 1 km the deviation is centimetres
_METRES_A_DEGREE = 111_000.0
_POLYGON = 3  # shapely's type number


@lru_cache(maxsize=64)
def transformer(source: CRS, target: CRS) -> Transformer:
    """Transformer between two CRSs, x before y."""
    return Transformer.from_crs(source, target, always_xy=True)


def reprojected(geometry: NDArray[np.object_], source: CRS, target: CRS) -> NDArray[np.object_]:
    """Reprojected outlines: in another CRS, cut at 180 degrees if it is geographic.

    Long edges get vertices, because straight lines do not stay straight.
    """
    if source == target:
        return geometry
    longest = _LONGEST_EDGE_M
    longest /= _METRES_A_DEGREE if source.is_geographic else source.axis_info[0].unit_conversion_factor
    there = transformer(source, target)
    dense = shapely.segmentize(geometry, longest)
    moved: NDArray[np.object_] = shapely.transform(
        dense, lambda xy: np.column_stack(there.transform(xy[:, 0], xy[:, 1]))
    )
    if target.is_geographic:
        across = np.ptp(shapely.bounds(moved)[:, ::2], axis=1) > 180
        moved[across] = cut_at_180(
            shapely.transform(
                moved[across], lambda xy: xy + np.column_stack([360 * (xy[:, 0] < 0), 0 * xy[:, 0]])
            )
        )
    return moved


def only_polygons(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    """The polygons among the parts of each geometry, (n,); lines and points have no area."""
    kinds = shapely.get_type_id(geometry)
    mixed = np.flatnonzero((kinds != _POLYGON) & (kinds != shapely.GeometryType.MULTIPOLYGON))
    cleaned = geometry.copy()
    for index in mixed:
        parts = shapely.get_parts(shapely.get_parts(geometry[index]))
        polygons = parts[shapely.get_type_id(parts) == _POLYGON]
        cleaned[index] = polygons[0] if len(polygons) == 1 else shapely.multipolygons(polygons)
    return cleaned
