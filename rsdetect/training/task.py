"""Training task for Lightning: the network, its averaged copy, loss, learning rate and validation."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from rsdetect.metrics import Counts
from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.batches import Batch
from rsdetect.training.losses import (
    consistency,
    contrastive,
    cross_entropy,
    dice,
    downsample_labels,
    feature_distance,
    triplet,
)
from rsdetect.training.recipe import Loss, Recipe

_WEIGHT_DECAY = 1e-2

_Tensors = tuple[Tensor, ...] | list[Tensor]


class ChangeTask(pl.LightningModule):
    """Training task of `net` by the recipe; the averaged network `average` is validated and saved.

    Logs "loss", "rate", "validation_f1" (at the best threshold), "validation_threshold",
    "validation_average_precision".
    """

    def __init__(self, net: SiameseNet, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = averaged_network(self.net, recipe.schedule.average_decay)
        self.seconds = 0.0  # of training and validation so far, over all resumptions
        self._resumed = time.monotonic()
        self._losses: list[Tensor] = []  # since the last validation
        self._counts: list[Counts] = []
        self._features: tuple[Tensor, ...] = ()
        if recipe.loss.auxiliary != "none":
            self.net.encoder.register_forward_hook(self._keep_features)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW optimizer (Loshchilov and Hutter 2019); the learning rate is set before each step."""
        schedule = self.recipe.schedule
        return torch.optim.AdamW(self.net.parameters(), lr=schedule.learning_rate, weight_decay=_WEIGHT_DECAY)

    def share_done(self) -> float:
        """Used share of the training budget, equal on all ranks."""
        schedule = self.recipe.schedule
        if schedule.minutes is None:
            return self.global_step / schedule.steps
        share = self.minutes / schedule.minutes
        return float(self.trainer.strategy.broadcast(share)) if self.trainer.world_size > 1 else share

    @property
    def minutes(self) -> float:
        """Minutes of training and validation so far, over all resumptions."""
        return (self.seconds + time.monotonic() - self._resumed) / 60

    def on_train_start(self) -> None:
        """Start the clock of the training, after loading and the first scenes."""
        self._resumed = time.monotonic()

    def on_train_epoch_start(self) -> None:
        """Set train mode for the network, evaluation mode for its average."""
        self.net.train()
        self.average.eval()
        self._losses = []

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate by the used share of the budget."""
        rate = self.recipe.schedule.rate_at(self.share_done())
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Training loss of one batch."""
        before, after, truth, weight, *views = batch
        logit = self.net(_channels_last(before), _channels_last(after))
        with torch.autocast(logit.device.type, enabled=False):
            loss = self._loss(logit.float(), truth, weight)
        unlabelled = self.recipe.unlabelled
        if views and self.share_done() >= unlabelled.from_share:
            loss = loss + unlabelled.weight * self._consistency(views)
        self._losses.append(loss.detach())
        self.log("loss", loss.detach(), prog_bar=True, batch_size=1)
        return loss

    def mean_loss(self) -> float:
        """Mean training loss since the last validation."""
        return float(torch.stack(self._losses).mean()) if self._losses else math.nan

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Update the averaged weights; end the training when its budget is used."""
        self.average.update_parameters(self.net)
        if self.share_done() >= 1:
            self.trainer.should_stop = True

    def on_validation_epoch_start(self) -> None:
        """Reset the counts of the validation."""
        self._counts = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the predictions of the averaged network on one whole validation scene."""
        before, after, truth, weight = batch
        logit = self.average(_channels_last(before), _channels_last(after))
        p = logit.float().sigmoid().cpu().numpy()
        self._counts.append(Counts.of(p, truth.cpu().numpy() > 0, weight.cpu().numpy() > 0))

    def on_validation_epoch_end(self) -> None:
        """Log the validation scores over the counts of all ranks."""
        counts = self._gather_counts(Counts.total(self._counts))
        threshold, f1 = counts.best()
        figures = {
            "validation_f1": float(f1),
            "validation_threshold": float(threshold),
            "validation_average_precision": float(counts.average_precision()),
        }
        # The figures are already equal on all ranks.
        self.log_dict(figures, prog_bar=True, sync_dist=False, rank_zero_only=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the training time and the last validation F1 to a checkpoint."""
        checkpoint["seconds"] = self.minutes * 60
        checkpoint["validation_f1"] = float(self.trainer.callback_metrics["validation_f1"])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the training time from a checkpoint."""
        self.seconds = checkpoint["seconds"]

    def _loss(self, logit: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
        loss = self.recipe.loss
        total = main_loss(loss, logit, truth, weight)
        if loss.auxiliary != "none":
            total = total + loss.auxiliary_weight * auxiliary_loss(loss, self._features, truth, weight)
        return total

    def _consistency(self, views: Sequence[Tensor]) -> Tensor:
        """Consistency loss: the averaged network (teacher) on weak views, the network on augmented views."""
        weak_before, weak_after, strong_before, strong_after, seen = views
        with torch.no_grad():
            teacher = self.average(_channels_last(weak_before), _channels_last(weak_after)).float()
        student = self.net(_channels_last(strong_before), _channels_last(strong_after))
        with torch.autocast(student.device.type, enabled=False):
            return consistency(student.float(), teacher, seen, self.recipe.unlabelled.sure)

    def _keep_features(self, encoder: nn.Module, given: Any, features: tuple[Tensor, ...]) -> None:
        self._features = features

    def _gather_counts(self, counts: Counts) -> Counts:
        if self.trainer.world_size == 1:
            return counts
        stacked = torch.from_numpy(np.stack([counts.changed, counts.unchanged])).to(self.device)
        summed = self.trainer.strategy.reduce(stacked, reduce_op="sum").cpu().numpy()
        return replace(counts, changed=summed[0], unchanged=summed[1])


def main_loss(loss: Loss, logit: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Main loss of the training task: cross-entropy and Dice, weighted by the recipe; all (n, h, w)."""
    entropy = cross_entropy(logit, truth, weight, focus=loss.focus, change_weight=loss.change_weight)
    return loss.cross_entropy * entropy + loss.dice * dice(logit, truth, weight)


def auxiliary_loss(loss: Loss, features: tuple[Tensor, ...], truth: Tensor, weight: Tensor) -> Tensor:
    """Auxiliary loss of the training task on features, averaged over the levels of the encoder.

    Parameters
    ----------
    features
        Of both dates, (2 n, c, h / k, w / k) each.
    """
    term = contrastive if loss.auxiliary == "contrastive" else triplet
    losses = []
    for level in features:
        before, after = level.float().chunk(2)
        distance = feature_distance(before, after, loss.metric)
        losses.append(term(distance, *downsample_labels(truth, weight, distance.shape[-2]), loss.margin))
    return torch.stack(losses).mean()


def averaged_network(net: nn.Module, decay: float) -> AveragedModel:
    """Averaged copy of `net` for the training task: exponential average of weights and batch norm."""

    def follow(kept: _Tensors, now: _Tensors, count: Tensor | int) -> None:
        if not kept[0].dtype.is_floating_point:
            torch._foreach_copy_(kept, now)
            return
        # A smaller decay at the start, where the average would be mostly the random initialisation.
        early = (1 + int(count)) / (10 + int(count))
        torch._foreach_lerp_(kept, now, 1 - min(decay, early))

    average = AveragedModel(net, multi_avg_fn=torch.no_grad()(follow), use_buffers=True)
    return average.requires_grad_(False).eval()


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
