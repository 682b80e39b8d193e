"""Figures (metrics) of an evaluation, computed from a tally of counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rsdetect.evaluation.tally import Tally
from rsdetect.metrics import Confusion, Counts, Figure

_CONFUSION_FIGURES = ("precision", "recall", "f1", "iou", "kappa", "accuracy")


def evaluation_figures(tally: Tally, threshold: float, conditions: Sequence[str]) -> dict[str, Figure]:
    """Compute the figures of an evaluation: name -> value per leading axis of the tally, NaN if undefined.

    Without pixels labelled as unchanged, false alarms cannot be observed: of the figures at a threshold only
    recall is defined.

    ================================== ==================================================================
    precision ... accuracy             of the class changed, at the detector's threshold
    threshold_best, precision_best ... at the threshold with the highest F1, chosen in hindsight
    average_precision                  area under precision over recall, all thresholds
    calibration_error                  expected calibration error, 15 bins
    changed_share                      share of changed pixels among labelled ones
    f1_marking_everything              F1 of marking every pixel, the baseline of any F1
    objects_found                      objects of at least 20 px, half or more of it marked
    false_regions_per_mpx              marked regions of at least 20 px without any change
    false_regions_per_km2              the same per area, for pairs with a CRS
    boundary_f1                        harmonic mean of the shares of boundaries within 2 px
    false_alarm_share                  share of marked pixels in pairs without change
    shift_<n>_px_f1 ...                F1, best F1, average precision and loss of F1 under
                                       a synthetic misregistration of n px
    haze_f1 ...                        the same under a synthetic disturbance
    ================================== ==================================================================
    """
    counts = tally.counts
    here = count_figures(counts, threshold)
    changed, pixels = counts.changed.sum(-1), np.asarray(tally.pixels, np.float64)
    seen = _one_where_unchanged(counts)
    return {
        **here,
        "changed_share": _ratio_figure(changed, pixels),
        "f1_marking_everything": _ratio_figure(2 * changed, (pixels + changed) * seen),
        "objects_found": _ratio_figure(tally.objects_found, tally.objects),
        "false_regions_per_mpx": _ratio_figure(tally.false_regions, pixels * seen / 1e6),
        "false_regions_per_km2": _ratio_figure(tally.false_regions, np.asarray(tally.area_m2) * seen / 1e6),
        "boundary_f1": _boundary_f1_figure(tally) * seen,
        "false_alarm_share": _ratio_figure(tally.quiet_alarms, tally.quiet_pixels),
        **_condition_figures(tally, threshold, conditions, here["f1"]),
    }


def count_figures(counts: Counts, threshold: float) -> dict[str, Figure]:
    """Figures of an evaluation that follow from the pixels by percent, up to `calibration_error`."""
    best_threshold, at_best = counts.at_best()
    return {
        **_confusion_figures(counts.at(threshold)),
        "threshold_best": best_threshold * _one_where_unchanged(counts),
        **{f"{name}_best": figure for name, figure in _confusion_figures(at_best).items()},
        "average_precision": counts.average_precision(),
        "calibration_error": counts.calibration_error(),
    }


def _one_where_unchanged(counts: Counts) -> Figure:
    """Factor of figures of an evaluation: 1, or NaN where false alarms cannot be observed."""
    return np.where(counts.unchanged.any(-1), 1.0, np.nan)


def _confusion_figures(confusion: Confusion) -> dict[str, Figure]:
    """Figures of an evaluation that follow from the confusion matrix at a threshold."""
    return {name: getattr(confusion, name) for name in _CONFUSION_FIGURES}


def _condition_figures(
    tally: Tally, threshold: float, conditions: Sequence[str], f1: Figure
) -> dict[str, Figure]:
    """Figures of an evaluation under conditions such as a shift, and the loss of F1."""
    counts = tally.shifted
    _, best = counts.at_best() if conditions else (None, None)
    found: dict[str, Figure] = {}
    for i, name in enumerate(conditions):
        moved = counts.at(threshold).f1[..., i]
        found |= {
            f"{name}_f1": moved,
            f"{name}_f1_loss": f1 - moved,
            f"{name}_f1_best": best.f1[..., i] if best else np.nan,
            f"{name}_average_precision": counts.average_precision()[..., i],
        }
    return found


def _boundary_f1_figure(tally: Tally) -> Figure:
    """Boundary F1 of an evaluation; 0 if boundaries exist but none matches, NaN without boundaries."""
    precision = _ratio_figure(tally.marked_edge_near, tally.marked_edge)
    recall = _ratio_figure(tally.true_edge_near, tally.true_edge)
    harmonic = _ratio_figure(2 * precision * recall, precision + recall)
    some = (np.asarray(tally.marked_edge) + np.asarray(tally.true_edge)) > 0
    return np.where(some, np.nan_to_num(harmonic), np.nan)[()]


def _ratio_figure(part: Any, whole: Any) -> Figure:
    """Ratio of two counts as a figure; NaN where the denominator is 0 or NaN."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=(whole != 0) & ~np.isnan(whole))[()]
