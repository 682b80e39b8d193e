"""The figures of an evaluation that a model's card tells."""

from __future__ import annotations

import math

from rsdetect.evaluation.results import Evaluation, Interval

MACRO = "macro"
_FIGURES = (
    "f1",
    "precision",
    "recall",
    "iou",
    "average_precision",
    "best_f1",
    "best_threshold",
    "calibration_error",
    "f1_marking_everything",
    "objects_found",
    "false_regions_per_mpx",
    "boundary_f1",
    "false_alarm_share",
    "shift_1_px_f1_loss",
)
_WITH_INTERVAL = {"f1", "average_precision", "best_f1", "calibration_error"}
_DIGITS = 3


def card_scores(evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """Source, or "macro" -> figure -> value, as `Card.scores` has it.

    The ends of the interval stand beside a figure as `<figure>_low` and `<figure>_high`; a figure that is not
    defined is left out.
    """
    tables = {source.name: source.figures for source in evaluation.sources} | {MACRO: evaluation.macro}
    return {name: _rounded(figures) for name, figures in tables.items()}


def _rounded(figures: dict[str, Interval]) -> dict[str, float]:
    told: dict[str, float] = {}
    for name in _FIGURES:
        if name not in figures:
            continue
        told[name] = figures[name].value
        if name in _WITH_INTERVAL:
            told |= {f"{name}_low": figures[name].low, f"{name}_high": figures[name].high}
    return {name: round(value, _DIGITS) for name, value in told.items() if not math.isnan(value)}
