"""Land classes and kinds of change: their codes and names, and the kind that a pair of classes makes."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import UInt8Array


class Land(IntEnum):
    """Land class of a pixel on one date."""

    UNKNOWN = 0
    TREES = 1
    LOW_VEGETATION = 2  # grass, crops, shrubs
    BARE = 3  # soil, sand, gravel, stubble
    BUILT = 4  # buildings, roads, yards, panels, greenhouses
    WATER = 5
    SNOW = 6
    BURNT = 7


class Kind(IntEnum):
    """Kind of change of a pixel or region; the values of the raster's second band."""

    NONE = 0  # no change; in the raster only
    VEGETATION_LOSS = 1
    VEGETATION_GAIN = 2
    WATER_GAIN = 3
    WATER_LOSS = 4
    BUILT = 5
    OPENED_GROUND = 6
    BURNT = 7
    SNOW = 8
    OTHER = 9
    UNKNOWN = 10


LAND_NAMES = (
    "unknown",
    "trees",
    "low vegetation",
    "bare ground",
    "built or sealed",
    "water",
    "snow or ice",
    "burnt ground",
)
KIND_NAMES = (
    "no change",
    "vegetation loss",
    "vegetation gain",
    "water gain",
    "water loss",
    "built or sealed",
    "opened ground",
    "burnt",
    "snow or ice",
    "other",
    "unknown",
)


def _kind(before: Land, after: Land) -> Kind:
    """Kind of change of a pair of classes; what is there afterwards decides first."""
    if Land.UNKNOWN in (before, after):
        return Kind.UNKNOWN
    if before is after and after not in (Land.BUILT, Land.BARE):
        return Kind.OTHER
    if Land.SNOW in (before, after):
        return Kind.SNOW
    if after is Land.WATER:
        return Kind.WATER_GAIN
    if before is Land.WATER:
        return Kind.WATER_LOSS
    if after in (Land.BUILT, Land.BURNT):
        return Kind.BUILT if after is Land.BUILT else Kind.BURNT
    if before is Land.TREES:
        return Kind.VEGETATION_LOSS
    return Kind.OPENED_GROUND if after is Land.BARE else Kind.VEGETATION_GAIN


# (from, to) Kind
KIND_OF: UInt8Array = np.array([[_kind(before, after) for after in Land] for before in Land], np.uint8)
KIND_OF.flags.writeable = False
PAIR_CODES = KIND_OF.size


def pair_codes(before: NDArray[np.integer], after: NDArray[np.integer]) -> UInt8Array:
    """Codes of pairs of land classes, one byte each, any shape.

    >>> pair_codes(np.array([Land.TREES]), np.array([Land.BUILT]))
    array([12], dtype=uint8)
    """
    return (before * len(Land) + after).astype(np.uint8)


def kinds_of_codes(codes: NDArray[np.integer]) -> UInt8Array:
    """Kinds of pair codes, any shape.

    >>> KIND_NAMES[int(kinds_of_codes(np.array([12]))[0])]
    'built or sealed'
    """
    return np.asarray(KIND_OF.reshape(-1)[codes])
