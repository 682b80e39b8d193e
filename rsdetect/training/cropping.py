"""Cropping of chips: square windows of a scene, resampled to the chip's size."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from rsdetect.arraytypes import Float32Array


@dataclass(frozen=True)
class Crop:
    """Crop: a square window of a scene, resampled to another number of pixels."""

    row: int
    col: int
    edge: int  # pixels of the scene
    size: int  # pixels of the chip
    scene: tuple[int, int]  # height and width in pixels

    def moved(self, by: NDArray[np.integer]) -> Crop:
        """Crop moved by some pixels within the scene: synthetic misregistration of the dates."""
        row, col = np.clip((self.row + by[0], self.col + by[1]), 0, np.array(self.scene) - self.edge)
        return replace(self, row=int(row), col=int(col))

    def of(self, x: NDArray[np.generic]) -> NDArray[np.generic]:
        """Crop an array of the scene: (..., height, width) to (..., edge, edge)."""
        return x[..., self.row : self.row + self.edge, self.col : self.col + self.edge]

    def resized(self, x: NDArray[np.generic]) -> Float32Array:
        """Resample a crop: (bands, edge, edge) to (bands, size, size)."""
        plain: Float32Array = np.ascontiguousarray(x, dtype=np.float32)
        if self.edge == self.size:
            return plain
        smooth = functional.interpolate(
            torch.from_numpy(plain)[None], size=(self.size, self.size), mode="bilinear", antialias=True
        )
        return smooth[0].numpy()

    def share_of(self, mask: NDArray[np.generic]) -> Float32Array:
        """Crop a mask of the scene to the share of ones in each pixel of the chip, (size, size)."""
        inside = torch.from_numpy(np.asarray(self.of(mask), dtype=np.float32))[None, None]
        if self.edge != self.size:
            inside = functional.interpolate(inside, size=(self.size, self.size), mode="area")
        return inside[0, 0].numpy()


def draw_crop(
    truth: NDArray[np.uint8],
    size: int,
    rng: np.random.Generator,
    around_change: float = 0.0,
    resized: float = 0.8,
) -> Crop:
    """Random crop, enlarged up to twice, reduced as far as the scene allows, or not resampled.

    Varied pixel sizes make the network less dependent on the pixel size of a scene.

    Parameters
    ----------
    truth
        (height, width), 1 = changed.
    around_change
        Share of crops that contain a random changed pixel, if there is one.
    resized
        Share of crops with another pixel size.
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
    return Crop(int(row), int(col), edge, size, (truth.shape[0], truth.shape[1]))
