"""Scenes of real roofs: pairs in which new, removed and rebuilt buildings alone count.

Either two unrelated images with known buildings, whose truth is what only one of them has (ChangeStar: Zheng
et al. 2021, "Change is Everywhere", section 3.2), or one place on both dates, with roofs and pieces of other
images moved into it. The place is one image twice, or unbuilt ground on two real days. What changes without a
building is no change here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_dilation, find_objects, gaussian_filter, label

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.training.compositing.acquisition_day import MARGIN_PX
from rsdetect.training.compositing.composite_ground import Ground, draw_ground, expose_scene, other_day
from rsdetect.training.compositing.moved_pieces import Grounds
from rsdetect.training.compositing.piece_shapes import draw_piece
from rsdetect.training.compositing.source_images import VISIBLE, Image, take_mask_crop
from rsdetect.training.training_scenes import TrainingScene

_STEPS = (0.9, 3.0)  # image pixels per pixel of the scene
_UNRELATED = 0.3  # share of pairs of two unrelated images
_UNCHANGED = 0.15  # share of the others in which no building changes
_BARE = 0.4  # share of grounds on which nothing is built
_LEAST_PX = 12  # pixels of the smallest roof that is moved
_MOST_COVERED = 0.1  # share of a moved roof that may lie on other roofs


class _Dates:
    """Both dates of a scene, and where each of them has buildings; roofs and pieces are moved in place."""

    def __init__(self, before: Float32Array, after: Float32Array, buildings: BoolArray) -> None:
        self.pixels = (before.copy(), after.copy())
        self.buildings = (buildings.copy(), buildings.copy())
        self.rebuilt = np.zeros_like(buildings)  # a building on both dates, not the same one

    def move(
        self,
        content: Float32Array,
        alpha: Float32Array,
        roofs: BoolArray,
        window: tuple[slice, slice],
        dates: Sequence[int],
    ) -> None:
        """Move `content` (bands, height, width) into a window of some dates, where `alpha` is above 0."""
        inside = alpha > 0.5
        for date in dates:
            target = self.pixels[date][(slice(None), *window)]
            target += alpha * (content - target)
            self.buildings[date][window][inside] = roofs[inside]
        if len(dates) == 1:
            self.rebuilt[window] |= inside & self.buildings[0][window] & self.buildings[1][window]
        else:
            self.rebuilt[window] &= ~inside


def roof_scene(seed: int, size: int, images: Sequence[Image], two_days: float = 0.0) -> TrainingScene:
    """Scene number `seed` of `size` x `size` pixels, in which buildings alone count.

    Parameters
    ----------
    images
        Images whose buildings are known; some have none.
    two_days
        Share of scenes on unbuilt ground of which the images have two days.
    """
    rng = np.random.default_rng([seed, 13])
    edge = size + 2 * MARGIN_PX
    roofed = [image for image in images if image.buildings is not None and image.buildings.any()]
    bare = [image for image in images if image.buildings is not None and not image.buildings.any()]
    days = _draw_two_days(bare, rng) if two_days and rng.random() < two_days else None
    unrelated = days is None and rng.random() < _UNRELATED
    one, donor = _draw_image(roofed, rng), _draw_image(roofed, rng)
    if bare and rng.random() < _BARE:
        one = _draw_image(bare, rng)
    ground, roofs = _draw_built_ground(one if days is None else days[0], edge, rng)
    dates = _Dates(ground.pixels, ground.pixels, roofs)
    swing = float(min(rng.exponential(0.4), 1.2)) if rng.random() < 0.85 else 0.0
    if days is not None:
        # The tones of both days are real; nothing is added to their drift.
        ground, swing = replace(ground, image=replace(ground.image, drifts=())), 0.0
        pixels, valid = other_day(ground, days[1])
        ground = replace(ground, valid=ground.valid & valid)
        dates = _Dates(ground.pixels, pixels, roofs)
    if unrelated:
        other, its_roofs = _draw_built_ground(donor, edge, rng)
        ground = replace(ground, valid=ground.valid & other.valid)
        whole = (slice(0, edge), slice(0, edge))
        dates.move(other.pixels, np.ones((edge, edge), np.float32), its_roofs, whole, (1,))
    else:
        _move_everything(dates, donor, bare, edge, rng)
    return expose_scene(ground, _as_grounds(dates), swing, size, rng)


def _as_grounds(dates: _Dates) -> Grounds:
    before, after = dates.buildings
    # What was rebuilt is a change to some and none to others, so it is ignored in the loss.
    return Grounds(*dates.pixels, (before ^ after) | dates.rebuilt, dates.rebuilt)


def _draw_image(images: Sequence[Image], rng: np.random.Generator) -> Image:
    """Draw an image, with weights between uniform and area."""
    weights = np.array([image.valid.sum() ** 0.5 for image in images])
    return images[int(rng.choice(len(images), p=weights / weights.sum()))]


def _draw_two_days(bare: Sequence[Image], rng: np.random.Generator) -> tuple[Image, Image] | None:
    """Draw two images of one place, on which nothing is built; None = no place has two."""
    pairs = [(one, two) for one in bare for two in bare if one.place == two.place and one is not two]
    return pairs[int(rng.integers(len(pairs)))] if pairs else None


def _draw_built_ground(image: Image, edge: int, rng: np.random.Generator) -> tuple[Ground, BoolArray]:
    """Draw a ground and where it is built, (edge, edge)."""
    ground = draw_ground(image.only(VISIBLE), edge, _STEPS, rng)
    assert image.buildings is not None
    return ground, take_mask_crop(image.buildings, ground.cut, edge) > 0.5


def _move_everything(
    dates: _Dates, donor: Image, bare: Sequence[Image], edge: int, rng: np.random.Generator
) -> None:
    """Move roofs into the ground, and pieces without a roof, which are no change, or remove a building."""
    changed = 0.0 if rng.random() < _UNCHANGED else float(rng.uniform(0.1, 1.0))
    direction = float(rng.random())  # share of what is removed among what changes
    other, roofs = _draw_built_ground(donor, edge, rng)
    if bare and rng.random() < 0.7:
        empty, _ = _draw_built_ground(_draw_image(bare, rng), edge, rng)
        for _ in range(int(rng.integers(0, 6))):
            _move_bare_piece(dates, empty.pixels, edge, rng)
        if changed:
            _remove_buildings(dates, empty.pixels, 0.3 * changed * float(rng.random()), direction, rng)
    for _ in range(int(rng.integers(2, 7))):
        _move_roofs(dates, other.pixels, roofs & other.valid, (changed, direction), rng)


def _move_bare_piece(dates: _Dates, content: Float32Array, edge: int, rng: np.random.Generator) -> None:
    """Move a piece on which nothing is built into unbuilt ground of one date."""
    radius = float(np.exp(rng.uniform(np.log(2.0), np.log(0.2 * edge))))
    piece = draw_piece(edge, radius, rng)
    built = dates.buildings[0][piece.window] | dates.buildings[1][piece.window]
    alpha = np.where(binary_dilation(built, iterations=2), np.float32(0), piece.alpha)
    moved = _blend(content[(slice(None), *piece.window)], dates, piece.window, rng)
    dates.move(moved, alpha, np.zeros_like(built), piece.window, (int(rng.integers(2)),))


def _blend(
    content: Float32Array, dates: _Dates, window: tuple[slice, slice], rng: np.random.Generator
) -> Float32Array:
    """Content with its mean partly that of the ground that it covers."""
    covered = dates.pixels[0][(slice(None), *window)].mean(axis=(1, 2), keepdims=True)
    own = content.mean(axis=(1, 2), keepdims=True)
    return np.asarray(content + np.float32(rng.uniform(0, 1)) * (covered - own), np.float32)


def _remove_buildings(
    dates: _Dates, content: Float32Array, share: float, direction: float, rng: np.random.Generator
) -> None:
    """Replace a share of the ground's buildings, with what surrounds them, by bare content on one date."""
    numbers, _ = label(dates.buildings[0])
    height, width = numbers.shape
    for number, found in enumerate(find_objects(numbers), start=1):
        if rng.random() >= share:
            continue
        rows, cols = (
            slice(max(part.start - 8, 0), min(part.stop + 8, length))
            for part, length in zip(found, (height, width), strict=True)
        )
        window = (rows, cols)
        cover = binary_dilation(numbers[window] == number, iterations=int(rng.integers(2, 6)))
        cover &= (numbers[window] == number) | (numbers[window] == 0)
        moved = _blend(content[(slice(None), *window)], dates, window, rng)
        date = int(rng.random() < direction)
        dates.move(moved, _soft(cover), np.zeros_like(cover), window, (date,))


