"""Page of a comparison of detectors: a table, and the pictures of scenes and detectors side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.evaluation.detector_results import DetectorComparison, DetectorResult
from rsdetect.evaluation.detector_tally import PICTURE_PX, DetectorTally
from rsdetect.evaluation.reduced import ReducedMap
from rsdetect.evaluation.tile_pictures import FALSE, MISSED, QUIET, RIGHT, probability_picture
from rsdetect.pages.pictures import GREY, Rgb, colour_bands, data_uri, stretch_limits, stretched
from rsdetect.pages.templates import render
from rsdetect.scenes.pair import Pair
from rsdetect.tiles import Tile

COST_TITLES = ("detector", "threshold", "marked", "seconds", "MiB")
_SCORES = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "iou": "IoU",
    "kappa": "kappa",
    "f1_best": "best F1",
    "threshold_best": "at",
    "average_precision": "AP",
}
SCORE_TITLES = ("detector", *_SCORES.values())


@dataclass(frozen=True)
class PagePicture:
    """Picture on the page of a comparison."""

    title: str
    uri: str  # data URI


class ScenePictures:
    """Pictures of both dates and of the truth for a comparison, added up tile by tile."""

    def __init__(self, pair: Pair, truth: NDArray[np.uint8] | None) -> None:
        self._bands = colour_bands(pair.bands)
        self._dates = [ReducedMap(pair.grid, 3, PICTURE_PX) for _ in range(2)]
        self._truth = None if truth is None else ReducedMap(pair.grid, 1, PICTURE_PX)

    def add(self, tile: Tile, truth: NDArray[np.uint8] | None) -> None:
        """Add a tile without a halo to the pictures, and the truth over it."""
        for reduced, values, valid in zip(
            self._dates, (tile.before, tile.after), (tile.before_valid, tile.after_valid), strict=True
        ):
            reduced.add(tile.core, values[self._bands], valid)
        if self._truth is not None and truth is not None:
            self._truth.add(tile.core, (truth == 1)[None], truth <= 1)

    def pictures(self) -> list[PagePicture]:
        """Pictures of before, after and truth for the page."""
        found = [
            PagePicture(title, data_uri(_date(reduced), "JPEG"))
            for title, reduced in zip(("before", "after"), self._dates, strict=True)
        ]
        if self._truth is not None:
            share = np.rint(self._truth.means() * 255).astype(np.uint8).repeat(3, axis=0)
            found.append(PagePicture("truth", data_uri(_grey_unknown(share, self._truth))))
        return found


def render_comparison(
    found: DetectorComparison, scenes: ScenePictures, tallies: Sequence[DetectorTally]
) -> str:
    """Render the page of a comparison of detectors."""
    has_truth = found.truth is not None
    legend = (
        (
            (RIGHT, "changed and marked"),
            (FALSE, "marked and unchanged"),
            (MISSED, "changed and not marked"),
            (QUIET, "neither"),
        )
        if has_truth
        else ((RIGHT, "marked"), (QUIET, "not marked"))
    )
    return render(
        "comparison.html",
        comparison=found,
        titles=(*COST_TITLES, *(SCORE_TITLES[1:] if has_truth else ())),
        rows=[
            [*cost_row(result), *(score_row(result)[1:] if has_truth else ())] for result in found.detectors
        ],
        names=[result.name for result in found.detectors],
        agreement=agreement_rows(found),
        scenes=scenes.pictures(),
        detectors=[
            (result, _pictures(tally, has_truth))
            for result, tally in zip(found.detectors, tallies, strict=True)
        ],
        legend=[(f"rgb{colour}", text) for colour, text in (*legend, (GREY, "not observed or not labelled"))],
    )


def cost_row(result: DetectorResult) -> list[str]:
    """Texts of a detector below COST_TITLES, on the page of a comparison and on the terminal."""
    marked = "" if np.isnan(result.marked_share) else f"{result.marked_share:.2%}"
    cost = f"{result.seconds:.2f}", f"{result.memory_mib:,.0f}"
    return [result.name, f"{result.threshold:.2f}", marked, *cost]


def score_row(result: DetectorResult) -> list[str]:
    """Texts of a detector below SCORE_TITLES; only its name without truth."""
    return [result.name, *(_number((result.scores or {}).get(name, np.nan)) for name in _SCORES)]


def agreement_rows(found: DetectorComparison) -> list[list[str]]:
    """Table of the agreement of every two detectors: a name, then the IoU with each, by rows."""
    names = [result.name for result in found.detectors]
    if len(names) < 2:
        return []
    iou = {frozenset((each.first, each.second)): _number(each.iou) for each in found.agreement}

    def text(one: str, other: str) -> str:
        return "" if one == other else iou[frozenset((one, other))]

    return [[one, *(text(one, other) for other in names)] for one in names]


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _pictures(tally: DetectorTally, has_truth: bool) -> list[PagePicture]:
    """Pictures of a detector in a comparison: its probability, and what it marks."""
    percent = np.rint(tally.probability.means()[0]).astype(np.uint8)
    shares = tally.verdict.means()
    colours = np.array([RIGHT, FALSE, MISSED, QUIET], np.float64)
    verdict: Rgb = np.rint(np.einsum("khw,kc->chw", shares, colours)).astype(np.uint8)
    title = "correct and wrong" if has_truth else "marked at its threshold"
    return [
        PagePicture("probability", data_uri(probability_picture(percent, tally.probability.known))),
        PagePicture(title, data_uri(_grey_unknown(verdict, tally.verdict))),
    ]


def _date(reduced: ReducedMap) -> Rgb:
    """Picture of a date for a comparison, stretched by its percentiles."""
    means, known = reduced.means().astype(np.float32), reduced.known
    if not known.any():
        return _grey_unknown(np.zeros(means.shape, np.uint8), reduced)
    return stretched(means, stretch_limits(means[:, known]), known)


def _grey_unknown(picture: Rgb, reduced: ReducedMap) -> Rgb:
    picture[:, ~reduced.known] = np.array(GREY, np.uint8)[:, None]
    return picture
