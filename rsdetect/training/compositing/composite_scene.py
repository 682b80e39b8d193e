"""Composite scene for training: ground, change, two days. Equal seeds and images give equal pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.training.compositing.acquisition_day import MARGIN_PX
from rsdetect.training.compositing.buildings import draw_settlement
from rsdetect.training.compositing.composite_ground import Ground, draw_ground, expose_scene, usable_crop
from rsdetect.training.compositing.dead_leaves import dead_leaves
from rsdetect.training.compositing.moved_pieces import Donor, Grounds, move_pieces
from rsdetect.training.compositing.source_images import FINEST_STEP, VISIBLE, Image
from rsdetect.training.training_scenes import TrainingScene

_UNCHANGED = 0.2  # share of pairs without any change
_SCATTERED_PX = 160  # edge of the dead leaves image that pieces are cut from


def cut_scene(seed: int, size: int, images: Sequence[Image], leaves: float = 0.3) -> TrainingScene:
    """Composite scene number `seed` of `size` x `size` pixels, cut from images.

    Parameters
    ----------
    images
        Real ground; empty = dead leaves only.
    leaves
        Share of pairs on dead leaves if there are images.
    """
    rng = np.random.default_rng([seed, 11])
    real = bool(images) and rng.random() >= leaves
    edge = size + 2 * MARGIN_PX
    image = images[_draw_image_index(images, rng)] if real else dead_leaves(round(1.5 * edge), rng)
    # Dead leaves already have fine detail; enlarged, their edges would be pixelated.
    image = image.only(_draw_scene_bands(image.bands, rng))
    steps = (FINEST_STEP if real else 0.75, 1.6) if rng.random() < 0.8 else (0.8, 1.3)
    ground = draw_ground(image, edge, steps, rng)
    swing = float(min(rng.exponential(0.4), 1.2)) if rng.random() < 0.85 else 0.0
    grounds = Grounds.unchanged(ground.pixels)
    _draw_change(grounds, _make_donor(ground, images, rng), swing, rng)
    return expose_scene(ground, grounds, swing, size, rng)


def _draw_image_index(images: Sequence[Image], rng: np.random.Generator) -> int:
    """Draw the index of a composite scene's source image, with weights between uniform and area."""
    weights = np.array([image.valid.sum() ** 0.5 for image in images])
    return int(rng.choice(len(images), p=weights / weights.sum()))


def _draw_scene_bands(bands: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    return VISIBLE if rng.random() < 0.4 else bands


def _make_donor(ground: Ground, images: Sequence[Image], rng: np.random.Generator) -> Donor:
    """Donor of content for a composite scene: mostly of the same image, else of another or of dead leaves."""
    bands = ground.image.bands
    others = [other.only(bands) for other in images if set(bands) <= set(other.bands)]
    scattered = dead_leaves(_SCATTERED_PX, rng).only(bands) if rng.random() < 0.3 else None

    def donate(height: int, width: int) -> Float32Array:
        edge = max(height, width, 4)
        chosen, kind = ground.image, rng.random()
        if others and kind < 0.4:
            chosen = others[int(rng.integers(len(others)))]
        elif scattered is not None and kind < 0.6 and edge < _SCATTERED_PX:
            chosen = scattered
        pixels = usable_crop(chosen, edge, (FINEST_STEP, 1.6), rng)[0][:, :height, :width]
        return (pixels - ground.mean) / ground.deviation if chosen is ground.image else pixels

    return donate


def _draw_change(grounds: Grounds, donor: Donor, swing: float, rng: np.random.Generator) -> None:
    kind = rng.random()
    if rng.random() < 0.35:
        draw_settlement(grounds, 0.0 if kind < _UNCHANGED else float(rng.uniform(0.1, 0.9)), rng)
    if kind < _UNCHANGED:
        return
    few, many = int(rng.integers(1, 7)), int(rng.integers(7, 30))
    move_pieces(grounds, few if rng.random() < 0.6 else many, donor, swing, rng)
