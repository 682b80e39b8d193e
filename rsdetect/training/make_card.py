"""Making a model card from trained weights: calibration, threshold, scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rsdetect.errors import InputError
from rsdetect.metrics import Counts
from rsdetect.nets.card import Card, Scaling, Training
from rsdetect.nets.cost import count_parameters, macs_per_pixel_pair
from rsdetect.nets.receptive_field import measure_receptive_field
from rsdetect.training.augment import CLIP
from rsdetect.training.batches import Batch
from rsdetect.training.calibration import calibrated_counts, count_logits_in_bins, fit_calibration
from rsdetect.training.loop import Fitted
from rsdetect.training.recipe import Recipe


@dataclass(frozen=True)
class HeldOut:
    """Held-out scenes for a model card."""

    calibration: Iterable[Batch]  # for the calibration and the threshold
    test: Iterable[Batch] | None  # for the scores; None = too few places
    name: str  # of the test scenes, in the card's scores


def make_card(fitted: Fitted, recipe: Recipe, held_out: HeldOut, data: str, device: str = "cpu") -> Card:
    """Make the card of a network: calibrate it, choose its threshold, score it.

    Parameters
    ----------
    data
        Description of the training data.

    Raises
    ------
    InputError
        The calibration scenes have only one class.
    """
    net = fitted.net
    logits = count_logits_in_bins(net, held_out.calibration, device)
    if not logits.changed.sum() or not logits.unchanged.sum():
        what = "changed" if logits.unchanged.sum() == 0 else "unchanged"
        raise InputError(f"All held-out pixels are labelled as {what}, so no threshold can be chosen.")
    calibration = fit_calibration(logits, recipe.validation.change_share)
    share = recipe.validation.change_share
    threshold = choose_threshold(calibrated_counts(logits, calibration, share), recipe.validation.threshold)
    scores = {}
    if held_out.test is not None:
        tested = calibrated_counts(count_logits_in_bins(net, held_out.test, device), calibration, share)
        scores[held_out.name] = card_scores(tested, threshold)
    return Card(
        name=recipe.name,
        version=recipe.version,
        architecture=recipe.architecture,
        bands=recipe.bands,
        bands_required=recipe.bands_required,
        scaling=Scaling(clip=CLIP),
        reach_px=measure_receptive_field(net),
        stride_px=net.stride,
        parameters=count_parameters(net),
        macs_per_pixel_pair=macs_per_pixel_pair(net),
        calibration=calibration,
        threshold=threshold,
        training=Training(
            data=data,
            seed=recipe.seed,
            steps=fitted.steps,
            chips=fitted.steps * recipe.chips.batch,
            minutes=round(fitted.minutes, 1),
        ),
        scores=scores,
        known_failures=recipe.known_failures,
        licence=recipe.licence,
    )


def choose_threshold(counts: Counts, rule: Literal["best_f1", "area"]) -> float:
    """Threshold of a card by a recipe's rule, rounded to percent as in the raster."""
    found = counts.best()[0] if rule == "best_f1" else counts.as_much_as_changed()
    return round(min(max(found, 0.01), 0.99), 2)


def card_scores(counts: Counts, threshold: float) -> dict[str, float]:
    """Scores of a card that are defined, rounded to three decimals."""
    best_threshold, best_f1 = counts.best()
    values = {
        "f1": counts.f1_at(threshold),
        "average_precision": counts.average_precision(),
        "f1_best": best_f1,
        "threshold_best": best_threshold,
        "calibration_error": counts.calibration_error(),
    }
    return {key: round(float(value), 3) for key, value in values.items() if np.isfinite(value)}


def fold_scores(scores: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Scores of each fold for a card, their mean, and their standard deviation over the folds."""
    if not scores:
        return {}
    table = {f"fold {number}": figures for number, figures in enumerate(scores, 1)}
    columns = {
        key: [figures[key] for figures in scores] for key in scores[0] if all(key in s for s in scores)
    }
    table["folds, mean"] = {key: round(float(np.mean(values)), 3) for key, values in columns.items()}
    table["folds, spread"] = {key: round(float(np.std(values, ddof=1)), 3) for key, values in columns.items()}
    return table
