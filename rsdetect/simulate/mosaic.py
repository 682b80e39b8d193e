"""Mosaics: a part of a scene that was seen on another day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.simulate.noise import Float32Array, Frame, smooth


@dataclass(frozen=True)
class Seam:
    """The line behind which a date's mosaic shows another day; lengths in pixels."""

    across: tuple[float, float]  # unit vector across the line (down, to the right)
    offset: float  # of the line from the scene's corner
    wander: float  # how far the line strays, as one laid along roads and fields does
    feather: float  # width over which the two days are blended
    salt: int

    def share(self, frame: Frame) -> Float32Array:
        """Share of the other day, 0 to 1; (height, width)."""
        rows = np.arange(frame.row, frame.row + frame.height, dtype=np.float32)[:, None]
        cols = np.arange(frame.col, frame.col + frame.width, dtype=np.float32)[None, :]
        behind = rows * np.float32(self.across[0]) + cols * np.float32(self.across[1])
        behind = behind - np.float32(self.offset)
        if self.wander:
            behind = behind + np.float32(self.wander) * smooth(frame, self.salt, 40 * frame.gsd_m)
        return np.asarray(np.clip(behind / np.float32(self.feather) + 0.5, 0, 1), dtype=np.float32)


def draw_seam(size: tuple[int, int], salt: int, rng: np.random.Generator) -> Seam:
    """A seam through a scene of `size` (height, width) pixels."""
    angle = rng.uniform(0, 2 * np.pi)
    across = (float(np.sin(angle)), float(np.cos(angle)))
    place = rng.uniform(0.2, 0.8, 2) * size
    return Seam(
        across=across,
        offset=float(place @ np.array(across)),
        wander=float(rng.choice([0.0, 6.0, 20.0])),
        feather=float(rng.choice([0.1, 1.0, 12.0])),
        salt=salt,
    )
