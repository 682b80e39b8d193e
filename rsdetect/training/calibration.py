"""Calibration of probabilities on held-out scenes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from rsdetect.metrics import STEPS, Counts
from rsdetect.nets.card import Calibration
from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.batches import Batch

_MOST = 24.0  # range of the bins of logits; beyond, a probability is 0 or 1
_LARGEST = 1e3  # temperature or offset that a card holds


def count_logits_in_bins(net: SiameseNet, batches: Iterable[Batch], device: str = "cpu") -> Counts:
    """Histogram of a network's logits on scenes, for `fit_calibration` and `calibrated_counts`."""
    parts = []
    net.eval().to(device)
    with torch.inference_mode():
        for before, after, truth, weight in batches:
            logit = net(before.to(device), after.to(device)).cpu().numpy()
            share = (logit + _MOST) / (2 * _MOST)
            parts.append(Counts.of(share, truth.numpy() > 0, weight.numpy() > 0))
    net.to("cpu")
    return Counts.total(parts)


def fit_calibration(logits: Counts, change_share: float | None = None) -> Calibration:
    """Fit the calibration of logits, scale and offset (Platt 1999), for a given share of change.

    The offset also corrects the prior from the share of change in the scenes to `change_share` (Saerens et
    al. 2002, section 2.2), because unchanged pixels are weighted to make the shares equal.

    Parameters
    ----------
    logits
        From `count_logits_in_bins`; both classes must occur.
    change_share
        None = the share in the scenes.

    Returns
    -------
    Calibration
        Temperature and offset that minimise the cross-entropy.
    """
    share = share_of(logits) if change_share is None else change_share
    middle = _logit_bins()
    changed = logits.changed / logits.changed.sum() * share
    unchanged = logits.unchanged / logits.unchanged.sum() * (1 - share)

    def cross_entropy(x: NDArray[np.float64]) -> float:
        z = (middle + x[1]) * np.exp(-x[0])
        return float((changed * np.logaddexp(0, -z) + unchanged * np.logaddexp(0, z)).sum())

    log_temperature, offset = minimize(cross_entropy, np.zeros(2), method="Nelder-Mead").x
    temperature = float(np.exp(log_temperature))
    # Logits without information have no best temperature; one that a card holds keeps their probability.
    scale = min(1.0, _LARGEST / max(temperature, abs(float(offset))))
    return Calibration(
        temperature=max(temperature * scale, 1 / _LARGEST), offset=float(offset) * scale, change_share=share
    )


def calibrated_counts(logits: Counts, calibration: Calibration, change_share: float | None = None) -> Counts:
    """Counts of the calibrated probabilities, weighted to a share of change; None = unweighted."""
    p = calibration.probability(_logit_bins())
    target = np.rint(p * STEPS).astype(np.int64)
    weighted = logits if change_share is None else logits.at_share(change_share)
    changed, unchanged = (
        np.bincount(target, counts, STEPS + 1).astype(np.int64)
        for counts in (weighted.changed, weighted.unchanged)
    )
    return Counts(changed, unchanged)


def share_of(counts: Counts) -> float:
    """Share of changed pixels in the counts for calibration."""
    changed = int(counts.changed.sum())
    return changed / max(changed + int(counts.unchanged.sum()), 1)


def _logit_bins() -> NDArray[np.float64]:
    """Logit of each bin of the calibration's histogram, (STEPS + 1,)."""
    return np.arange(STEPS + 1) / STEPS * 2 * _MOST - _MOST
