"""Losses of training. All means are weighted per pixel and taken over the whole batch.

Over the batch and not per chip, because most chips have little or no change.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(
    logit: Tensor, truth: Tensor, weight: Tensor, *, focus: float = 0.0, change_weight: float = 1.0
) -> Tensor:
    """Cross-entropy loss, binary and weighted, with the focal term of Lin et al. (2017, equations 4 and 5).

    With p = sigmoid(logit), truth t, q = t p + (1 - t)(1 - p) the probability of the truth, and
    v = w (1 + (change_weight - 1) t), sums over all pixels of the batch::

        sum v (1 - q)^focus (-t log p - (1 - t) log(1 - p)) / sum v

    Parameters
    ----------
    logit, truth, weight
        (n, h, w) float32; truth and weight in [0, 1].
    focus
        0 = plain cross-entropy; 2 = correctly classified pixels have little weight.
    change_weight
        Weight of a changed pixel relative to an unchanged one, because change is rare.

    >>> import torch
    >>> one = torch.ones(1, 1, 1)
    >>> round(float(cross_entropy(0 * one, one, one)), 4)
    0.6931
    >>> round(float(cross_entropy(0 * one, one, one, focus=2.0)), 4)
    0.1733
    """
    v = weight * (1 + (change_weight - 1) * truth)
    loss = functional.binary_cross_entropy_with_logits(logit, truth, reduction="none")
    if focus:
        p = logit.sigmoid()
        loss = loss * (truth * (1 - p) + (1 - truth) * p) ** focus
    return (v * loss).sum() / v.sum().clamp(min=1)


def dice(logit: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Soft Dice loss (Milletari et al. 2016, section 3), which compensates class imbalance.

    With p = sigmoid(logit), truth t and weight w, sums over all pixels of the batch::

        1 - (2 sum w p t + 1) / (sum w p + sum w t + 1)

    Parameters
    ----------
    logit, truth, weight
        (n, h, w) float32; truth and weight in [0, 1].

    >>> import torch
    >>> sure = torch.tensor([[[20.0, -20.0]]])
    >>> right, all_pixels = torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1, 2)
    >>> round(float(dice(sure, right, all_pixels)), 3)
    0.0
    """
    p = logit.sigmoid()
    both = (weight * p * truth).sum()
    either = (weight * p).sum() + (weight * truth).sum()
    return 1 - (2 * both + 1) / (either + 1)


def feature_distance(before: Tensor, after: Tensor, metric: str) -> Tensor:
    """Distance between the features of both dates for contrastive and triplet losses, (n, h, w).

    Parameters
    ----------
    before, after
        (n, c, h, w) features.
    metric
        "euclidean": the length of the difference divided by sqrt(c), so that a margin does not depend
        on the width. "cosine": 1 - cosine of the angle between them, in [0, 2].
    """
    if metric == "cosine":
        return 1 - functional.cosine_similarity(before, after, dim=1)
    # The gradient of the root is infinite at 0, where both dates are equal.
    return ((before - after).square().mean(dim=1) + 1e-12).sqrt()


def contrastive(distance: Tensor, truth: Tensor, weight: Tensor, margin: float) -> Tensor:
    """Contrastive loss: unchanged features agree, changed features are at least `margin` apart.

    Chopra et al. (2005) with the margin of Hadsell et al. (2006, equation 4). With distance D, truth t
    and weight w; both classes have equal weight, because change is rare::

        1/2 sum w (1 - t) D^2 / sum w (1 - t)  +  1/2 sum w t max(0, margin - D)^2 / sum w t

    Parameters
    ----------
    distance, truth, weight
        (n, h, w), from `feature_distance` and `downsample_labels`.
    """
    apart = functional.relu(margin - distance).square()
    together = distance.square()
    return 0.5 * (_weighted_mean(together, weight * (1 - truth)) + _weighted_mean(apart, weight * truth))


def triplet(distance: Tensor, truth: Tensor, weight: Tensor, margin: float, most: int = 512) -> Tensor:
    """Triplet loss (Schroff et al. 2015, equation 1) over pixels: changed features are farther apart.

    The dates of an unchanged pixel are anchor and positive; those of a changed pixel give the negative
    distance. With D_u and D_c over all pairs of `most` unchanged and `most` changed pixels, sampled evenly
    from the batch::

        mean max(0, margin + D_u - D_c)

    0 if the batch lacks one of the classes.

    Parameters
    ----------
    distance, truth, weight
        (n, h, w), from `feature_distance` and `downsample_labels`; only pixels of full weight and certain
        truth count.
    """
    certain = weight > 0.99
    unchanged = _subsample_evenly(distance[certain & (truth < 0.01)], most)
    changed = _subsample_evenly(distance[certain & (truth > 0.99)], most)
    if not unchanged.numel() or not changed.numel():
        return distance.sum() * 0
    return functional.relu(margin + unchanged[:, None] - changed[None, :]).mean()


def consistency(student: Tensor, teacher: Tensor, seen: Tensor, sure: float) -> Tensor:
    """Consistency loss on unlabelled pairs, from confident pseudo labels of a teacher.

    FixMatch (Sohn et al. 2020, equation 4). The teacher is the exponential average of the student's weights
    (Tarvainen and Valpola 2017). With its probability q, a pixel has the pseudo label changed where q >=
    sure, unchanged where q <= 1 - sure, and is ignored otherwise. The cross-entropy is averaged over each
    class and then over both, because of the class imbalance.

    Parameters
    ----------
    student, teacher
        (n, h, w) logits; the teacher has no gradient.
    seen
        (n, h, w), 1 where both dates are valid.
    """
    q = teacher.detach().sigmoid()
    changed, unchanged = seen * (q >= sure), seen * (q <= 1 - sure)
    terms = [
        _weighted_mean(functional.softplus(-student if one is changed else student), one)
        for one in (changed, unchanged)
        if one.any()
    ]
    return torch.stack(terms).mean() if terms else student.sum() * 0


def downsample_labels(truth: Tensor, weight: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """Downsample truth and weight, (n, h, w) each, to `height` rows for losses on features."""
    factor = truth.shape[-2] // height
    small = functional.avg_pool2d(weight, factor)
    shares = functional.avg_pool2d(truth * weight, factor) / small.clamp(min=1e-6)
    return shares, small


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def _subsample_evenly(values: Tensor, most: int) -> Tensor:
    return values[:: -(-values.numel() // most)] if values.numel() > most else values
