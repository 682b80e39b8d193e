"""Guard of fine-tuning: weights between those before and after it, chosen on places that neither was shown.

Fine-tuning on a few chips can make a model worse on places far from them. The weights between both models
(Wortsman et al. 2022, "Robust fine-tuning of zero-shot models") keep part of what each one knows. The folds
of a run show which share of the new weights is best on places without chips; a share of 0 is the model as it
was, so that the result is no worse there than without fine-tuning.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rsdetect.nets.card import Card
from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.calibration import calibrated_counts, count_logits_in_bins
from rsdetect.training.loop import Fitted
from rsdetect.training.make_card import HeldOut, calibrate, card_scores, make_card
from rsdetect.training.recipe import Recipe

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the weights after fine-tuning
Scores = dict[str, float]


@dataclass(frozen=True)
class Guard:
    """Guard of a fine-tuning: the model before it, and how new models are calibrated."""

    net: SiameseNet
    card: Card
    recipe: Recipe
    device: str

    def fold_scores(self, after: SiameseNet, held_out: HeldOut) -> dict[float, Scores]:
        """Scores of a fold on its test places, for each of `SHARES`.

        Weights between are calibrated like any trained model; the model before keeps its calibration.
        """
        assert held_out.test is not None
        logits = count_logits_in_bins(self.net, held_out.test, self.device)
        before = card_scores(calibrated_counts(logits, self.card.calibration), self.card.threshold)
        between = {
            share: calibrate(weights_between(self.net, after, share), self.recipe, held_out, self.device)
            for share in SHARES[1:]
        }
        return {0.0: before} | {share: made.scores for share, made in between.items()}

    def applied(self, fitted: Fitted, share: float, held_out: HeldOut, data: str) -> tuple[SiameseNet, Card]:
        """Network and card with this share of the weights after fine-tuning."""
        net = weights_between(self.net, fitted.net, share)
        data = f"{data}, {share:.0%} of the weights after fine-tuning and {1 - share:.0%} of those before"
        return net, make_card(replace(fitted, net=net), self.recipe, held_out, data, self.device)

    def kept(self, held_out: HeldOut) -> tuple[SiameseNet, Card]:
        """Network as it was before fine-tuning, its calibration and threshold included, with a new card."""
        data = f"none, because the folds did not gain; the weights of {self.card.name} {self.card.version}"
        before = Fitted(self.net.eval(), steps=0, minutes=0.0, validation_f1=float("nan"))
        card = make_card(before, self.recipe, held_out, data, self.device)
        kept = {"calibration": self.card.calibration, "threshold": self.card.threshold}
        return before.net, card.model_copy(update=kept)


def weights_between(before: SiameseNet, after: SiameseNet, share: float) -> SiameseNet:
    """Network with weights and statistics between two of one layout, for the guard; in eval mode.

    >>> import torch
    >>> nets = [SiameseNet(1, (2, 2), 2, (0,)) for _ in range(2)]
    >>> half = weights_between(*nets, 0.5)
    >>> torch.allclose(half.head.bias, (nets[0].head.bias + nets[1].head.bias) / 2)
    True
    """
    net = copy.deepcopy(after)
    old = before.state_dict()
    mixed = {
        key: old[key].lerp(value, share) if value.is_floating_point() else old[key]
        for key, value in after.state_dict().items()
    }
    net.load_state_dict(mixed)
    return net.eval()


def choose_share(folds: Sequence[dict[float, Scores]]) -> float:
    """Share of the weights after fine-tuning with the highest mean F1 over the guard's folds.

    Of equal ones the smallest.

    >>> choose_share([{0.0: {"f1": 0.3}, 0.5: {"f1": 0.5}}, {0.0: {"f1": 0.3}, 0.5: {"f1": 0.2}}])
    0.5
    """
    usable = [fold for fold in folds if all("f1" in scores for scores in fold.values())]
    if not usable:
        return 0.0
    return max(usable[0], key=lambda share: float(np.mean([fold[share]["f1"] for fold in usable])))
