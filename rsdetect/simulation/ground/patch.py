"""Patches of ground: the arguments and results of painters, and their common patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array, UInt8Array, UInt32Array
from rsdetect.simulation.canvas import Cover, Texture
from rsdetect.simulation.exact import cos_turns
from rsdetect.simulation.materials import RANGES
from rsdetect.simulation.noise import hashed, uniform
from rsdetect.simulation.salts import Salt

Numbers = NDArray[np.floating[Any]]

_ALWAYS = 2  # used instead of a date: on both dates


@dataclass(frozen=True)
class Patch:
    """Patch of pixels of one land use, flat (n,), with the arguments of its painter."""

    texture: Texture
    gsd_m: float
    date: int  # 0 or 1
    along_m: Float32Array  # from the plot's middle, along the street
    away_m: Float32Array  # from the plot's front
    length_m: Float32Array
    depth_m: Float32Array
    street_m: Float32Array  # position across the street, from its middle
    run_m: Float32Array  # position along the street
    width_m: Float32Array  # of the street
    soil: UInt8Array
    plant: UInt8Array
    paved: UInt8Array
    cover: Float32Array
    rows_m: Float32Array
    key: UInt32Array  # of the plot
    area: UInt32Array  # of the district

    def lot(self, salt: Salt) -> Float32Array:
        """Uniform draw in [0, 1) for the plot of each pixel of a patch; salts are independent."""
        return uniform(0, salt, self.key)

    def region(self, salt: Salt) -> Float32Array:
        """Uniform draw in [0, 1) for the district of each pixel of a patch."""
        return uniform(0, salt, self.area)

    def day(self, salt: Salt) -> Float32Array:
        """Uniform draw in [0, 1) for the plot of each pixel of a patch on this date."""
        return uniform(0, salt, self.key, part=self.date)

    @property
    def edge_m(self) -> Float32Array:
        """Distance of each pixel of a patch to the edge of its plot."""
        sides = self.length_m / 2 - np.abs(self.along_m)
        return np.asarray(np.minimum(sides, np.minimum(self.away_m, self.depth_m - self.away_m)))


@dataclass(frozen=True)
class Paint:
    """Paint for a patch, as returned by a painter; arrays have the length of the patch, or 1."""

    first: UInt8Array
    second: UInt8Array
    mix: Numbers
    shade: Numbers
    cover: Cover = Cover.OPEN
    height_m: Numbers | None = None  # above the ground, None = flat


@dataclass(frozen=True)
class StrewnObjects:
    """Small objects strewn over a patch, at most one in each cell of a grid; flat (n,)."""

    on: BoolArray  # the pixel lies on an object
    tone: Float32Array  # uniform draw in [0, 1) for the object
    middle: Float32Array  # 1 in its middle, 0 at its rim; valid where `on`


def strew_objects(
    p: Patch, cell_m: tuple[float, float], share: Numbers | float, salt: Salt, moved: bool
) -> StrewnObjects:
    """Strew box-shaped objects over a patch.

    Parameters
    ----------
    cell_m
        Size of a cell along the street and away from it; an object fills a third to nearly all of it.
    share
        Share of cells with an object, at most 1.
    moved
        Whether the objects move between the dates.
    """
    column, row = np.floor(p.along_m / cell_m[0]), np.floor(p.away_m / cell_m[1])
    draw = hashed(0, salt, column, row, p.key, part=p.date if moved else _ALWAYS)

    def part(shift: int) -> Float32Array:
        return ((draw >> np.uint32(shift)) & np.uint32(63)).astype(np.float32) * np.float32(1 / 64)

    half_u = (0.15 + 0.3 * part(6)) * cell_m[0]
    half_v = (0.15 + 0.3 * part(12)) * cell_m[1]
    shift = part(18) - 0.5
    u = np.abs(p.along_m - (column + 0.5) * cell_m[0] - shift * (cell_m[0] - 2 * half_u)) / half_u
    v = np.abs(p.away_m - (row + 0.5) * cell_m[1] + shift * (cell_m[1] - 2 * half_v)) / half_v
    far = np.maximum(u, v)
    return StrewnObjects((far < 1) & (part(0) < share), part(24), np.clip(1 - far, 0, 1))


def palette_row(name: str, lot: Numbers | None = None) -> UInt8Array:
    """Palette rows of a patch's material: its first variant, or one chosen by `lot`."""
    start, count = RANGES[name]
    if lot is None:
        return np.array([start], dtype=np.uint8)
    return (start + np.minimum(lot * count, count - 1)).astype(np.uint8)


def stripes(at: Numbers, spacing: Numbers | float, gsd_m: float) -> Float32Array:
    """Stripe pattern of a patch: a cosine wave that fades where pixels no longer resolve it."""
    visible = np.clip(np.asarray(spacing) / (2.2 * gsd_m) - 0.6, 0, 1)
    return np.asarray(cos_turns(np.asarray(at / spacing, dtype=np.float32)) * visible, dtype=np.float32)


def line(at: Numbers, spacing: float, width: float, gsd_m: float) -> Float32Array:
    """Line pattern of a patch: 1 on lines `spacing` apart, fading where they are thinner than a pixel."""
    inside = np.abs(at - spacing * np.round(at / spacing)) < max(width, gsd_m) / 2
    return np.asarray(inside * np.float32(min(1.0, width / gsd_m)), dtype=np.float32)


def seen(size_m: float, gsd_m: float) -> float:
    """Remaining contrast of a patch's detail that is `size_m` across: 1 = all, 0 = none."""
    return float(np.clip(size_m / gsd_m - 0.5, 0, 1))
