"""Windows that chips are cut from, and how they are brought to a chip's size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rsdetect.arraytypes import Float32Array


@dataclass(frozen=True)
class Cut:
    """A square window of a scene, brought to another number of pixels."""

    row: int
    col: int
    edge: int  # pixels of the scene
    size: int  # pixels of the chip
    scene: tuple[int, int]  # height and width in pixels

    def moved(self, by: NDArray[np.integer]) -> Cut:
        """The window some pixels further, as far as the scene goes: a shift between the dates."""
        row, col = np.clip((self.row + by[0], self.col + by[1]), 0, np.array(self.scene) - self.edge)
        return replace(self, row=int(row), col=int(col))

    def of(self, x: NDArray[np.generic]) -> NDArray[np.generic]:
        """(..., height, width) of the scene to (..., edge, edge)."""
        return x[..., self.row : self.row + self.edge, self.col : self.col + self.edge]

    def resized(self, x: NDArray[np.generic]) -> Float32Array:
        """(bands, edge, edge) to (bands, size, size)."""
        plain: Float32Array = np.ascontiguousarray(x, dtype=np.float32)
        if self.edge == self.size:
            return plain
        smooth = functional.interpolate(
            torch.from_numpy(plain)[None], size=(self.size, self.size), mode="bilinear", antialias=True
        )
        return smooth[0].numpy()

    def share_of(self, mask: NDArray[np.generic]) -> Float32Array:
        """(height, width) of 0 and 1 to the share of ones under each pixel of the chip, (size, size)."""
        inside = torch.from_numpy(np.asarray(self.of(mask), dtype=np.float32))[None, None]
        if self.edge != self.size:
            inside = functional.interpolate(inside, size=(self.size, self.size), mode="area")
        return inside[0, 0].numpy()


def draw_cut(
    truth: NDArray[np.uint8],
    size: int,
    rng: np.random.Generator,
    around_change: float = 0.0,
    resized: float = 0.8,
) -> Cut:
    """A random window, enlarged up to twice, or reduced as far as the scene reaches, or left as it is.

    The same kind of ground comes in all pixel sizes, and a network that has seen it in all of them
    depends less on the one that it meets.

    Parameters
    ----------
    truth
        (height, width), 1 = changed.
    around_change
        How often the window holds a changed pixel drawn at random, where there is one.
    resized
        How often the pixels get another size.
    """
    most = min(truth.shape)
    factor = 2 ** rng.uniform(-1, max(0.0, np.log2(most / size))) if rng.random() < resized else 1.0
    edge = min(most, max(1, round(size * float(factor))))
    room = np.array(truth.shape) - edge  # of the window's first row and column
    low, high = np.zeros(2, np.int64), room
    if around_change and rng.random() < around_change:
        changed = np.flatnonzero(truth == 1)
        if changed.size:
            at = np.array(np.unravel_index(changed[rng.integers(changed.size)], truth.shape))
            low, high = np.clip(at - edge + 1, 0, room), np.clip(at, 0, room)
    row, col = rng.integers(low, high + 1)
    return Cut(int(row), int(col), edge, size, (truth.shape[0], truth.shape[1]))
