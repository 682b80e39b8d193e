"""What training minimises. All means are weighted by pixel and taken over the whole batch.

Over the batch and not by chip, because most chips hold little change or none.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(
    logit: Tensor, truth: Tensor, weight: Tensor, *, focus: float = 0.0, change_weight: float = 1.0
) -> Tensor:
    """Weighted binary cross-entropy with the focal term of Lin et al. (2017, equations 4 and 5).

    With p = sigmoid(logit), truth t, q = t p + (1 - t)(1 - p) the probability of the truth, and
    v = w (1 + (change_weight - 1) t), sums over all pixels of the batch::

        sum v (1 - q)^focus (-t log p - (1 - t) log(1 - p)) / sum v

    Parameters
    ----------
    logit, truth, weight
        (n, h, w) float32; truth and weight in [0, 1].
    focus
        0 = plain cross-entropy; 2 = pixels that are right already hardly count.
    change_weight
        How much more a changed pixel counts than an unchanged one, against their rarity.

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
    """Soft Dice loss (Milletari et al. 2016, section 3), which keeps rare change from drowning in the rest.

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
    """How far apart the features of both dates lie, (n, h, w).

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
    # The root has no slope at 0, where both dates agree.
    return ((before - after).square().mean(dim=1) + 1e-12).sqrt()


def contrastive(distance: Tensor, truth: Tensor, weight: Tensor, margin: float) -> Tensor:
    """Contrastive loss: unchanged ground agrees, changed ground lies at least `margin` apart.

    Chopra et al. (2005) with the margin of Hadsell et al. (2006, equation 4). With distance D, truth t
    and weight w; each class weighs a half, or rare change would not be heard::

        1/2 sum w (1 - t) D^2 / sum w (1 - t)  +  1/2 sum w t max(0, margin - D)^2 / sum w t

    Parameters
    ----------
    distance, truth, weight
        (n, h, w), from `feature_distance` and `shrink`.
    """
    apart = functional.relu(margin - distance).square()
    together = distance.square()
    return 0.5 * (_mean(together, weight * (1 - truth)) + _mean(apart, weight * truth))


def triplet(distance: Tensor, truth: Tensor, weight: Tensor, margin: float, most: int = 512) -> Tensor:
    """Triplet loss (Schroff et al. 2015, equation 1) over pixels: change is farther apart than no change.

    An unchanged pixel gives anchor and positive, its two dates; a changed one the negative, the distance
    between its two dates. With D_u and D_c over all pairs of `most` unchanged and `most` changed pixels,
    spread evenly over the batch::

        mean max(0, margin + D_u - D_c)

    0 where the batch lacks one of the two.

    Parameters
    ----------
    distance, truth, weight
        (n, h, w), from `feature_distance` and `shrink`; only pixels of full weight and certain truth count.
    """
    certain = weight > 0.99
    unchanged = _spread(distance[certain & (truth < 0.01)], most)
    changed = _spread(distance[certain & (truth > 0.99)], most)
    if not unchanged.numel() or not changed.numel():
        return distance.sum() * 0
    return functional.relu(margin + unchanged[:, None] - changed[None, :]).mean()


def consistency(student: Tensor, teacher: Tensor, seen: Tensor, sure: float) -> Tensor:
    """The student agrees with what the teacher is sure of (FixMatch: Sohn et al. 2020, equation 4).

    The teacher is the average of the student's weights over time (Tarvainen and Valpola 2017). With its
    probability q, a pixel is taken for changed where q >= sure and for unchanged where q <= 1 - sure, and
    the others do not count. The cross-entropy is a mean over each of the two and then over both, because
    there is far more unchanged ground, and with it alone the student would forget what change is.

    Parameters
    ----------
    student, teacher
        (n, h, w) logits; no gradient goes to the teacher.
    seen
        (n, h, w), 1 where both dates are valid.
    """
    q = teacher.detach().sigmoid()
    changed, unchanged = seen * (q >= sure), seen * (q <= 1 - sure)
    terms = [
        _mean(functional.softplus(-student if one is changed else student), one)
        for one in (changed, unchanged)
        if one.any()
    ]
    return torch.stack(terms).mean() if terms else student.sum() * 0


def shrink(truth: Tensor, weight: Tensor, height: int) -> tuple[Tensor, Tensor]:
    """Truth and weight, (n, h, w) each, averaged down to `height` rows and their share of columns."""
    factor = truth.shape[-2] // height
    small = functional.avg_pool2d(weight, factor)
    shares = functional.avg_pool2d(truth * weight, factor) / small.clamp(min=1e-6)
    return shares, small


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)


def _spread(values: Tensor, most: int) -> Tensor:
    return values[:: -(-values.numel() // most)] if values.numel() > most else values
