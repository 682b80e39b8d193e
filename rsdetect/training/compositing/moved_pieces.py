"""Synthetic change by moved pieces: content of other places pasted with matched tone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.training.compositing.piece_shapes import Piece, draw_piece, grow_piece

# Mean distance between a piece and the ground that it covers, in spreads of the scene: below the first value
# it is no change, and up to the second it is ignored in the loss.
NOTHING, DOUBTFUL = 0.35, 0.55
_ON_BOTH = (
    0.2  # share of pieces pasted into both dates, so that an edge or a different tone alone is no change
)
_SMALLEST_PX = 3  # pixels of the smallest piece

Donor = Callable[[int, int], Float32Array]  # (height, width) to (bands, height, width) of another place


@dataclass(frozen=True)
class Grounds:
    """Ground of both dates of a composite scene; pieces are pasted in place."""

    before: Float32Array  # (bands, edge, edge), in spreads
    after: Float32Array
    truth: BoolArray  # (edge, edge), True = changed
    doubtful: BoolArray  # (edge, edge), True = low contrast, ignored in the loss

    @classmethod
    def unchanged(cls, pixels: Float32Array) -> Grounds:
        """Ground before pieces are moved: both dates equal to `pixels`."""
        shape = pixels.shape[1:]
        return cls(pixels.copy(), pixels.copy(), np.zeros(shape, bool), np.zeros(shape, bool))


def draw_piece_radius(edge: int, rng: np.random.Generator) -> float:
    """Draw the radius of a moved piece in pixels: log-uniform, up to a third of the scene's area."""
    return float(np.exp(rng.uniform(np.log(1.2), np.log(0.3 * edge))))


def move_pieces(grounds: Grounds, count: int, donor: Donor, swing: float, rng: np.random.Generator) -> None:
    """Move `count` pieces of other places into one date or, without change, into both.

    Parameters
    ----------
    donor
        Returns content of another place.
    swing
        Drift of the land's tones between the dates, in spreads: with more drift, a piece must differ more
        to count as change.
    """
    edge = grounds.before.shape[1]
    for _ in range(count):
        radius = draw_piece_radius(edge, rng)
        if rng.random() < 0.4 and radius > 2:
            piece = grow_piece(grounds.before, radius, rng)
        else:
            piece = draw_piece(edge, radius, rng)
        if (piece.alpha > 0.5).sum() < _SMALLEST_PX:
            continue
        content = donor(*piece.alpha.shape)
        dates: tuple[Float32Array, ...] = (grounds.before, grounds.after)
        if rng.random() >= _ON_BOTH:
            dates = (dates[int(rng.integers(2))],)
        elif grounds.truth[piece.window].any():
            continue
        match = (float(rng.random()), float(rng.random())) if rng.random() < 0.8 else (1.0, 1.0)
        _move_piece(grounds, dates, piece, _match_tones(content, dates[0], piece, match), swing)


def _match_tones(
    content: Float32Array, date: Float32Array, piece: Piece, match: tuple[float, float]
) -> Float32Array:
    """Match the mean and contrast of a moved piece partly to the ground that it covers."""
    weight = piece.alpha / piece.alpha.sum()
    covered = date[(slice(None), *piece.window)]

    def moments(x: Float32Array) -> tuple[Float32Array, Float32Array]:
        mean = (x * weight).sum(axis=(1, 2), keepdims=True)
        return mean, np.sqrt((((x - mean) ** 2) * weight).sum(axis=(1, 2), keepdims=True)) + np.float32(0.05)

    (mean, deviation), (aim, contrast) = moments(content), moments(covered)
    gain = 1 + match[1] * (np.clip(contrast / deviation, 0.25, 4) - 1)
    return np.asarray(mean + match[0] * (aim - mean) + gain * (content - mean), dtype=np.float32)


def _move_piece(
    grounds: Grounds, dates: tuple[Float32Array, ...], piece: Piece, content: Float32Array, swing: float
) -> None:
    window = (slice(None), *piece.window)
    inside = piece.alpha > 0.5
    if len(dates) == 1:
        other = grounds.after if dates[0] is grounds.before else grounds.before
        far, visible = (
            patch_difference(content, other[window]),
            patch_difference(content[:3], other[window][:3]),
        )
        raised = 1 + 0.5 * min(swing, 1.0)
        if far[inside].mean() < NOTHING * raised:
            return
        weak = inside & (visible < 0.5 * NOTHING)
        if visible[inside].mean() < DOUBTFUL * raised:
            weak = inside
        grounds.truth[piece.window][inside] = True
        grounds.doubtful[piece.window][inside] = weak[inside]
    for date in dates:
        date[window] += piece.alpha * (content - date[window])


def patch_difference(one: Float32Array, other: Float32Array) -> Float32Array:
    """Difference of a moved piece and the ground, in tone and texture; (height, width), in spreads.

    Root mean square over bands and 5 x 5 pixels, which includes both a shifted mean and another texture.
    """
    squared = ((one - other) ** 2).mean(axis=0)
    return np.asarray(np.sqrt(np.maximum(uniform_filter(squared, 5, mode="nearest"), 0)), dtype=np.float32)
