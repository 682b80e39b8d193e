"""Batches of training chips, determined by seed and step, so that a resumed run draws the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from rsdetect.nets.siamese import MOST_STRIDE
from rsdetect.training.chips import (
    Chip,
    Variation,
    plain_chip,
    same_day_scene,
    training_chip,
    unlabelled_chip_views,
)
from rsdetect.training.recipe import Recipe
from rsdetect.training.scene_sources import Mixture, SceneSource

# before, after (n, bands, h, w); truth, weight (n, h, w); and, with unlabelled pairs, two views of them:
# before, after, before, after (m, bands, h, w), and the valid pixels, (m, h, w).
Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class TrainingBatches(Dataset[Batch]):
    """Training batches, one per step."""

    recipe: Recipe
    mixture: Mixture
    unlabelled: SceneSource | None = None  # pairs without labels
    rank: int = 0  # of this process in distributed training; each rank draws different chips

    def __getitem__(self, step: int) -> Batch:
        """Training batch of step `step`."""
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step, self.rank))
        chips = cutmix(
            [self._draw_chip(step, rng) for _ in range(recipe.chips.batch)], recipe.chips.mixed, rng
        )
        return (
            *stack_chips(chips),
            *(self._unlabelled_views(step, rng) if self.unlabelled is not None else ()),
        )

    def _unlabelled_views(self, step: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Batch of unlabelled chips: weak before, after; strong before, after; valid pixels."""
        assert self.unlabelled is not None
        recipe, source = self.recipe, self.unlabelled
        views = [
            unlabelled_chip_views(
                source.load(source.draw(step, rng)), recipe.chips.size_px, recipe.bands, rng
            )
            for _ in range(recipe.unlabelled.batch)
        ]
        weak, strong = (stack_chips(chips) for chips in zip(*views, strict=True))
        return (*weak[:2], *strong[:2], strong[3])

    def _draw_chip(self, step: int, rng: np.random.Generator) -> Chip:
        chips = self.recipe.chips
        scene = self.mixture.draw(step, rng)
        if rng.random() < chips.same_day:
            scene = same_day_scene(scene, rng)
        how = Variation(chips.around_change, chips.as_is, chips.resized)
        return training_chip(scene, chips.size_px, self.recipe.bands, rng, how)


@dataclass(frozen=True)
class PlainChips(Dataset[Batch]):
    """Batches of one whole scene, preprocessed as in inference."""

    scenes: Sequence[tuple[SceneSource, int]]
    bands: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Batch:
        """Batch of the scene `index`."""
        source, number = self.scenes[index]
        return stack_chips([_pad_chip_to_stride(plain_chip(source.load(number), self.bands))])

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True)
class VariedChips:
    """Batches of one augmented scene, several for each scene, to represent other sensors."""

    scenes: Sequence[tuple[SceneSource, int]]
    recipe: Recipe
    times: int = 2

    def __iter__(self) -> Iterator[Batch]:
        size, bands = self.recipe.validation.size_px, self.recipe.bands
        for index, (source, number) in enumerate(self.scenes):
            scene = source.load(number)
            for time in range(self.times):
                rng = np.random.default_rng((self.recipe.seed, index, time))
                yield stack_chips([training_chip(scene, size, bands, rng)])


class Steps(Sampler[int]):
    """Sampler of the next `length` steps of a run, from its current step."""

    def __init__(self, current: Callable[[], int], length: int) -> None:
        self._current, self._length = current, length

    def __iter__(self) -> Iterator[int]:
        first = self._current()
        return iter(range(first, first + self._length))

    def __len__(self) -> int:
        return self._length


@dataclass(frozen=True)
class RankSampler(Sampler[int]):
    """Sampler of every n-th of `count` indices, so that the n ranks validate each index once."""

    count: int
    rank: int
    ranks: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, self.count, self.ranks))

    def __len__(self) -> int:
        return len(range(self.rank, self.count, self.ranks))


def cutmix(chips: Sequence[Chip], share: float, rng: np.random.Generator) -> list[Chip]:
    """CutMix of a batch (Yun et al. 2019, section 3.1) for pairs, applied to a share of the chips.

    A rectangle of the next chip replaces both dates, truth and weight; its area is uniform in [0, 1].
    """
    mixed = []
    for chip, other in zip(chips, [*chips[1:], chips[0]], strict=True):
        if rng.random() >= share:
            mixed.append(chip)
            continue
        edges = np.array(chip.truth.shape)
        half = np.sqrt(rng.random()) * edges / 2
        middle = rng.random(2) * edges
        low, high = (np.clip(np.rint(at), 0, edges).astype(int) for at in (middle - half, middle + half))
        window = (..., slice(low[0], high[0]), slice(low[1], high[1]))
        parts = {name: array.copy() for name, array in vars(chip).items()}
        for name, array in parts.items():
            array[window] = getattr(other, name)[window]
        mixed.append(Chip(**parts))
    return mixed


def _pad_chip_to_stride(chip: Chip) -> Chip:
    """Pad a chip for a batch with nodata of weight 0 to multiples of the stride."""
    margins = [(0, -edge % MOST_STRIDE) for edge in chip.truth.shape]
    if not any(after for _, after in margins):
        return chip
    before, after = (np.pad(date, [(0, 0), *margins]) for date in (chip.before, chip.after))
    return Chip(before, after, np.pad(chip.truth, margins), np.pad(chip.weight, margins))


def stack_chips(chips: Sequence[Chip]) -> Batch:
    """Stack chips to a batch: before, after (n, bands, h, w); truth, weight (n, h, w)."""
    before, after, truth, weight = (
        torch.from_numpy(np.stack([getattr(chip, field) for chip in chips]))
        for field in ("before", "after", "truth", "weight")
    )
    return before, after, truth, weight
