"""Outlines on pages: polygons as SVG paths, simplified until they are small enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray


def svg_path(area: Any, *, digits: int = 1) -> str:
    """SVG path of a polygon or multipolygon, holes too; by relative steps, which are short.

    >>> svg_path(shapely.box(10, 20, 12.5, 24))
    'm12.5,20 0,4 -2.5,0 0,-4z'
    """
    rings = [ring for part in shapely.get_parts(area) for ring in (part.exterior, *part.interiors)]
    parts: list[str] = []
    scale = 10**digits
    here = np.zeros(2, np.int64)
    for ring in rings:
        points = np.rint(shapely.get_coordinates(ring)[:-1] * scale).astype(np.int64)
        if len(points) == 0:
            continue
        # After z, a path is where its last ring began.
        steps = np.diff(np.concatenate([here[None], points]), axis=0) / scale
        parts.append("m" + " ".join(f"{x:g},{y:g}" for x, y in steps.tolist()) + "z")
        here = points[0]
    return "".join(parts)


def simplified(areas: NDArray[np.object_], most_points: int, tolerance: float) -> NDArray[np.object_]:
    """Polygons with at most `most_points` corners in all, where simplifying can do it.

    Parameters
    ----------
    tolerance
        Distance by which the first try may move an outline; each further try takes four times more. A polygon
        of which nothing remains is drawn as its box.
    """
    found, allowed = areas, tolerance
    while int(shapely.get_num_coordinates(found).sum()) > most_points:
        found = shapely.simplify(areas, allowed, preserve_topology=False)
        gone = shapely.is_empty(found)
        found[gone] = shapely.box(*shapely.bounds(areas[gone]).T)
        if allowed > 1e6:
            break
        allowed *= 4
    return found


def clipped(area: Any, box: Sequence[float]) -> Any:
    """The part of a polygon in a box (west, south, east, north): a polygon or multipolygon, perhaps empty."""
    inside = shapely.clip_by_rect(area, *box)
    if shapely.get_type_id(inside) in (3, 6):
        return inside
    parts = [each for each in shapely.get_parts(inside) if shapely.get_type_id(each) == 3]
    return shapely.multipolygons(parts) if parts else shapely.MultiPolygon()
