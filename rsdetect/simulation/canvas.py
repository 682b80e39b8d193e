"""Canvas of one date's ground, before illumination and sensor, and the textures that both dates share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from math import sqrt

import numpy as np

from rsdetect.arraytypes import Float32Array, IndexArray, UInt8Array, UInt32Array
from rsdetect.simulation.noise import Frame, hashed, rough, smooth, uniform, white
from rsdetect.simulation.salts import Salt


class Cover(IntEnum):
    """Coarse land cover of a canvas pixel, from which the ground truth is derived."""

    OPEN = 0  # soil, crops, grass
    WOODY = 1
    BUILDING = 2
    PAVED = 3
    WATER = 4
    SOLAR = 5
    GREENHOUSE = 6


@dataclass(frozen=True)
class Canvas:
    """Canvas of one date's ground; arrays are (height, width) and are painted in place."""

    first: UInt8Array  # palette row of the main material
    second: UInt8Array  # palette row of the material mixed into it
    mix: Float32Array  # share of the second material, 0 to 1
    shade: Float32Array  # brightness relative to the palette
    height_m: Float32Array  # above the ground, for shadows
    trees: Float32Array  # share of tree positions with a tree
    cover: UInt8Array  # Cover

    @staticmethod
    def blank(shape: tuple[int, int]) -> Canvas:
        """An empty canvas."""
        zeros = [np.zeros(shape, dtype=np.float32) for _ in range(4)]
        zeros[1][:] = 1
        bytes_ = [np.zeros(shape, dtype=np.uint8) for _ in range(3)]
        return Canvas(bytes_[0], bytes_[1], zeros[0], zeros[1], zeros[2], zeros[3], bytes_[2])

    def paint(
        self,
        at: IndexArray,
        first: UInt8Array,
        second: UInt8Array,
        mix: Float32Array,
        shade: Float32Array,
        cover: Cover | UInt8Array,
    ) -> None:
        """Paint the flat pixel indices `at` of the canvas; arrays have the length of `at`, or 1."""
        self.first.reshape(-1)[at] = first
        self.second.reshape(-1)[at] = second
        self.mix.reshape(-1)[at] = np.clip(mix, 0, 1)
        self.shade.reshape(-1)[at] = shade
        self.cover.reshape(-1)[at] = cover


@dataclass(frozen=True)
class Texture:
    """Texture noise at several scales, flat, mean 0 and standard deviation 1; from pixels to 100 m."""

    grain: Float32Array  # pixel to pixel
    fine: Float32Array  # a few pixels
    patch: Float32Array  # ten metres or so
    broad: Float32Array  # a hundred metres or so
    leaves: Float32Array  # sharp-edged, overlapping patches of all sizes
    lasting: Float32Array  # as `patch`, but the same on both dates

    @staticmethod
    def draw_pair(frame: Frame, strength: float) -> tuple[Texture, Texture]:
        """Canvas textures of both dates: a part that they share and a part of each date.

        `strength` is the relative contrast of the finer scales.
        """
        outlines = _texture_outlines(frame, max(9 * frame.gsd_m, 12.0))
        place, *own = (Texture._draw(frame, part, outlines) for part in range(3))
        before, after = (
            Texture(
                grain=_blend_textures(place.grain, date.grain, 0.6, strength),
                fine=_blend_textures(place.fine, date.fine, 0.5, strength),
                patch=_blend_textures(place.patch, date.patch, 0.4, 1.0),
                broad=_blend_textures(place.broad, date.broad, 0.4, 1.0),
                leaves=_blend_textures(place.leaves, date.leaves, 0.3, 1.0),
                lasting=place.lasting.ravel(),
            )
            for date in own
        )
        return before, after

    @staticmethod
    def _draw(frame: Frame, part: int, outlines: UInt32Array) -> Texture:
        """Canvas textures of the place (part 0) or of one date (parts 1 and 2)."""
        fine_m, patch_m = max(2.5 * frame.gsd_m, 1.2), max(7 * frame.gsd_m, 9.0)
        patch = rough(frame, Salt.TEXTURE_PATCH, patch_m, part=part)
        leaves = uniform(frame.seed, Salt.TEXTURE_LEAVES, outlines, part=part)
        return Texture(
            grain=white(frame, Salt.TEXTURE_GRAIN, part),
            fine=smooth(frame, Salt.TEXTURE_FINE, fine_m, part=part),
            patch=patch,
            broad=rough(frame, Salt.TEXTURE_BROAD, 12 * patch_m, 2, part=part),
            leaves=(leaves - np.float32(0.5)) * np.float32(sqrt(12)),
            lasting=patch,
        )

    def at(self, where: IndexArray) -> Texture:
        """Canvas textures at flat pixel indices."""
        return Texture(*(getattr(self, f.name)[where] for f in fields(self)))


def _texture_outlines(frame: Frame, scale_m: float) -> UInt32Array:
    """Texture patches of a canvas, sharp-edged: the number of each pixel's patch; (height, width).

    Intersected level sets of two noise fields give patches of every size and shape.
    """
    fields = rough(frame, Salt.OUTLINE, scale_m, 4), rough(frame, Salt.OUTLINE_LARGE, 4 * scale_m, 4)
    return hashed(frame.seed, Salt.OUTLINE_KEY, *(np.floor(1.7 * field) for field in fields))


def _blend_textures(place: Float32Array, own: Float32Array, share: float, strength: float) -> Float32Array:
    """Blend of a date's canvas texture, with weight `share`, and that of the place; flat."""
    power = np.float32(strength / sqrt((1 - share) * (1 - share) + share * share))
    return np.asarray(((1 - share) * place + share * own) * power, dtype=np.float32).ravel()
