"""Changes planted into a simulated time series: place, kind, first and last date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation

from rsdetect.arraytypes import BoolArray, Float64Array
from rsdetect.errors import InputError
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.time_series_land import SeriesLand
from rsdetect.simulation.time_series_spec import SeriesSpec

# Reflectance of the ground after a change; the last kind is for woods only.
_KINDS = {
    "built up": (0.27, 0.28, 0.31, 0.36),
    "greenhouses": (0.34, 0.34, 0.34, 0.38),
    "quarry": (0.30, 0.33, 0.37, 0.41),
    "car park": (0.31, 0.32, 0.34, 0.37),
    "cleared": (0.24, 0.28, 0.33, 0.37),
}
_FLOOD = (0.03, 0.035, 0.025, 0.015)
_EDGES_PX = (9, 17)  # least and greatest edge of the rectangle of a change
_GAP_PX = 6  # unchanged ground between two changes
_TRIES = 4000


@dataclass(frozen=True)
class PlantedChange:
    """Change planted into a time series, a part of its ground truth."""

    kind: str
    first: int  # index of the first date that shows it
    end: int | None  # index of the first date that no longer shows it; None = permanent
    where: BoolArray  # (height, width)

    def is_there(self, number: int) -> bool:
        """True when the planted change is visible on the date with this index."""
        return self.first <= number and (self.end is None or number < self.end)

    @property
    def reflectance(self) -> Float64Array:
        """Reflectance of the changed ground, (4, 1)."""
        return np.array(_KINDS.get(self.kind, _FLOOD))[:, None]


def plant_changes(spec: SeriesSpec, land: SeriesLand, rng: Draws) -> tuple[PlantedChange, ...]:
    """Plant changes and floods into a time series, apart from each other, on dates after the quiet ones."""
    taken = land.water | land.village
    last = len(spec.dates) - 1
    spread = np.linspace(spec.quiet, max(spec.quiet, last - 4), spec.changes + spec.floods).round()
    firsts = rng.permutation(spread).astype(int)
    kinds = ["flood"] * spec.floods + [list(_KINDS)[i % len(_KINDS)] for i in range(spec.changes)]
    planted = []
    for kind, first in zip(kinds, firsts.tolist(), strict=True):
        where = _find_change_site(land.wood == (kind == "cleared"), taken, rng)
        taken |= binary_dilation(where, iterations=_GAP_PX)
        end = None
        if kind == "flood":
            first = min(first, max(spec.quiet, last - 7))
            end = first + rng.integers(3, 6)
        planted.append(PlantedChange(kind, first, end, where))
    return tuple(planted)


def _find_change_site(suited: BoolArray, taken: BoolArray, rng: Draws) -> BoolArray:
    """Site of a planted change: a random rectangle of `suited` ground, not `taken`; (height, width)."""
    size = taken.shape[0]
    for _ in range(_TRIES):
        height, width = rng.integers(*_EDGES_PX), rng.integers(*_EDGES_PX)
        if max(height, width) >= size - 8:
            continue
        row, col = rng.integers(4, size - 4 - height), rng.integers(4, size - 4 - width)
        place = slice(row, row + height), slice(col, col + width)
        if suited[place].mean() > 0.9 and not taken[place].any():
            where = np.zeros(taken.shape, dtype=bool)
            where[place] = True
            return where
    raise InputError(f"a site of {size} x {size} pixels has no room for so many changes; make it larger.")
