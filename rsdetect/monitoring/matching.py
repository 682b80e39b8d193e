"""Do a region and an event belong together?"""

from __future__ import annotations

from typing import Any

LEAST_OVERLAP = 0.25  # share of the smaller area
LEAST_BORDER = 0.125  # share of the shorter outline
# Share of the larger area that the smaller one has: nothing grows tenfold between two dates. Where a whole
# district turns green, the building site in it stays an event of its own.
LEAST_SIZE = 0.1


def belongs(region: Any, extent: Any) -> bool:
    """True when a region covers ground of an event, or adjoins it as what grew there does.

    Both are outlines of pixels in one CRS, so that what adjoins shares edges exactly.

    >>> from shapely import box
    >>> belongs(box(0, 0, 4, 4), box(2, 0, 9, 9)), belongs(box(0, 0, 4, 4), box(3, 3, 9, 9))
    (True, False)
    >>> belongs(box(0, 0, 1, 1), box(0, 0, 9, 9))
    False
    >>> belongs(box(0, 0, 4, 2), box(4, 0, 8, 4)), belongs(box(0, 0, 4, 4), box(4, 4, 8, 8))
    (True, False)
    """
    if not region.intersects(extent):
        return False
    smaller, larger = sorted((region.area, extent.area))
    if smaller < LEAST_SIZE * larger:
        return False
    if region.intersection(extent).area >= LEAST_OVERLAP * smaller:
        return True
    border = region.boundary.intersection(extent.boundary).length
    return bool(border >= LEAST_BORDER * min(region.length, extent.length))
