"""An evaluation as one page that carries everything in itself."""

from __future__ import annotations

from dataclasses import dataclass

from rsdetect.evaluation.pictures import FALSE, MISSED, QUIET, RIGHT, TilePictures, draw_tile
from rsdetect.evaluation.results import Evaluation, SourceScores
from rsdetect.evaluation.summary import SCENE_COLUMNS, summaries
from rsdetect.pages.templates import render

_EDGE = 220  # of a diagram, in SVG units
_LARGEST_DOT = 9.0


@dataclass(frozen=True)
class Dot:
    """A point of a diagram in SVG units, y downwards."""

    x: float
    y: float
    radius: float
    told: str  # when pointed at


@dataclass(frozen=True)
class SourcePage:
    """What the page shows of a source."""

    scores: SourceScores
    reliability: tuple[Dot, ...]
    curve: str  # points of the precision-recall curve, an SVG polyline
    here: Dot | None  # on the curve, the detector's own threshold
    scenes: tuple[tuple[str, ...], ...]  # name, place, then one text a column
    tiles: tuple[TilePictures, ...]


def render_page(evaluation: Evaluation) -> str:
    """The page as HTML; the scenes are read again for the pictures of the worst tiles."""
    return render(
        "evaluation.html",
        evaluation=evaluation,
        summaries=list(summaries(evaluation)),
        sources=[_source(source, evaluation.threshold) for source in evaluation.sources],
        scene_titles=[column.title for column in SCENE_COLUMNS],
        edge=_EDGE,
        ticks=[i / 5 for i in range(6)],
        legend=[
            (f"rgb{colour}", text)
            for colour, text in (
                (RIGHT, "changed and marked"),
                (FALSE, "marked and unchanged"),
                (MISSED, "changed and not marked"),
                (QUIET, "neither"),
            )
        ],
    )


def _source(scores: SourceScores, threshold: float) -> SourcePage:
    most = max(pixels for _, _, pixels in scores.reliability)
    known = [(t, precision, recall) for t, precision, recall in scores.curve if precision == precision]
    known = [point for point in known if point[2] == point[2]]
    at = next((point for point in known if point[0] >= threshold - 1e-9), None)
    return SourcePage(
        scores=scores,
        reliability=tuple(
            Dot(
                round(said * _EDGE, 2),
                round((1 - true) * _EDGE, 2),
                round(max(2.0, _LARGEST_DOT * (pixels / most) ** 0.25), 2),
                f"said {said:.2f}, true {true:.2f}, {pixels:,} pixels",
            )
            for said, true, pixels in scores.reliability
        ),
        curve=" ".join(
            f"{recall * _EDGE:.1f},{(1 - precision) * _EDGE:.1f}" for _, precision, recall in known
        ),
        here=at
        and Dot(
            round(at[2] * _EDGE, 2),
            round((1 - at[1]) * _EDGE, 2),
            4,
            f"threshold {at[0]:.2f}: precision {at[1]:.2f}, recall {at[2]:.2f}",
        ),
        scenes=tuple(
            (scene.name, scene.place, *(column.of(scene.figures) for column in SCENE_COLUMNS))
            for scene in scores.scenes
        ),
        tiles=tuple(draw_tile(tile, threshold) for tile in scores.worst),
    )
