"""Contestants of a comparison of detectors: opened, fitted, and scored side by side over shared reads.

What is wrong with one detector (its bands, its model, its scores) ends this one alone. What is wrong with the
scenes ends all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from rsdetect.checks.scan import Scan
from rsdetect.checks.settle import open_settled
from rsdetect.detectors import Detector, Scorer, choose_device, make_detector
from rsdetect.detectors.fitting import fit_detector
from rsdetect.detectors.identity import describe
from rsdetect.detectors.normalise import normalise
from rsdetect.devices import usable_cores
from rsdetect.errors import (
    DoubtError,
    GridMismatch,
    ReadError,
    RsdetectError,
    SceneError,
    SourceChanged,
    SourceUnavailable,
)
from rsdetect.evaluation.detector_cost import Clock, Cost, measured_rise
from rsdetect.evaluation.detector_options import CompareOptions
from rsdetect.jsontypes import JsonObject
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.source import SceneLike
from rsdetect.tiles import TilePlan, plan_tiles

_log = logging.getLogger(__name__)
_OF_SCENES = (SceneError, GridMismatch, DoubtError, ReadError, SourceUnavailable, SourceChanged)


@dataclass(frozen=True, kw_only=True)
class DetectorFailure:
    """Detector without a result on the pair, and the reason."""

    name: str
    exit_status: int  # as of `rsdetect detect` with this detector
    why: str


@dataclass
class Contestant:
    """Contestant: a detector with its pair, and once fitted its scorer, tiles and cost."""

    detector: Detector
    pair: Pair  # with the bands of this detector
    scorer: Scorer | None = None
    provenance: JsonObject = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)

    def fit(self, method: str) -> None:
        """Load and fit the contestant, its pair normalised by `method`, and measure what that costs."""
        clock = Clock()
        with measured_rise() as rise:
            clock.lap()
            self.detector.load(self.pair)
            scan = normalise(Scan(self.pair, usable_cores()), method)
            self.pair, self.scorer = scan.pair, fit_detector(self.detector, scan)
            self.cost.fit_s = clock.lap()
        self.cost.fit_bytes, self.cost.kept_bytes = rise.highest, rise.kept
        self.provenance = describe(self.detector, self.scorer)

    def plan(self, edge: int) -> TilePlan:
        """Tiles of the fitted contestant whose cores have `edge` pixels, a multiple of all strides."""
        assert self.scorer is not None
        return plan_tiles(self.pair.grid, edge, self.scorer.halo, self.scorer.stride)


class Contest:
    """Contest: the detectors that still take part, and those that failed."""

    def __init__(self, options: CompareOptions, *, stop_at_defects: bool = False) -> None:
        self.failed: dict[int, DetectorFailure] = {}  # by the number of the contestant
        self.taking_part: dict[int, Contestant] = {}
        self._options = options
        self._stop_at_defects = stop_at_defects
        self._first_error: Exception | None = None

    def open(self, before: SceneLike, after: SceneLike) -> None:
        """Open the pair for each contestant, with the bands of its detector.

        Raises
        ------
        RsdetectError
            That of the first contestant, if none can take part.
        """
        for number, asked in enumerate(self._options.detectors):
            self.attempt(number, partial(self._enter, number, asked, before, after))
        self.require_some()

    def attempt(self, number: int, run: Callable[[], None]) -> None:
        """Run something for one contestant; if it fails, this one takes no further part."""
        name = self._options.names[number]
        try:
            run()
            return
        except _OF_SCENES:
            raise
        except RsdetectError as error:
            failure = DetectorFailure(name=name, exit_status=error.exit_status, why=str(error))
            self._first_error = self._first_error or error
        except Exception as error:
            if self._stop_at_defects or isinstance(error, MemoryError):
                raise
            why = f"a defect of rsdetect ({type(error).__name__}: {error})"
            failure = DetectorFailure(name=name, exit_status=1, why=why)
            self._first_error = self._first_error or error
        self.failed.setdefault(number, failure)  # threads may fail side by side
        self.taking_part.pop(number, None)
        _log.warning("%s takes no part: %s", name, failure.why)

    def require_some(self) -> None:
        """Raise the first error if no contestant is left."""
        if not self.taking_part and self._first_error is not None:
            raise self._first_error

    def __iter__(self) -> Iterator[tuple[int, Contestant]]:
        return iter(list(self.taking_part.items()))

    def _enter(self, number: int, asked: str | Detector, before: SceneLike, after: SceneLike) -> None:
        options = self._options
        device = choose_device(asked, options.device, options.backend)
        detector = make_detector(asked, None, device, options.backend)
        pair = open_settled(before, after, options.pair, wanted=detector.bands)
        self.taking_part[number] = Contestant(detector, pair)
