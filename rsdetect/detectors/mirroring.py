"""Mirroring at the edge of the scene, so that a network sees ground beyond it instead of zeros.

Only pixels beyond the raster are mirrored. Those outside of a tile are read, and those outside of an area of
interest or without data stay 0.
"""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Float32Array


def mirror(dates: Float32Array, axis: int, first: int, length: int, reach: int) -> None:
    """Mirror an axis of normalised dates at both edges of the scene, in place.

    Parameters
    ----------
    first
        Position of the first row or column in the scene; negative before its edge.
    length
        Rows or columns of the scene.
    reach
        Pixels beyond the edge that are mirrored, at most `length`, where `dates` has their source.

    >>> line = np.array([0, 0, 0, 1, 2, 3, 4, 0], np.float32)
    >>> mirror(line, 0, first=-3, length=4, reach=2)
    >>> line.tolist()
    [0.0, 2.0, 1.0, 1.0, 2.0, 3.0, 4.0, 4.0]
    """
    along = np.moveaxis(dates, axis, 0)
    available = len(along)
    reach = min(reach, length)
    edge = -first  # index of the scene's first row
    if 0 < edge < available:
        count = min(reach, edge, available - edge)
        along[edge - count : edge] = along[edge : edge + count][::-1]
    edge += length  # index after its last row
    if 0 < edge < available:
        count = min(reach, edge, available - edge)
        along[edge : edge + count] = along[edge - count : edge][::-1]


class BottomEdge:
    """Bottom edge of the scene in a strip of rows: mirrors rows that earlier pushes held."""

    def __init__(self, length: int, reach: int) -> None:
        self._length, self._reach = length, min(reach, length)
        self._kept: Float32Array | None = None  # last `reach` rows of the scene

    def mirror(self, dates: Float32Array, first: int) -> None:
        """Mirror the next rows of normalised dates, (..., rows, columns) from row `first`, in place."""
        end, low = first + dates.shape[-2], self._length - self._reach
        if end <= low:
            return
        if self._kept is None:
            self._kept = np.zeros((*dates.shape[:-2], self._reach, dates.shape[-1]), np.float32)
        start, stop = max(first, low), min(end, self._length)
        if start < stop:
            self._kept[..., start - low : stop - low, :] = dates[..., start - first : stop - first, :]
        start, stop = max(first, self._length), min(end, self._length + self._reach)
        if start < stop:
            rows = 2 * self._length - 1 - low - np.arange(start, stop)
            dates[..., start - first : stop - first, :] = self._kept[..., rows, :]
