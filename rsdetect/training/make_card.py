"""Making a model card from trained weights: calibration, threshold, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rsdetect.errors import InputError
from rsdetect.metrics import Counts
from rsdetect.nets.card import Calibration, Card, Scaling, Training
from rsdetect.nets.cost import count_parameters, macs_per_pixel_pair
from rsdetect.nets.siamese import SiameseNet
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


@dataclass(frozen=True)
class Calibrated:
    """Calibration, threshold and scores of a network for its card."""

    calibration: Calibration
    threshold: float
    scores: dict[str, float]  # empty without test scenes


def calibrate(net: SiameseNet, recipe: Recipe, held_out: HeldOut, device: str = "cpu") -> Calibrated:
    """Fit the calibration and the threshold of a card to held-out scenes, and score the test scenes.

    Raises
    ------
    InputError
        The calibration scenes have only one class.
    """
    logits = count_logits_in_bins(net, held_out.calibration, device)
    if not logits.changed.sum() or not logits.unchanged.sum():
        what = "changed" if logits.unchanged.sum() == 0 else "unchanged"
        raise InputError(f"All held-out pixels are labelled as {what}, so no threshold can be chosen.")
    share = recipe.validation.change_share
    calibration = fit_calibration(logits, share)
    threshold = choose_threshold(calibrated_counts(logits, calibration, share), recipe.validation.threshold)
    scores: dict[str, float] = {}
    if held_out.test is not None:
        tested = calibrated_counts(count_logits_in_bins(net, held_out.test, device), calibration, share)
        scores = card_scores(tested, threshold)
    return Calibrated(calibration, threshold, scores)


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
    made = calibrate(net, recipe, held_out, device)
    return Card(
        name=recipe.name,
        version=recipe.version,
        architecture=recipe.architecture,
        bands=recipe.bands,
        bands_required=recipe.bands_required,
        scaling=Scaling(clip=CLIP),
        reach_px=net.layout.reach(),
        stride_px=net.stride,
        parameters=count_parameters(net),
        macs_per_pixel_pair=macs_per_pixel_pair(net),
        calibration=made.calibration,
        threshold=made.threshold,
        training=Training(
            data=data,
            seed=recipe.seed,
            steps=fitted.steps,
            chips=fitted.steps * recipe.chips.batch,
            minutes=round(fitted.minutes, 1),
        ),
        scores={held_out.name: made.scores} if made.scores else {},
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


def fold_scores(
    folds: Sequence[dict[float, dict[str, float]]], share: float | None
) -> dict[str, dict[str, float]]:
    """Scores of each fold for a card, their mean, and their standard deviation over the folds.

    Parameters
    ----------
    folds
        Share of the trained weights -> scores; those of 0, the model before fine-tuning, are listed too.
    share
        Of the trained weights that the model has; None without folds.
    """
    if share is None:
        return {}
    chosen = [fold[share] for fold in folds]
    table = {f"fold {number}": figures for number, figures in enumerate(chosen, 1)}
    if 0.0 in folds[0]:
        table["folds before fine-tuning, mean"] = _over_folds([fold[0.0] for fold in folds], np.mean)
    table["folds, mean"] = _over_folds(chosen, np.mean)
    table["folds, spread"] = _over_folds(chosen, lambda values: np.std(values, ddof=1))
    return table


def _over_folds(
    folds: Sequence[dict[str, float]], figure: Callable[[list[float]], np.floating]
) -> dict[str, float]:
    shared = [key for key in folds[0] if all(key in fold for fold in folds)]
    return {key: round(float(figure([fold[key] for fold in folds])), 3) for key in shared}
