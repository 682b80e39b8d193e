"""Extent of a job: the limit of its pixels, and the disk space they need."""

from __future__ import annotations

from pathlib import Path

from rsdetect.errors import InputError, JobInterrupted
from rsdetect.files import free_bytes
from rsdetect.grid import Grid

MOST_PIXELS = 2**38  # 500 000 x 500 000: a continent at 10 m
# Of the tiles, of the plain raster and of the finished one, each compressed: from less than 0.1 where nothing
# changes to 2 where everything is noise.
_BYTES_A_PIXEL = 0.5
_TOO_LITTLE_TO_ASK = 16 * 2**20  # bytes
_GIB = 2**30


def require_plausible(grid: Grid, *scenes: str) -> None:
    """Raise for an extent that no job can finish.

    Raises
    ------
    InputError
        It has more than `MOST_PIXELS` pixels.
    """
    pixels = grid.height * grid.width
    if pixels > MOST_PIXELS:
        raise InputError(
            f"{' and '.join(scenes)} share {grid.width:,} x {grid.height:,} pixels; a result of that size "
            f"would take about {_bytes_needed(grid) / _GIB:,.0f} GiB. Give an area of interest with `aoi`, "
            "or scenes cut to it."
        )


def require_room(grid: Grid, folder: Path) -> None:
    """Raise for a job whose results exceed the free disk space.

    Raises
    ------
    JobInterrupted
        The disk of `folder` has too little free space.
    """
    needed = _bytes_needed(grid)
    free = free_bytes(folder)
    if needed < _TOO_LITTLE_TO_ASK or free is None or free >= needed:
        return
    raise JobInterrupted(
        f"{folder}: {free / _GIB:,.2f} GiB are free, and {grid.width:,} x {grid.height:,} pixels need about "
        f"{needed / _GIB:,.2f} GiB; free some, choose another folder, or give an area of interest with `aoi`."
    )


def _bytes_needed(grid: Grid) -> float:
    return grid.height * grid.width * _BYTES_A_PIXEL
