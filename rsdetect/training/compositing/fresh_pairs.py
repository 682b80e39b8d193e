"""Fresh pairs: one date of a scene used twice, with regions of other places exchanged, or nothing.

The change is plainer than simulated change, with sharp, known outlines on ground that is otherwise equal, and
new for each chip. The tones of both dates are augmented independently afterwards, as on two days.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.training.chips import same_day_scene
from rsdetect.training.compositing.moved_pieces import DOUBTFUL, patch_difference
from rsdetect.training.compositing.piece_shapes import draw_piece
from rsdetect.training.training_scenes import UNKNOWN, TrainingScene

_UNCHANGED = 0.3  # share of pairs without change
_MOST = 8  # regions
_RADII = (2.0, 0.15)  # the smallest in pixels, the largest relative to the scene


def fresh_pair(scene: TrainingScene, rng: np.random.Generator) -> TrainingScene:
    """Draw a fresh pair from one date of a scene; its truth is `UNKNOWN` where both places look alike."""
    still = same_day_scene(scene, rng)
    return still if rng.random() < _UNCHANGED else _exchange_regions(still, rng)


def _exchange_regions(still: TrainingScene, rng: np.random.Generator) -> TrainingScene:
    date, valid, truth = still.after, still.valid.copy(), still.truth.copy()
    height, width = truth.shape
    moved, deviation = date.copy(), _deviations(date)
    for _ in range(int(rng.integers(1, _MOST + 1))):
        edge = min(height, width)
        radius = float(np.exp(rng.uniform(np.log(_RADII[0]), np.log(_RADII[1] * edge))))
        piece = draw_piece(edge, radius, rng)
        rows, cols = (
            (np.arange(part.start, part.stop) + int(rng.integers(length))) % length
            for part, length in zip(piece.window, (height, width), strict=True)
        )
        place = np.ix_(rows, cols)
        covered = date[(..., *piece.window)].astype(np.float32)
        content = date[(..., *place)].astype(np.float32)
        under = moved[(..., *piece.window)].astype(np.float32)  # other regions, where they overlap
        mixed = under + piece.alpha * (content - under)
        moved[(..., *piece.window)] = np.rint(mixed) if date.dtype.kind == "u" else mixed
        inside = piece.alpha > 0.5
        if not inside.any():
            continue
        difference = patch_difference(content / deviation, covered / deviation)[inside].mean()
        truth[piece.window][inside] = 1 if difference >= DOUBTFUL else UNKNOWN
        valid[piece.window] &= ~inside | still.valid[place]
    return replace(still, after=moved, truth=truth, valid=valid)


def _deviations(date: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Float32Array:
    """Deviations of the bands of a fresh pair's date, (bands, 1, 1), at least 1e-6."""
    deviation = date[:, ::4, ::4].astype(np.float32).std(axis=(1, 2), keepdims=True)
    return np.asarray(np.maximum(deviation, 1e-6), np.float32)
