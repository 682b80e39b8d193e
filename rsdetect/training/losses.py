"""What training minimises."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def change_loss(logit: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Weighted binary cross-entropy plus soft Dice over the whole batch.

    With p = sigmoid(logit), truth t and weight w, sums over all pixels of the batch::

        BCE  = sum w (-t log p - (1 - t) log(1 - p)) / sum w
        Dice = 1 - (2 sum w p t + 1) / (sum w p + sum w t + 1)      (Milletari et al. 2016, section 3)

    Cross-entropy keeps the probabilities honest; Dice keeps rare change from drowning in the rest.
    Over the batch and not by chip, because most chips hold little change or none.

    Parameters
    ----------
    logit, truth, weight
        (n, h, w) float32; truth and weight in [0, 1].

    >>> import torch
    >>> sure = torch.tensor([[[20.0, -20.0]]])
    >>> right, all_pixels = torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1, 2)
    >>> round(float(change_loss(sure, right, all_pixels)), 3)
    0.0
    """
    pixels = weight.sum().clamp(min=1)
    cross_entropy = (
        functional.binary_cross_entropy_with_logits(logit, truth, weight, reduction="sum") / pixels
    )
    p = logit.sigmoid()
    both = (weight * p * truth).sum()
    either = (weight * p).sum() + (weight * truth).sum()
    dice = 1 - (2 * both + 1) / (either + 1)
    return cross_entropy + dice
