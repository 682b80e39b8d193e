"""Batches that are known by seed and step alone, so that a resumed run draws the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from rsdetect.training.augment import Chip, plain_chip, training_chip
from rsdetect.training.recipe import Recipe
from rsdetect.training.sources import Mixture, SceneSource

Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # before, after (n, bands, h, w); truth, weight (n, h, w)


@dataclass(frozen=True)
class TrainingBatches(Dataset[Batch]):
    """The batch of each step."""

    recipe: Recipe
    mixture: Mixture
    rank: int = 0  # of this process among those that train together; each draws chips of its own

    def __getitem__(self, step: int) -> Batch:
        """The batch of step `step`."""
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step, self.rank))
        chips = [
            training_chip(self.mixture.draw(step, rng), recipe.chips.size_px, recipe.bands, rng)
            for _ in range(recipe.chips.batch)
        ]
        return stack(chips)


@dataclass(frozen=True)
class PlainChips(Dataset[Batch]):
    """Whole scenes as inference sees them, one a batch."""

    scenes: Sequence[tuple[SceneSource, int]]
    bands: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Batch:
        """Scene `index` as a batch of one."""
        source, number = self.scenes[index]
        return stack([plain_chip(source.load(number), self.bands)])

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))


class Steps(Sampler[int]):
    """The steps of one stretch of a run, from where it stands when it is asked."""

    def __init__(self, standing: Callable[[], int], length: int) -> None:
        self._standing, self._length = standing, length

    def __iter__(self) -> Iterator[int]:
        first = self._standing()
        return iter(range(first, first + self._length))

    def __len__(self) -> int:
        return self._length


@dataclass(frozen=True)
class EachRanksShare(Sampler[int]):
    """Every so many of `count` indices, so that the ranks validate each index once."""

    count: int
    rank: int
    ranks: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, self.count, self.ranks))

    def __len__(self) -> int:
        return len(range(self.rank, self.count, self.ranks))


def stack(chips: Sequence[Chip]) -> Batch:
    """before, after (n, bands, h, w); truth, weight (n, h, w)."""
    before, after, truth, weight = (
        torch.from_numpy(np.stack([getattr(chip, field) for chip in chips]))
        for field in ("before", "after", "truth", "weight")
    )
    return before, after, truth, weight
