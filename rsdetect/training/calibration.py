"""Makes the number in the raster mean what it says: a temperature, then the threshold that follows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.augment import Chip
from rsdetect.training.curves import BINS, Counts
from rsdetect.training.loop import stack

_LOGIT_BINS, _MOST = 4096, 24.0  # logits are counted in bins over +-24; beyond, a probability is 0 or 1


def fit_temperature(net: SiameseNet, chips: Iterable[Chip]) -> tuple[float, Counts]:
    """Temperature scaling (Guo et al. 2017, section 4.2) on chips that were not trained on.

    Returns
    -------
    temperature
        The T that minimises the cross-entropy of sigmoid(logit / T).
    counts
        Of the probabilities at that temperature, from which the threshold is chosen.
    """
    changed, unchanged = _count_logits(net, chips)
    middle = (np.arange(_LOGIT_BINS) + 0.5) / _LOGIT_BINS * 2 * _MOST - _MOST

    def cross_entropy(log_temperature: float) -> float:
        z = middle / np.exp(log_temperature)
        return float((changed * np.logaddexp(0, -z) + unchanged * np.logaddexp(0, z)).sum())

    found = minimize_scalar(cross_entropy, bounds=(-2.5, 2.5), method="bounded")
    temperature = float(np.exp(found.x))
    probability = expit(middle / temperature).astype(np.float32)
    return temperature, _recount(probability, changed, unchanged)


def _count_logits(net: SiameseNet, chips: Iterable[Chip]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counts = np.zeros((2, _LOGIT_BINS), dtype=np.int64)  # unchanged, changed
    net.eval()
    with torch.inference_mode():
        for chip in chips:
            before, after, _, _ = stack([chip])
            logit = net(before, after)[0].numpy()
            index = np.clip((logit + _MOST) / (2 * _MOST) * _LOGIT_BINS, 0, _LOGIT_BINS - 1).astype(np.int64)
            for changed in (0, 1):
                chosen = (chip.weight > 0) & (chip.truth == changed)
                counts[changed] += np.bincount(index[chosen], minlength=_LOGIT_BINS)
    return counts[1], counts[0]


def _recount(
    probability: NDArray[np.float32], changed: NDArray[np.int64], unchanged: NDArray[np.int64]
) -> Counts:
    target = np.clip(probability * BINS, 0, BINS - 1).astype(np.int64)
    return Counts(
        np.bincount(target, changed, BINS).astype(np.int64),
        np.bincount(target, unchanged, BINS).astype(np.int64),
    )
