"""Painting the ground by its use: fields, grass, yards, panels, water."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.canvas import Canvas, Cover, Texture
from rsdetect.simulate.catalogue import Catalogue
from rsdetect.simulate.land import Use
from rsdetect.simulate.materials import RANGES
from rsdetect.simulate.noise import Float32Array, UInt32Array
from rsdetect.simulate.plots import Plots

UInt8Array = NDArray[np.uint8]
Numbers = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Patch:
    """The pixels of one use, flat (n,), and what their painter needs to know."""

    texture: Texture
    gsd_m: float
    along_m: Float32Array
    away_m: Float32Array
    soil: UInt8Array
    plant: UInt8Array
    paved: UInt8Array
    cover: Float32Array
    rows_m: Float32Array
    key: UInt32Array

    def lot(self, shift: int) -> Float32Array:
        """A number in [0, 1] for the pixel's plot; another one for each `shift` (0 to 24)."""
        return ((self.key >> np.uint32(shift)) & np.uint32(255)).astype(np.float32) * np.float32(1 / 255)


@dataclass(frozen=True)
class Paint:
    """What a painter gives back; arrays as long as the patch, or of length 1."""

    first: UInt8Array
    second: UInt8Array
    mix: Float32Array
    shade: Float32Array
    cover: Cover = Cover.OPEN


def _row(name: str, lot: Float32Array | None = None) -> UInt8Array:
    """Palette rows of a material: its first variant, or one by lot."""
    start, count = RANGES[name]
    if lot is None:
        return np.array([start], dtype=np.uint8)
    return (start + np.minimum(lot * count, count - 1)).astype(np.uint8)


def stripes(at: Numbers, spacing: Numbers | float, gsd_m: float) -> Float32Array:
    """A wave of -1 to 1 across rows, fading where a pixel no longer resolves them."""
    visible = np.clip(np.asarray(spacing) / (2.2 * gsd_m) - 0.6, 0, 1)
    return np.asarray(np.cos(at * (2 * np.pi / spacing)) * visible, dtype=np.float32)


def line(at: Numbers, spacing: float, width: float, gsd_m: float) -> Float32Array:
    """1 on lines `spacing` apart, fading where they are thinner than a pixel."""
    inside = np.abs(at - spacing * np.round(at / spacing)) < max(width, gsd_m) / 2
    return np.asarray(inside * np.float32(min(1.0, width / gsd_m)), dtype=np.float32)


def _crop(p: Patch) -> Paint:
    t = p.texture
    across = np.where(p.lot(0) < 0.5, p.along_m, p.away_m)
    beds = np.floor(across / (3 + 9 * p.lot(8)))
    # Some fields are worked in beds that stand at different stages.
    bed_tone = np.sin(beds * 12.9898 + p.cover * 40) * (p.lot(16) < 0.35) * 0.35
    mix = (
        p.cover
        + 0.10 * t.patch
        + 0.08 * t.broad
        + 0.05 * t.fine
        + bed_tone * np.sqrt(p.cover * (1 - p.cover))
    )
    mix += 0.22 * stripes(across, p.rows_m, p.gsd_m)
    mix -= 0.6 * p.cover * (line(across, 18.0, 0.5, p.gsd_m) + line(across + 1.9, 18.0, 0.5, p.gsd_m))
    shade = 1 + 0.05 * t.fine + 0.05 * t.grain + 0.07 * t.patch + 0.06 * stripes(across, 3.1, p.gsd_m)
    return Paint(p.soil, p.plant, mix, shade)


def _meadow(p: Patch) -> Paint:
    t = p.texture
    mix = 0.55 + 0.3 * p.cover + 0.13 * t.patch + 0.12 * t.broad + 0.06 * t.fine
    return Paint(p.soil, _row("grass", p.lot(4)), mix, 1 + 0.07 * t.fine + 0.07 * t.grain + 0.05 * t.patch)


def _lawn(p: Patch) -> Paint:
    t = p.texture
    mix = 0.2 + 0.45 * p.lot(12) + 0.35 * p.cover + 0.14 * t.patch + 0.1 * t.fine
    # Beds, paths and fences: a finer pattern than the plot.
    mix -= 0.5 * line(p.along_m, 7 + 6 * float(p.gsd_m < 1), 0.8, p.gsd_m) * (p.lot(20) < 0.3)
    shade = 1 + 0.1 * t.fine + 0.08 * t.grain
    # A drive from the street, and here and there a pool behind the house.
    drive = (np.abs(p.along_m - 9 * (p.lot(8) - 0.5)) < 1.6) & (p.away_m < 9) & (p.lot(0) < 0.6)
    pool = (p.along_m - 4) ** 2 + 2 * (p.away_m - 27) ** 2 < 14 * (p.lot(18) < 0.12)
    first = np.where(pool, _row("pool"), np.where(drive, p.paved, p.soil))
    return Paint(first, _row("grass", p.lot(4)), np.where(pool | drive, np.float32(0.05), mix), shade)


def _range(p: Patch) -> Paint:
    t = p.texture
    mix = 0.35 + 0.3 * p.cover + 0.25 * t.broad + 0.3 * t.patch + 0.15 * t.fine + 0.1 * t.grain
    return Paint(_row("soil", p.lot(0)), _row("grass", p.lot(4)), mix, 1 + 0.08 * t.fine + 0.1 * t.grain)


def _forest(p: Patch) -> Paint:
    t = p.texture
    kind = np.where(p.lot(4) < 0.4, _row("conifer", p.lot(12)), _row("leaf", p.lot(12)))
    mix = 0.25 + 0.2 * t.fine + 0.2 * t.patch
    shade = 0.72 + 0.14 * t.fine + 0.12 * t.grain + 0.06 * t.patch
    return Paint(kind.astype(np.uint8), _row("leaf", p.lot(20)), mix, shade, Cover.WOODY)


