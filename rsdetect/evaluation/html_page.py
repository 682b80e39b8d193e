"""HTML page of an evaluation, self-contained."""

from __future__ import annotations

from dataclasses import dataclass

from rsdetect.evaluation.results import Evaluation, SourceScores
from rsdetect.evaluation.summary_tables import SCENE_COLUMNS, summary_tables
from rsdetect.evaluation.tile_pictures import FALSE, MISSED, QUIET, RIGHT, TilePictures, draw_tile
from rsdetect.pages.templates import render

_EDGE = 220  # edge of a diagram in SVG units
_LARGEST_DOT = 9.0


@dataclass(frozen=True)
class DiagramDot:
    """Dot in a diagram of the page, in SVG units, y downwards."""

    x: float
    y: float
    radius: float
    tooltip: str  # when pointed at


@dataclass(frozen=True)
class SourcePage:
    """Section of the page on one source."""

    scores: SourceScores
    reliability: tuple[DiagramDot, ...]
    curve: str  # points of the precision-recall curve, an SVG polyline
    here: DiagramDot | None  # the detector's threshold on the curve
    scenes: tuple[tuple[str, ...], ...]  # name, place, then one text per column
    tiles: tuple[TilePictures, ...]


def render_page(evaluation: Evaluation) -> str:
    """Render the page of an evaluation; the scenes are read again for pictures of the worst tiles."""
    return render(
        "evaluation.html",
        evaluation=evaluation,
        summaries=list(summary_tables(evaluation)),
        sources=[_source_page(source, evaluation.threshold) for source in evaluation.sources],
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


def _source_page(scores: SourceScores, threshold: float) -> SourcePage:
    """Section of the page on a source."""
    most = max(pixels for _, _, pixels in scores.reliability)
    known = [(t, precision, recall) for t, precision, recall in scores.curve if precision == precision]
    known = [point for point in known if point[2] == point[2]]
    at = next((point for point in known if point[0] >= threshold - 1e-9), None)
    return SourcePage(
        scores=scores,
        reliability=tuple(
            DiagramDot(
                round(predicted * _EDGE, 2),
                round((1 - true) * _EDGE, 2),
                round(max(2.0, _LARGEST_DOT * (pixels / most) ** 0.25), 2),
                f"predicted {predicted:.2f}, observed {true:.2f}, {pixels:,} pixels",
            )
            for predicted, true, pixels in scores.reliability
        ),
        curve=" ".join(
            f"{recall * _EDGE:.1f},{(1 - precision) * _EDGE:.1f}" for _, precision, recall in known
        ),
        here=at
        and DiagramDot(
            round(at[2] * _EDGE, 2),
            round((1 - at[1]) * _EDGE, 2),
            4,
            f"threshold {at[0]:.2f}: precision {at[1]:.2f}, recall {at[2]:.2f}",
        ),
        scenes=tuple(
            (scene.name, scene.place, *(column.value_text(scene.figures) for column in SCENE_COLUMNS))
            for scene in scores.scenes
        ),
        tiles=tuple(draw_tile(tile, threshold) for tile in scores.worst),
    )
