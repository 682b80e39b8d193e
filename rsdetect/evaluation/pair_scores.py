"""Scores of one labelled pair: run through the pipeline of users, and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.checks.scan import Scan
from rsdetect.checks.settle import settle
from rsdetect.detectors.base import Detector
from rsdetect.detectors.fitting import fit_detector
from rsdetect.detectors.identity import describe
from rsdetect.devices import usable_cores
from rsdetect.evaluation.object_counts import count_edges, count_objects
from rsdetect.evaluation.tally import Tally
from rsdetect.grid import Window
from rsdetect.jobs.options import PolygonOptions
from rsdetect.labelled import LabelledPair
from rsdetect.metrics import Counts
from rsdetect.percent import NOT_OBSERVED, PERCENT, to_percent
from rsdetect.progress import Progress
from rsdetect.regions.areas import metres_per_unit
from rsdetect.scenes.handles import with_gdal_environment
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.windows import plan_windows, score_windows

_WORST_PX = 256  # edge of the tiles on the page
WORST = 3  # number of worst tiles kept per pair


@dataclass(frozen=True)
class OpenedPair:
    """Labelled pair with its headers read, ready to be scored."""

    labelled: LabelledPair
    pair: Pair

    @property
    def pixels(self) -> int:
        """Number of pixels in the overlap of both scenes."""
        return self.pair.grid.height * self.pair.grid.width


@dataclass(frozen=True)
class BadTile:
    """Tile of a scored pair with many wrong pixels."""

    opened: OpenedPair
    window: Window
    percent: NDArray[np.uint8]  # (height, width), 255 = not observed
    truth: NDArray[np.uint8]  # (height, width), 1 changed, 0 unchanged, 255 unlabelled
    wrong_px: int


@dataclass(frozen=True)
class ScoredPair:
    """Scored pair: its counts, its worst tiles, and the provenance of the scorer."""

    opened: OpenedPair
    provenance: dict[str, Any]  # of the scorer
    tally: Tally
    worst: tuple[BadTile, ...]

    @property
    def threshold(self) -> float:
        """Threshold of the detector for the pair."""
        return float(self.provenance["threshold"])


def measure_pair(
    opened: OpenedPair,
    detector: Detector,
    conditions: Mapping[str, Callable[[Pair], Pair]],
    progress: Progress,
) -> ScoredPair:
    """Score a pair and count; repeat under each of `conditions`, as in `EvaluateOptions`.

    Truth and percent of the whole pair are kept in memory, up to 20 bytes per pixel.

    Raises
    ------
    InputError
        No pixel is valid on both dates.
    ReadError, SourceUnavailable
        A scene or the label failed while it was read.
    """
    opened = replace(opened, pair=_settled(opened.pair, detector))
    truth = opened.labelled.truth(opened.pair)
    percent, provenance = _score_pair_percent(opened.pair, detector, progress)
    shifted = [
        _pair_counts(_score_pair_percent(change(opened.pair), detector, progress)[0], truth)
        for change in conditions.values()
    ]
    level = PolygonOptions().level(provenance["threshold"])
    tally = _pair_tally(opened.pair, percent, truth, level, shifted)
    return ScoredPair(opened, provenance, tally, tuple(_worst_tiles(opened, percent, truth, level)))


@with_gdal_environment
def _settled(pair: Pair, detector: Detector) -> Pair:
    """Pair without undeclared fill and without empty bands, as users' pairs are scored."""
    return settle(pair, 0 if detector.bands is None else detector.bands.required)


def _score_pair_percent(
    pair: Pair, detector: Detector, progress: Progress
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Score a pair in integer percent, as in its raster, and return the scorer's provenance."""
    cores = usable_cores()
    scorer = fit_detector(detector, Scan(pair, cores))
    plan = plan_windows(pair, scorer)
    percent = np.full(pair.grid.shape, NOT_OBSERVED, np.uint8)
    workers = min(cores, len(plan))
    threads = max(1, cores // workers)
    for tile, probability in score_windows(pair, scorer, plan, workers=workers, threads=threads):
        percent[tile.core.slices_in(pair.grid.window)] = to_percent(probability)
        progress.advance(probability.size)
    return percent, describe(detector, scorer)


def _pair_counts(percent: NDArray[np.uint8], truth: NDArray[np.uint8]) -> Counts:
    """Counts of a pair's changed and unchanged pixels by percent."""
    labelled = (truth <= 1) & (percent != NOT_OBSERVED)
    return Counts.of_steps(percent, truth == 1, labelled, PERCENT)


def _pair_tally(
    pair: Pair, percent: NDArray[np.uint8], truth: NDArray[np.uint8], level: int, shifted: list[Counts]
) -> Tally:
    """Tally of a scored pair."""
    counts = _pair_counts(percent, truth)
    labelled = (truth <= 1) & (percent != NOT_OBSERVED)
    changed, marked = labelled & (truth == 1), labelled & (percent >= level)
    pixels, is_quiet = int(labelled.sum()), not (truth == 1).any()
    whole = count_objects(marked, changed, labelled) | count_edges(marked, changed, labelled)
    of_shifts = np.zeros((2, 0, PERCENT + 1), np.int64)
    if shifted:
        of_shifts = np.stack([[c.changed for c in shifted], [c.unchanged for c in shifted]])
    return Tally(
        changed=counts.changed,
        unchanged=counts.unchanged,
        shifted_changed=of_shifts[0],
        shifted_unchanged=of_shifts[1],
        pixels=np.asarray(pixels),
        area_m2=np.asarray(pixels * _pair_pixel_area_m2(pair)),
        quiet_pixels=np.asarray(pixels * is_quiet),
        quiet_alarms=np.asarray(int(marked.sum()) * is_quiet),
        **{name: np.asarray(number) for name, number in whole.items()},
    )


def _pair_pixel_area_m2(pair: Pair) -> float:
    """Area of a pixel in the middle of the pair; NaN without a CRS."""
    grid = pair.grid
    if grid.crs is None:
        return float("nan")
    east, north = metres_per_unit(grid.crs, *(grid.transform @ (grid.width / 2, grid.height / 2)))
    return grid.pixel_area * east * north


def _worst_tiles(
    opened: OpenedPair, percent: NDArray[np.uint8], truth: NDArray[np.uint8], level: int
) -> Iterator[BadTile]:
    """Tiles of a pair with the most wrong pixels, if any."""
    wrong = (truth <= 1) & (percent != NOT_OBSERVED) & ((percent >= level) != (truth == 1))
    windows = opened.pair.grid.window.blocks(_WORST_PX)
    ranked = sorted(
        ((int(wrong[window.slices_in(opened.pair.grid.window)].sum()), window) for window in windows),
        key=lambda entry: -entry[0],
    )
    for count, window in ranked[:WORST]:
        if count:
            part = window.slices_in(opened.pair.grid.window)
            yield BadTile(opened, window, percent[part].copy(), truth[part].copy(), count)