def _earthwork(p: Patch) -> Paint:
    t = p.texture
    tracks = np.abs(t.patch) < 0.12
    shade = 1.05 + 0.05 * t.patch + 0.05 * t.fine + 0.06 * t.grain + 0.10 * tracks
    mix = 0.45 + 0.2 * t.broad + 0.08 * t.patch + 0.06 * t.fine
    return Paint(_row("soil", p.lot(4)), _row("sand", p.lot(12)), mix, shade)


def _yard(p: Patch) -> Paint:
    t = p.texture
    joints = line(p.along_m, 11.0, 0.3, p.gsd_m) + line(p.away_m, 13.0, 0.3, p.gsd_m)
    mix = np.clip(0.1 + 0.16 * t.patch + 0.1 * t.fine, 0, 0.6)
    return Paint(
        p.paved, p.soil, mix, 1 + 0.05 * t.patch + 0.05 * t.fine + 0.03 * t.grain - 0.1 * joints, Cover.PAVED
    )


def _parking(p: Patch) -> Paint:
    t = p.texture
    lane = np.mod(p.away_m, 17.0)
    slots = (
        np.float32(0.5)
        * (lane < 10.5)
        * (line(p.along_m, 2.6, 0.2, p.gsd_m) + line(lane - 5.2, 40.0, 0.2, p.gsd_m))
    )
    shade = 1 + 0.05 * t.patch + 0.04 * t.fine + 0.03 * t.grain
    return Paint(_row("asphalt", p.lot(4)), _row("paint"), slots.astype(np.float32), shade, Cover.PAVED)


def _solar(p: Patch) -> Paint:
    t = p.texture
    spacing = 4.5 + 4 * p.lot(4)
    wave = stripes(p.away_m, spacing, p.gsd_m)
    gaps = 0.4 * line(p.along_m, 22.0, 1.5, p.gsd_m)
    mix = np.where(p.gsd_m < 2.5, (wave > -0.15) * 1.0, 0.62) - gaps + 0.03 * t.fine
    return Paint(_row("grass", p.lot(12)), _row("panel", p.lot(20)), mix, 1 + 0.05 * t.grain, Cover.SOLAR)


def _greenhouse(p: Patch) -> Paint:
    t = p.texture
    spacing = 7 + 4 * p.lot(4)
    wave = stripes(p.along_m, spacing, p.gsd_m)
    mix = np.where(wave < -0.75, 0.8, 0.05) + 0.05 * t.patch
    shade = 0.92 + 0.1 * stripes(p.along_m + spacing / 4, spacing, p.gsd_m) + 0.04 * t.fine
    return Paint(_row("film", p.lot(12)), p.soil, mix, shade, Cover.GREENHOUSE)


def _water(p: Patch) -> Paint:
    t = p.texture
    mix = np.clip(0.3 + 0.15 * t.broad, 0, 1)
    shade = 1 + 0.05 * t.broad + 0.015 * t.fine + 0.015 * t.grain
    return Paint(_row("water"), _row("mud_water"), mix, shade, Cover.WATER)


def _burnt(p: Patch) -> Paint:
    t = p.texture
    mix = 0.25 + 0.2 * t.patch + 0.15 * t.fine + 0.08 * t.grain
    return Paint(_row("ash", p.lot(4)), p.soil, mix, 1 + 0.15 * t.fine)


def _street(p: Patch) -> Paint:
    t = p.texture
    return Paint(
        p.paved, p.soil, np.clip(0.08 * t.patch, 0, 1), 1 + 0.04 * t.patch + 0.04 * t.fine, Cover.PAVED
    )


_PAINTERS: dict[Use, Callable[[Patch], Paint]] = {
    Use.LAWN: _lawn,
    Use.CROP: _crop,
    Use.MEADOW: _meadow,
    Use.RANGE: _range,
    Use.FOREST: _forest,
    Use.EARTHWORK: _earthwork,
    Use.YARD: _yard,
    Use.PARKING: _parking,
    Use.SOLAR: _solar,
    Use.GREENHOUSE: _greenhouse,
    Use.WATER: _water,
    Use.BURNT: _burnt,
    Use.STREET: _street,
}


def paint_ground(
    canvas: Canvas, plots: Plots, catalogue: Catalogue, texture: Texture, date: int, gsd_m: float
) -> UInt8Array:
    """Paint every pixel by the use of its plot on `date`; returns that use, (height, width)."""
    use = catalogue.use[date][plots.entry]
    use = np.where(plots.street, np.uint8(Use.STREET), use)
    flat_use, entry = use.ravel(), plots.entry.ravel()
    for code, painter in _PAINTERS.items():
        at = np.flatnonzero(flat_use == code)
        if not at.size:
            continue
        of = entry[at]
        patch = Patch(
            texture=texture.at(at),
            gsd_m=gsd_m,
            along_m=plots.along_m.ravel()[at],
            away_m=plots.away_m.ravel()[at],
            soil=catalogue.soil[of],
            plant=catalogue.plant[of],
            paved=catalogue.paved[of] if code != Use.STREET else _row("asphalt"),
            cover=catalogue.cover[date][of],
            rows_m=catalogue.rows_m[of],
            key=plots.key.ravel()[at],
        )
        done = painter(patch)
        canvas.paint(at, done.first, done.second, done.mix, done.shade, done.cover)
    canvas.trees[:] = np.where(plots.street, 0, catalogue.trees[date][plots.entry])
    return use
