"""Makes the number in the raster mean what it says, on scenes that were not trained on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from rsdetect.nets.card import Calibration
from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.augment import Chip
from rsdetect.training.curves import STEPS, Counts
from rsdetect.training.loop import stack

_MOST = 24.0  # logits are counted in bins over +-24; beyond, a probability is 0 or 1


def calibrate(net: SiameseNet, chips: Iterable[Chip], change_share: float) -> tuple[Calibration, Counts]:
    """Fit the scale and offset of the logits (Platt 1999) for scenes with a given share of change.

    The offset also carries the step from the share of change in `chips` to `change_share` (Saerens et
    al. 2002, section 2.2), because unchanged pixels are weighted until the shares agree.

    Returns
    -------
    calibration
        Temperature and offset of least cross-entropy.
    counts
        Of the calibrated probabilities at that share, from which a threshold is chosen.
    """
    logits = _count_logits(net, chips).at_share(change_share)
    middle = np.arange(STEPS + 1) / STEPS * 2 * _MOST - _MOST
    changed, unchanged = (counts / logits.changed.sum() for counts in (logits.changed, logits.unchanged))

    def cross_entropy(x: NDArray[np.float64]) -> float:
        z = (middle + x[1]) * np.exp(-x[0])
        return float((changed * np.logaddexp(0, -z) + unchanged * np.logaddexp(0, z)).sum())

    log_temperature, offset = minimize(cross_entropy, np.zeros(2), method="Nelder-Mead").x
    found = Calibration(
        temperature=float(np.exp(log_temperature)), offset=float(offset), change_share=change_share
    )
    return found, _recount(found.probability(torch.from_numpy(middle)).numpy(), logits)


def _count_logits(net: SiameseNet, chips: Iterable[Chip]) -> Counts:
    """Counts in bins over +-_MOST instead of over [0, 1]."""
    parts = []
    net.eval()
    with torch.inference_mode():
        for chip in chips:
            before, after, _, _ = stack([chip])
            logit = net(before, after)[0].numpy()
            parts.append(Counts.of((logit + _MOST) / (2 * _MOST), chip.truth > 0, chip.weight > 0))
    return Counts.total(parts)


def _recount(probability: NDArray[np.float64], logits: Counts) -> Counts:
    target = np.rint(probability * STEPS).astype(np.int64)
    changed, unchanged = (
        np.bincount(target, counts, STEPS + 1).astype(np.int64)
        for counts in (logits.changed, logits.unchanged)
    )
    return Counts(changed, unchanged)
