"""Specification of a simulated scene pair, and the rendered result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, UInt8Array
from rsdetect.errors import InputError
from rsdetect.simulation.imaging.sensors import SENSORS, Sensor
from rsdetect.validation import number, settle_sequences

KINDS = {kind: sensor.bands for kind, sensor in SENSORS.items()}  # the names of each kind's bands
MAX_SHIFT_PX = 4.0


class ChangeKind(IntEnum):
    """Kind of change on the ground; the values of `Rendered.kind`."""

    NONE = 0
    BUILDING_NEW = 1
    BUILDING_REMOVED = 2
    ROAD = 3  # a new road or street
    CLEARED = 4  # trees removed
    PLANTED = 5  # new trees
    WATER = 6  # flooded, dammed, dug or dried up
    EARTHWORK = 7  # opened ground, quarry, building site
    SOLAR = 8
    GREENHOUSE = 9
    PAVED = 10  # yard, car park
    BUILT_UP = 11  # ground between the buildings of a new settlement
    CLEARANCE = 12  # a settlement or yard that became open land
    BURNT = 13


class SceneKeywords(TypedDict, total=False):
    """Keywords of `SceneSpec`, for typed calls."""

    kind: str
    height: int
    width: int
    seed: int
    gsd_m: float | None
    change: float
    cloud: float
    shift_px: tuple[float, float] | None
    nodata_edge: bool
    contrast: float


@dataclass(frozen=True, kw_only=True)
class SceneSpec:
    """Specification of a simulated pair. Equal specs give equal pixels; the rest follows from `seed`."""

    kind: str = "vhr"  # one of `SENSORS`
    height: int = 1024  # pixels
    width: int = 1024  # pixels
    seed: int = 0
    gsd_m: float | None = None  # ground size of a pixel; None = typical of the kind
    change: float = 0.08  # share of the ground to change, 0 to 0.5; small scenes deviate by chance
    cloud: float = 0.04  # share of each date under thick cloud, 0 to 0.6; its shadow comes on top
    shift_px: tuple[float, float] | None = (
        None  # (rows, columns) after is moved down and right; None = random
    )
    nodata_edge: bool = False  # slanted swath edges without data
    contrast: float = 1.0  # how much tone, season and light of the dates may differ; 0 = equal

    def __post_init__(self) -> None:
        settle_sequences(self, shift_px=number)
        if self.kind not in KINDS:
            raise InputError(f"Scene kind {self.kind!r} is not known; choose one of {', '.join(KINDS)}.")
        if self.height < 1 or self.width < 1:
            raise InputError(
                f"A scene of {self.height} x {self.width} pixels has no pixel; ask for 1 x 1 at least."
            )
        if self.seed < 0:
            raise InputError(f"Seed {self.seed} is negative; give 0 or a positive number.")
        for name, value, top in (("change", self.change, 0.5), ("cloud", self.cloud, 0.6)):
            if not 0 <= value <= top:
                raise InputError(f"Option {name} is {value}; it is a share between 0 and {top}.")
        if not 0 <= self.contrast <= 3:
            raise InputError(f"Option contrast is {self.contrast}; give a number between 0 and 3.")
        if not 0.1 <= self.ground_m <= 60:
            raise InputError(f"A pixel of {self.ground_m} m cannot be simulated; give 0.1 to 60 m.")
        if self.shift_px is not None and len(self.shift_px) != 2:
            raise InputError(f"shift_px takes two numbers, rows and columns, and got {len(self.shift_px)}.")
        if self.shift_px is not None and not all(abs(s) <= MAX_SHIFT_PX for s in self.shift_px):
            raise InputError(f"A shift of {self.shift_px} px is too large; stay within {MAX_SHIFT_PX:g} px.")

    @property
    def sensor(self) -> Sensor:
        """Sensor of the scenes."""
        return SENSORS[self.kind]

    @property
    def ground_m(self) -> float:
        """Ground size of a pixel in metres."""
        return self.sensor.gsd_m if self.gsd_m is None else self.gsd_m

    @property
    def bands(self) -> tuple[str, ...]:
        """Band names of the scenes, in order."""
        return self.sensor.bands

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Data type of the scenes' digital numbers."""
        return self.sensor.dtype


@dataclass(frozen=True)
class Rendered:
    """Rendered window of a simulated pair. Nodata pixels are 0 in every band; all others are at least 1.

    The truth describes the ground on the grid of `before`, also under clouds; `after` is displaced from it by
    the pair's shift.
    """

    before: NDArray[np.generic]  # (bands, height, width), uint8 or uint16
    after: NDArray[np.generic]  # (bands, height, width), likewise
    truth: UInt8Array  # (height, width); 1 = changed
    kind: UInt8Array  # (height, width); `ChangeKind`, 0 where not changed
    cloud_before: BoolArray  # (height, width); True = thick cloud or its shadow
    cloud_after: BoolArray  # (height, width), likewise
    shadow_before: BoolArray  # (height, width); True = cloud shadow in cloud_before
    shadow_after: BoolArray  # (height, width), likewise
    land_before: UInt8Array  # (height, width); true classes of `rsdetect.kinds.classes.Land`
    land_after: UInt8Array  # (height, width), likewise