def _move_roofs(
    dates: _Dates,
    content: Float32Array,
    roofs: BoolArray,
    shares: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Move the roofs of a part of a ground, each by the same distance.

    Parameters
    ----------
    shares
        Of the roofs that are moved into one date alone, and among them of those that only the earlier has.
    """
    edge = roofs.shape[0]
    numbers, _ = label(roofs)
    middle, reach = rng.uniform(0, edge, 2), rng.uniform(0.08, 0.4) * edge
    by = rng.uniform(0.1 * edge, 0.9 * edge, 2) - middle  # to where the part is moved
    margin = int(rng.integers(0, 5))  # of the ground around a roof that comes along, with its shadow
    changed, direction = shares
    for number, found in enumerate(find_objects(numbers), start=1):
        centre = np.array([(part.start + part.stop) / 2 for part in found])
        if np.abs(centre - middle).max() > reach:
            continue
        source = tuple(slice(part.start - margin - 2, part.stop + margin + 2) for part in found)
        target = tuple(
            slice(part.start + round(step), part.stop + round(step))
            for part, step in zip(source, by, strict=True)
        )
        if any(part.start < 0 or part.stop > edge for part in (*source, *target)):
            continue
        roof = numbers[source] == number
        built = dates.buildings[0][target] | dates.buildings[1][target]
        if roof.sum() < _LEAST_PX or (built & roof).sum() > _MOST_COVERED * roof.sum():
            continue
        cover = binary_dilation(roof, iterations=margin) if margin else roof
        cover &= roof | ~built
        which = (0, 1) if rng.random() >= changed else (int(rng.random() >= direction),)
        dates.move(content[(slice(None), *source)], _soft(cover), roof & cover, (target[0], target[1]), which)


def _soft(cover: BoolArray) -> Float32Array:
    """Cover with an edge as soft as that of a sharp image."""
    return np.asarray(gaussian_filter(cover.astype(np.float32), 0.5), np.float32)
