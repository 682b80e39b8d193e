"""Scores of an evaluation in a model's card."""

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
    """Scores for a model's card: source, or "macro" -> figure -> value, as in `Card.scores`.

    The interval of a figure is stored as `<figure>_low` and `<figure>_high`; undefined figures are left out.
    """
    tables = {source.name: source.figures for source in evaluation.sources} | {MACRO: evaluation.macro}
    return {name: _card_figures(figures) for name, figures in tables.items()}


def _card_figures(figures: dict[str, Interval]) -> dict[str, float]:
    """Rounded figures of one source for a model's card."""
    values: dict[str, float] = {}
    for name in _FIGURES:
        if name not in figures:
            continue
        values[name] = figures[name].value
        if name in _WITH_INTERVAL:
            values |= {f"{name}_low": figures[name].low, f"{name}_high": figures[name].high}
    return {name: round(value, _DIGITS) for name, value in values.items() if not math.isnan(value)}


def writable_model_card(model: str | None) -> Path:
    """Model file whose card the scores go to, checked in advance for write access.

    Raises
    ------
    InputError
        No model is given, or its file cannot be written.
    """
    if model is None:
        raise InputError("`into_card` stores the scores in the card of a model file; give it as `model`.")
    from rsdetect.nets.checkpoint import find_model

    path = find_model(model)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise OutputError(f"{path} cannot be written, so its card cannot store the scores.")
    return path


def store_scores(evaluation: Evaluation, path: Path) -> None:
    """Store the scores in the card of the evaluated model, beside those on other data sets.

    Raises
    ------
    ModelError
        The file is not the evaluated one.
    """
    from rsdetect.nets.checkpoint import load_model, model_hash, save_model

    if model_hash(path) != evaluation.detector["model_sha256"]:
        raise ModelError(f"{path} is not the evaluated file: its weights or its card have changed.")
    net, card = load_model(path)
    save_model(path, net, card.model_copy(update={"scores": card.scores | card_scores(evaluation)}))
