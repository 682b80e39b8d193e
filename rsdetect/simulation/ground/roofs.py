"""Roofs: illumination of their slopes, coverings and fixtures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array, IndexArray, UInt8Array
from rsdetect.simulation.canvas import Canvas, Cover, Texture
from rsdetect.simulation.exact import cos_turns
from rsdetect.simulation.imaging.view import View
from rsdetect.simulation.materials import RANGES
from rsdetect.simulation.noise import hashed, uniform
from rsdetect.simulation.salts import Salt

_TOOTH_M = 9.0  # width of one roof of a sawtooth hall


@dataclass(frozen=True)
class Roof:
    """Pixels of roofs, flat (n,), and the dimensions of each pixel's roof."""

    at: IndexArray  # flat pixel indices
    entry: IndexArray
    wing: BoolArray
    east_m: Float32Array  # along the ridge, from the centre of the house
    across_m: Float32Array  # across the ridge of this part
    eave_m: Float32Array  # to the eave
    end_m: Float32Array  # to the gable
    cos: Float32Array  # of the ridge against east
    sin: Float32Array
    height_m: Float32Array  # of the eaves
    pitch: Float32Array  # slope, 0 = flat
    hip: BoolArray
    sawtooth: BoolArray
    row: UInt8Array  # palette row
    worn: Float32Array  # brightness relative to the palette


def paint_roofs(canvas: Canvas, r: Roof, texture: Texture, view: View) -> None:
    """Paint roofs and set their heights."""
    hipped = r.hip & (r.end_m < r.eave_m)
    t = texture.at(r.at)
    flat = (r.pitch == 0) & ~r.sawtooth
    shade = _roof_illumination(r, hipped, view) * r.worn * _roof_covering(r, t)
    # A parapet: its top is bright, and it shades the rim inside.
    rim = np.minimum(r.eave_m, r.end_m)
    shade *= np.where(flat & (rim < 0.7), 1.18, np.where(flat & (rim < 1.5), 0.88, 1.0))
    # The ridge.
    shade *= np.where(~flat & ~hipped & (np.abs(r.across_m) < 0.3), 1.12, 1.0)
    on, bright, tall = _roof_fixtures(r, flat)
    white, dark = RANGES["roof_white"][0], RANGES["panel"][0]
    second = np.where(bright, white, dark).astype(np.uint8)
    canvas.paint(r.at, r.row, second, on * np.float32(0.75), shade, Cover.BUILDING)
    rise = np.clip(np.where(hipped, r.end_m, r.eave_m), 0, 6)
    canvas.height_m.reshape(-1)[r.at] = r.height_m + r.pitch * rise + tall


def _roof_illumination(r: Roof, hipped: BoolArray, view: View) -> Float32Array:
    """Sunlight on the roof's slope relative to flat ground."""
    # The sun's direction in the house's own frame: along the ridge, and across it.
    sun_along = view.sun[1] * r.cos + view.sun[0] * r.sin
    sun_across = view.sun[0] * r.cos - view.sun[1] * r.sin
    sloped = np.where(r.wing, sun_along, sun_across) * np.sign(r.across_m)
    sloped = np.where(hipped, sun_along * np.sign(r.east_m), sloped)
    tooth = np.mod(r.east_m, _TOOTH_M) < 0.3 * _TOOTH_M
    sloped = np.where(r.sawtooth, np.where(tooth, -2.0, 0.6) * sun_along, sloped)
    pitch = np.where(r.sawtooth, 0.45, r.pitch)
    facing = (1 + pitch * sloped / np.float32(view.sun_tan)) / np.sqrt(1 + pitch * pitch)
    return np.asarray(np.clip(facing, 0.3, 1.6), dtype=np.float32)


def _roof_covering(r: Roof, t: Texture) -> Float32Array:
    """Brightness pattern of the roof's covering: tiles, seams, sheets, gravel, stains."""
    kind = r.entry % 5
    spacing = np.asarray(1.5 + r.entry % 7, dtype=np.float32)
    ribs = np.where(kind == 0, 0.06 * cos_turns(r.east_m / spacing), 0)
    courses = np.where(kind == 1, 0.05 * cos_turns(r.across_m * np.float32(1 / 1.4)), 0)
    # Sheets and felt of different ages.
    sheet = np.floor(r.east_m / (4 + r.entry % 9)) + 7 * np.floor(r.across_m / 11.0)
    sheets = np.where(kind >= 3, 0.05 * cos_turns(uniform(0, Salt.ROOF_SHEET, r.entry, sheet)), 0)
    stains = 0.03 * t.patch + (0.02 + 0.02 * (kind == 2)) * t.leaves
    return np.asarray(1 + 0.03 * t.grain + 0.04 * t.fine + stains + ribs + courses + sheets, dtype=np.float32)


def _roof_fixtures(r: Roof, flat: BoolArray) -> tuple[BoolArray, BoolArray, Float32Array]:
    """Roof fixtures (chimneys, skylights, air conditioners, panels): mask, whether bright, and height."""
    cell = np.where(flat, np.float32(7.0), np.float32(4.0))
    column, row = np.floor(r.east_m / cell), np.floor(r.across_m / cell)
    draw = hashed(0, Salt.ROOF_FIXTURE, r.entry, column, row)

    def part(shift: int) -> Float32Array:
        return ((draw >> np.uint32(shift)) & np.uint32(63)).astype(np.float32) * np.float32(1 / 64)

    size = cell * (0.08 + 0.16 * part(6))
    u = np.abs(r.east_m - (column + 0.3 + 0.4 * part(12)) * cell)
    v = np.abs(r.across_m - (row + 0.3 + 0.4 * part(18)) * cell)
    share = np.where(r.entry % 3 == 0, 0.3, 0.08)
    on = (u < size) & (v < size) & (part(0) < share) & (np.minimum(r.eave_m, r.end_m) > 1.0)
    # Long rooflights of halls, and rows of panels.
    strip = flat & (r.entry % 7 == 3) & (np.abs(np.mod(r.east_m, 8.0) - 4) < 0.7) & (r.eave_m > 3)
    panels = (r.entry % 11 == 5) & (r.across_m > 0) & (r.eave_m > 0.8) & (r.end_m > 1.5) & ~r.wing
    panels &= np.abs(np.mod(r.across_m, 1.7) - 0.85) < 0.7
    bright = (part(24) < 0.65) | strip
    tall = np.where(on & ~strip, 1.2, 0).astype(np.float32)
    return on | strip | panels, bright & ~(panels & ~on), tall
