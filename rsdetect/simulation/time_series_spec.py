"""Specification of a simulated time series: dates, size, number of changes, clouds, seasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from rsdetect.arraytypes import Float64Array


@dataclass(frozen=True, kw_only=True)
class SeriesSpec:
    """Specification of a simulated time series. Equal specifications give equal pixels."""

    dates: tuple[date, ...]  # in order
    size: int = 192  # height and width in pixels
    seed: int = 0
    changes: int = 3  # permanent changes
    floods: int = 0  # that recede after three to five dates
    quiet: int = 1  # number of first dates without a change
    cloudy: float = 1 / 3  # share of the dates with clouds; the first is always clear
    season: float = (
        1.0  # amplitude of the seasonal cycle of fields and woods, 0 to 1; 0 = constant, half green
    )

    def follow(self, greenness: Float64Array) -> Float64Array:
        """Scale a seasonal `greenness` around one half by the amplitude `season`."""
        return 0.5 + self.season * (greenness - 0.5)
