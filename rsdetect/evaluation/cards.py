"""The figures of an evaluation that a model's card tells."""

from __future__ import annotations

import math
import os
from pathlib import Path

from rsdetect.errors import InputError, ModelError, OutputError
from rsdetect.evaluation.results import Evaluation, Interval

MACRO = "macro"
_FIGURES = (
    "f1",
    "precision",
    "recall",
    "iou",
    "average_precision",
    "f1_best",
    "threshold_best",
    "calibration_error",
    "f1_marking_everything",
    "objects_found",
    "false_regions_per_mpx",
    "boundary_f1",
    "false_alarm_share",
    "shift_1_px_f1_loss",
)
_WITH_INTERVAL = {"f1", "average_precision", "f1_best", "calibration_error"}
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


def card_to_fill(model: str | None) -> Path:
    """The model file whose card shall tell the scores, looked at before hours of work.

    Raises
    ------
    InputError
        None is named, or it cannot be written.
    """
    if model is None:
        raise InputError("`into_card` stores the scores in the card of a model file; name it with `model`.")
    from rsdetect.nets.checkpoint import find_model

    path = find_model(model)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise OutputError(f"{path} cannot be written, so its card cannot tell the scores.")
    return path


def store_scores(evaluation: Evaluation, path: Path) -> None:
    """Put the scores into the card of the model that was evaluated, beside those on other sets.

    Raises
    ------
    ModelError
        The file is not the one that was evaluated.
    """
    from rsdetect.nets.checkpoint import load_model, model_hash, save_model

    if model_hash(path) != evaluation.detector["model_sha256"]:
        raise ModelError(f"{path} is not the file that was evaluated: its weights or its card have changed.")
    net, card = load_model(path)
    save_model(path, net, card.model_copy(update={"scores": card.scores | card_scores(evaluation)}))
