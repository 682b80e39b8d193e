"""Batches that are known by seed and step alone, so that a resumed run draws the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from rsdetect.nets.siamese import MOST_STRIDE
from rsdetect.training.chips import Chip, Variation, plain_chip, same_day, training_chip, two_views
from rsdetect.training.recipe import Recipe
from rsdetect.training.scene_sources import Mixture, SceneSource

# before, after (n, bands, h, w); truth, weight (n, h, w); and, where there are unlabelled pairs, two views of
# them, before, after, before, after (m, bands, h, w), and which pixels are valid, (m, h, w).
Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class TrainingBatches(Dataset[Batch]):
    """The batch of each step."""

    recipe: Recipe
    mixture: Mixture
    unlabelled: SceneSource | None = None  # pairs of which nobody knows what changed
    rank: int = 0  # of this process among those that train together; each draws chips of its own

    def __getitem__(self, step: int) -> Batch:
        """The batch of step `step`."""
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step, self.rank))
        chips = mix([self._chip(step, rng) for _ in range(recipe.chips.batch)], recipe.chips.mixed, rng)
        return (*stack(chips), *(self._views(step, rng) if self.unlabelled is not None else ()))

    def _views(self, step: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Unlabelled chips: before, after as seen; before, after varied; which pixels are valid."""
        assert self.unlabelled is not None
        recipe, source = self.recipe, self.unlabelled
        views = [
            two_views(source.load(source.draw(step, rng)), recipe.chips.size_px, recipe.bands, rng)
            for _ in range(recipe.unlabelled.batch)
        ]
        weak, strong = (stack(chips) for chips in zip(*views, strict=True))
        return (*weak[:2], *strong[:2], strong[3])

    def _chip(self, step: int, rng: np.random.Generator) -> Chip:
        chips = self.recipe.chips
        scene = self.mixture.draw(step, rng)
        if rng.random() < chips.same_day:
            scene = same_day(scene, rng)
        how = Variation(chips.around_change, chips.as_is, chips.resized)
        return training_chip(scene, chips.size_px, self.recipe.bands, rng, how)


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
        return stack([_padded(plain_chip(source.load(number), self.bands))])

    def __iter__(self) -> Iterator[Batch]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True)
class VariedChips:
    """Scenes as training varies them, several times each, one a batch: what other sensors make of them."""

    scenes: Sequence[tuple[SceneSource, int]]
    recipe: Recipe
    times: int = 2

    def __iter__(self) -> Iterator[Batch]:
        size, bands = self.recipe.validation.size_px, self.recipe.bands
        for index, (source, number) in enumerate(self.scenes):
            scene = source.load(number)
            for time in range(self.times):
                rng = np.random.default_rng((self.recipe.seed, index, time))
                yield stack([training_chip(scene, size, bands, rng)])


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


def mix(chips: Sequence[Chip], share: float, rng: np.random.Generator) -> list[Chip]:
    """Paste into a share of the chips a rectangle of the next one: both dates, truth and weight.

    CutMix (Yun et al. 2019, section 3.1) for pairs: the area of the rectangle is drawn evenly from 0 to 1.
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


def _padded(chip: Chip) -> Chip:
    """The chip with rows and columns added, of no data and no weight, up to multiples of the stride."""
    margins = [(0, -edge % MOST_STRIDE) for edge in chip.truth.shape]
    if not any(after for _, after in margins):
        return chip
    before, after = (np.pad(date, [(0, 0), *margins]) for date in (chip.before, chip.after))
    return Chip(before, after, np.pad(chip.truth, margins), np.pad(chip.weight, margins))


def stack(chips: Sequence[Chip]) -> Batch:
    """before, after (n, bands, h, w); truth, weight (n, h, w)."""
    before, after, truth, weight = (
        torch.from_numpy(np.stack([getattr(chip, field) for chip in chips]))
        for field in ("before", "after", "truth", "weight")
    )
    return before, after, truth, weight
