"""What a painter of the ground is given and gives back, and the patterns painters share."""

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

_ALWAYS = 2  # in the place of a date: on both


@dataclass(frozen=True)
class Patch:
    """The pixels of one use, flat (n,), and what their painter needs to know."""

    texture: Texture
    gsd_m: float
    date: int  # 0 or 1
    along_m: Float32Array  # from the plot's middle, along the street
    away_m: Float32Array  # from the plot's front
    length_m: Float32Array
    depth_m: Float32Array
    street_m: Float32Array  # place across the street, from its middle
    run_m: Float32Array  # place along the street
    width_m: Float32Array  # of the street
    soil: UInt8Array
    plant: UInt8Array
    paved: UInt8Array
    cover: Float32Array
    rows_m: Float32Array
    key: UInt32Array  # of the plot
    area: UInt32Array  # of the district

    def lot(self, salt: Salt) -> Float32Array:
        """A number in [0, 1) for the pixel's plot; those of different salts are independent."""
        return uniform(0, salt, self.key)

    def region(self, salt: Salt) -> Float32Array:
        """A number in [0, 1) for the pixel's district, likewise."""
        return uniform(0, salt, self.area)

    def day(self, salt: Salt) -> Float32Array:
        """A number in [0, 1) for the pixel's plot on this date, likewise."""
        return uniform(0, salt, self.key, part=self.date)

    @property
    def edge_m(self) -> Float32Array:
        """Distance to the plot's edge."""
        sides = self.length_m / 2 - np.abs(self.along_m)
        return np.asarray(np.minimum(sides, np.minimum(self.away_m, self.depth_m - self.away_m)))


@dataclass(frozen=True)
class Paint:
    """What a painter gives back; arrays as long as the patch, or of length 1."""

    first: UInt8Array
    second: UInt8Array
    mix: Numbers
    shade: Numbers
    cover: Cover = Cover.OPEN
    height_m: Numbers | None = None  # above the ground, None = flat


@dataclass(frozen=True)
class Things:
    """Small things strewn over the patch, one or none in each cell of a grid; flat (n,)."""

    on: BoolArray  # the pixel lies on one
    tone: Float32Array  # a draw in [0, 1) for the thing
    middle: Float32Array  # 1 in its middle, 0 at its rim; meaningful where `on`


def strew(p: Patch, cell_m: tuple[float, float], share: Numbers | float, salt: Salt, moved: bool) -> Things:
    """Strew boxes over plots.

    Parameters
    ----------
    cell_m
        Size of a cell along the street and away from it; a thing fills a third to nearly all of it.
    share
        Share of cells that hold a thing, at most 1.
    moved
        Whether the things lie elsewhere on each date.
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
    return Things((far < 1) & (part(0) < share), part(24), np.clip(1 - far, 0, 1))


def palette_row(name: str, lot: Numbers | None = None) -> UInt8Array:
    """Palette rows of a material: its first variant, or one by lot."""
    start, count = RANGES[name]
    if lot is None:
        return np.array([start], dtype=np.uint8)
    return (start + np.minimum(lot * count, count - 1)).astype(np.uint8)


def stripes(at: Numbers, spacing: Numbers | float, gsd_m: float) -> Float32Array:
    """A wave of -1 to 1 across rows, fading where a pixel no longer resolves them."""
    visible = np.clip(np.asarray(spacing) / (2.2 * gsd_m) - 0.6, 0, 1)
    return np.asarray(cos_turns(np.asarray(at / spacing, dtype=np.float32)) * visible, dtype=np.float32)


def line(at: Numbers, spacing: float, width: float, gsd_m: float) -> Float32Array:
    """1 on lines `spacing` apart, fading where they are thinner than a pixel."""
    inside = np.abs(at - spacing * np.round(at / spacing)) < max(width, gsd_m) / 2
    return np.asarray(inside * np.float32(min(1.0, width / gsd_m)), dtype=np.float32)


def seen(size_m: float, gsd_m: float) -> float:
    """How much of a thing's contrast is left where it is `size_m` across: 1 = all, 0 = none."""
    return float(np.clip(size_m / gsd_m - 0.5, 0, 1))
