"""Every figure of an evaluation, from a tally."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rsdetect.evaluation.tally import Tally
from rsdetect.metrics import Confusion, Figure

_AT_A_THRESHOLD = ("precision", "recall", "f1", "iou", "kappa", "accuracy")


def figures_of(tally: Tally, threshold: float, shifts_px: Sequence[float]) -> dict[str, Figure]:
    """Name -> figure; one number for each of the tally's leading axes, NaN where it is not defined.

    Where nothing is labelled as unchanged no false mark can be seen: of the figures at a threshold only
    recall is defined.

    ================================== ==================================================================
    precision ... accuracy             of changed pixels, at the detector's threshold
    threshold_best, precision_best ... at the threshold of the highest F1, chosen afterwards
    average_precision                  mean precision over recall, all thresholds
    calibration_error                  expected calibration error, 15 groups
    changed_share                      changed pixels of the labelled ones
    f1_marking_everything              F1 of marking every pixel: what a score must be read against
    objects_found                      objects of 20 px or more of which half or more is marked
    false_regions_per_mpx              marked regions of 20 px or more without any change in them
    false_regions_per_km2              the same by area, for pairs with a CRS
    boundary_f1                        harmonic mean of the shares of outlines within 2 px of the other's
    false_alarm_share                  marked pixels of the pairs without change
    shift_<n>_px_f1 ...                F1, best F1, average precision with the after scene moved by n px,
                                       and what F1 lost
    ================================== ==================================================================
    """
    counts = tally.counts
    here = _at_a_threshold(counts.at(threshold))
    best_threshold, at_best = counts.at_best()
    changed, pixels = counts.changed.sum(-1), np.asarray(tally.pixels, np.float64)
    seen = np.where(counts.unchanged.any(-1), 1.0, np.nan)  # where a false mark could be
    return {
        **here,
        "threshold_best": best_threshold * seen,
        **{f"{name}_best": figure for name, figure in _at_a_threshold(at_best).items()},
        "average_precision": counts.average_precision(),
        "calibration_error": counts.calibration_error(),
        "changed_share": _share(changed, pixels),
        "f1_marking_everything": _share(2 * changed, (pixels + changed) * seen),
        "objects_found": _share(tally.objects_found, tally.objects),
        "false_regions_per_mpx": _share(tally.false_regions, pixels * seen / 1e6),
        "false_regions_per_km2": _share(tally.false_regions, np.asarray(tally.area_m2) * seen / 1e6),
        "boundary_f1": _boundary_f1(tally) * seen,
        "false_alarm_share": _share(tally.quiet_alarms, tally.quiet_pixels),
        **_shifted(tally, threshold, shifts_px, here["f1"]),
    }


def _at_a_threshold(confusion: Confusion) -> dict[str, Figure]:
    return {name: getattr(confusion, name) for name in _AT_A_THRESHOLD}


def _shifted(tally: Tally, threshold: float, shifts_px: Sequence[float], f1: Figure) -> dict[str, Figure]:
    counts = tally.shifted
    _, best = counts.at_best() if shifts_px else (None, None)
    found: dict[str, Figure] = {}
    for i, shift in enumerate(shifts_px):
        name = f"shift_{shift:g}_px"
        moved = counts.at(threshold).f1[..., i]
        found |= {
            f"{name}_f1": moved,
            f"{name}_f1_loss": f1 - moved,
            f"{name}_f1_best": best.f1[..., i] if best else np.nan,
            f"{name}_average_precision": counts.average_precision()[..., i],
        }
    return found


def _boundary_f1(tally: Tally) -> Figure:
    """0 where one outline is there and nothing of it is near the other's; not defined without outlines."""
    precision = _share(tally.marked_edge_near, tally.marked_edge)
    recall = _share(tally.true_edge_near, tally.true_edge)
    harmonic = _share(2 * precision * recall, precision + recall)
    some = (np.asarray(tally.marked_edge) + np.asarray(tally.true_edge)) > 0
    return np.where(some, np.nan_to_num(harmonic), np.nan)[()]


def _share(part: Any, whole: Any) -> Figure:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=(whole != 0) & ~np.isnan(whole))[()]
