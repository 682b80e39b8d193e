"""The training loop: short, resumable, reproducible on one thread."""

from __future__ import annotations

import copy
import csv
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.augment import Chip, plain_chip, training_chip
from rsdetect.training.curves import Counts
from rsdetect.training.losses import change_loss
from rsdetect.training.scenes import ScenePool
from rsdetect.training.state import Run


@dataclass(frozen=True)
class Recipe:
    """Numbers of a run. The same recipe, pools and seed give the same weights on the same machine."""

    seed: int = 0
    bands: tuple[str, ...] = ("red", "green", "blue", "nir", "swir1", "swir2")
    steps: int = 2000
    batch: int = 8  # chips a step
    chip_px: int = 256
    scenes: int = 2000  # distinct training scenes
    scenes_first: int = 64  # of them, those that the first step may draw from
    scenes_per_step: float = 1.0  # and how many more after each step, so that rendering need not be ahead
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    average_decay: float = 0.998
    validate_every: int = 100  # steps
    validation_scenes: int = 48

    def scenes_at(self, step: int) -> int:
        """How many scenes step `step` may draw from."""
        return min(self.scenes, self.scenes_first + int(self.scenes_per_step * step))

    def rate_at(self, step: int) -> float:
        """Learning rate: a short linear rise, then half a cosine down to a hundredth."""
        rise = min(1.0, (step + 1) / (0.03 * self.steps + 1))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        return self.learning_rate * rise * max(fall, 0.01)


def train(net: SiameseNet, recipe: Recipe, pools: tuple[ScenePool, ScenePool], folder: Path) -> Run:
    """Train `net` on the first pool, keep the best by average precision on the second.

    Writes into `folder`: `state.safetensors` (resumes from it where it is there), `best.safetensors`
    (averaged weights), `log.csv`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = start(net, recipe)
    state = folder / "state.safetensors"
    if state.exists():
        run.load(state)
    begun, before = time.monotonic(), run.minutes
    losses: list[float] = []
    while run.step < recipe.steps:
        losses.append(train_step(run, recipe, draw_batch(pools[0], recipe, run.step)))
        if run.step % recipe.validate_every and run.step < recipe.steps:
            continue
        run.minutes = before + (time.monotonic() - begun) / 60
        counts = validate(
            run.average, (plain_chip(pools[1].load(i), recipe.bands) for i in range(recipe.validation_scenes))
        )
        figure = counts.average_precision()
        _log(folder / "log.csv", run, losses, counts)
        if figure > run.best:
            run.best = figure
            save_file(
                {k: v.contiguous() for k, v in run.average.state_dict().items()}, folder / "best.safetensors"
            )
        run.save(state)
        losses.clear()
    run.average.load_state_dict(load_file(folder / "best.safetensors"))
    return run


def start(net: SiameseNet, recipe: Recipe) -> Run:
    """A run at step 0."""
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    average = copy.deepcopy(net).requires_grad_(False)
    return Run(net, average, optimiser)


def train_step(run: Run, recipe: Recipe, chips: Sequence[Chip]) -> float:
    """One step down the gradient; returns the loss before it."""
    for group in run.optimiser.param_groups:
        group["lr"] = recipe.rate_at(run.step)
    before, after, truth, weight = stack(chips)
    loss = change_loss(run.net.train()(before, after), truth, weight)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.net.parameters(), 1.0)
    run.optimiser.step()
    run.step += 1
    run.update_average(recipe.average_decay)
    return float(loss.detach())


def draw_batch(pool: ScenePool, recipe: Recipe, step: int) -> list[Chip]:
    """The chips of a step: known by the seed and the step alone, so that a resumed run draws the same."""
    rng = np.random.default_rng((recipe.seed, step))
    numbers = rng.integers(0, recipe.scenes_at(step), recipe.batch)
    return [training_chip(pool.load(int(number)), recipe.chip_px, recipe.bands, rng) for number in numbers]


def validate(
    net: torch.nn.Module, chips: Iterable[Chip], probability: Callable[[Tensor], Tensor] = torch.sigmoid
) -> Counts:
    """Counts of `probability` of the logits over chips, one at a time."""
    net.eval()
    parts = []
    with torch.inference_mode():
        for chip in chips:
            before, after, truth, weight = stack([chip])
            scores = probability(net(before, after)).numpy()
            parts.append(Counts.of(scores, truth.numpy() > 0, weight.numpy() > 0))
    return Counts.total(parts)


def stack(chips: Sequence[Chip]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """before, after (n, bands, h, w) channels-last; truth, weight (n, h, w)."""
    before, after, truth, weight = (
        torch.from_numpy(np.stack([getattr(chip, field) for chip in chips]))
        for field in ("before", "after", "truth", "weight")
    )
    dates = (date.contiguous(memory_format=torch.channels_last) for date in (before, after))
    return (*dates, truth, weight)  # type: ignore[return-value]


def _log(path: Path, run: Run, losses: Sequence[float], counts: Counts) -> None:
    threshold, f1 = counts.best()
    row = {
        "step": run.step,
        "minutes": round(run.minutes, 2),
        "loss": round(float(np.mean(losses)), 4),
        "validation_average_precision": round(counts.average_precision(), 4),
        "validation_f1": round(f1, 4),
        "validation_threshold": threshold,
    }
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
