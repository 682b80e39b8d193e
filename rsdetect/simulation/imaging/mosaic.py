"""Mosaics: scenes with a part that was acquired on another day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import direction
from rsdetect.simulation.noise import Frame, smooth
from rsdetect.simulation.salts import Salt


@dataclass(frozen=True)
class Seam:
    """Seam of a mosaic, with another day on its far side; lengths in pixels."""

    across: tuple[float, float]  # unit vector across the line (down, to the right)
    offset: float  # of the line from the scene's corner
    wander: float  # amplitude of the line's deviations, as along roads and fields
    feather: float  # width of the blend between the days
    date: int

    def share(self, frame: Frame) -> Float32Array:
        """Share of the other day in a mosaic, 0 to 1; (height, width)."""
        rows = np.arange(frame.row, frame.row + frame.height, dtype=np.float32)[:, None]
        cols = np.arange(frame.col, frame.col + frame.width, dtype=np.float32)[None, :]
        behind = rows * np.float32(self.across[0]) + cols * np.float32(self.across[1])
        behind = behind - np.float32(self.offset)
        if self.wander:
            behind = behind + np.float32(self.wander) * smooth(
                frame, Salt.SEAM, 40 * frame.gsd_m, part=self.date
            )
        return np.asarray(np.clip(behind / np.float32(self.feather) + 0.5, 0, 1), dtype=np.float32)


def draw_seam(size: tuple[int, int], date: int, rng: Draws) -> Seam:
    """Seam of a mosaic through a scene of `size` (height, width) pixels, drawn."""
    across = direction(rng.random())
    down, right = (rng.uniform(0.2, 0.8) * edge for edge in size)
    return Seam(
        across=across,
        offset=down * across[0] + right * across[1],
        wander=rng.choice((0.0, 6.0, 20.0)),
        feather=rng.choice((0.1, 1.0, 12.0)),
        date=date,
    )
