"""Options of two periods of scenes, validated on creation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, get_args

from rsdetect.catalogue.period import Period
from rsdetect.errors import InputError
from rsdetect.jobs.options import DetectKeywords
from rsdetect.scenes.pair import PairKeywords

Pick = Literal["composite", "least-cloud"]
PICKS: tuple[str, ...] = get_args(Pick)


class PeriodKeywords(TypedDict, total=False):
    """Keywords of `PeriodOptions`, for typed calls."""

    stac: str | None
    collection: str | None
    scenes: str | Path | None
    before_period: str
    after_period: str
    pick: Pick


class ListPeriodsKeywords(PeriodKeywords, PairKeywords, total=False):
    """Keywords of `list_periods`."""


class DetectPeriodsKeywords(PeriodKeywords, DetectKeywords, total=False):
    """Keywords of `detect_periods`."""


@dataclass(frozen=True, kw_only=True)
class PeriodOptions:
    """Options of two periods: where their scenes are, and what is taken of them."""

    stac: str | None = None  # URL or path of a catalogue
    collection: str | None = None  # of the catalogue; None = all
    scenes: str | Path | None = None  # instead of a catalogue: pattern of local files and products
    before_period: str = ""
    after_period: str = ""
    pick: Pick = "composite"  # median of the clear observations, or the scene with the largest clear share

    def __post_init__(self) -> None:
        if (self.stac is None) == (self.scenes is None):
            raise InputError("scenes of periods come from `stac` or from `scenes`; give one of the two.")
        if self.collection is not None and self.stac is None:
            raise InputError("`collection` is one of a catalogue; give `stac` with it.")
        if self.pick not in PICKS:
            raise InputError(f"`pick` {self.pick!r} is unknown; choose one of {', '.join(PICKS)}.")
        for name in ("before_period", "after_period"):
            if not getattr(self, name):
                raise InputError(f"`{name}` is missing; write 2023-05/2023-09.")
        before, after = self.periods.values()
        if after.first <= before.last:
            raise InputError(f"`after_period` {after} begins before `before_period` {before} has ended.")

    @property
    def periods(self) -> dict[str, Period]:
        """Both periods, as "before" and "after"."""
        return {
            "before": Period.parse("before_period", self.before_period),
            "after": Period.parse("after_period", self.after_period),
        }

    @property
    def place(self) -> str:
        """The catalogue or the pattern, for messages."""
        return str(self.stac if self.stac is not None else self.scenes)
