"""Painting the buildings: a main house and a wing on a plot, with roof, walls and height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.canvas import Canvas, Cover, Texture
from rsdetect.simulate.land import Catalogue
from rsdetect.simulate.layout import Plots
from rsdetect.simulate.look import Look
from rsdetect.simulate.materials import RANGES
from rsdetect.simulate.noise import Float32Array

BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class _Houses:
    """The pixels of plots with a building, flat (n,), and the building's measures there."""

    at: IndexArray  # flat pixel positions
    entry: IndexArray
    east_m: Float32Array  # pixel's place along the ridge, from the house's middle
    south_m: Float32Array  # across the ridge
    cos: Float32Array  # of the ridge against east
    sin: Float32Array
    half_m: Float32Array  # half the length
    wide_m: Float32Array  # half the width
    height_m: Float32Array


def _houses(plots: Plots, catalogue: Catalogue) -> _Houses | None:
    at = np.flatnonzero(catalogue.built[plots.entry] & ~plots.street)
    if not at.size:
        return None
    entry = plots.entry.ravel()[at]
    length, depth = plots.length_m.ravel()[at], plots.depth_m.ravel()[at]
    fill = catalogue.fill[entry]
    full = np.minimum(catalogue.house_m[entry], fill * length)
    wide = np.minimum(full * catalogue.aspect[entry], 0.75 * fill * depth)
    cos, sin = catalogue.turn[0][entry], catalogue.turn[1][entry]
    # A turned house must still keep to its plot.
    room = np.abs(cos) + 0.5 * np.abs(sin)
    full, wide = full / room, wide / room
    along = plots.along_m.ravel()[at] - (catalogue.place[0][entry] - 0.5) * (length - full)
    away = plots.away_m.ravel()[at] - wide / 2 - catalogue.place[1][entry] * (depth - wide)
    grid_cos, grid_sin = plots.cos.ravel()[at], plots.sin.ravel()[at]
    return _Houses(
        at=at,
        entry=entry,
        east_m=along * cos + away * sin,
        south_m=away * cos - along * sin,
        cos=grid_cos * cos - grid_sin * sin,
        sin=grid_sin * cos + grid_cos * sin,
        half_m=full / 2,
        wide_m=wide / 2,
        height_m=catalogue.height_m[entry],
    )


def paint_buildings(
    canvas: Canvas, plots: Plots, catalogue: Catalogue, texture: Texture, look: Look, date: int
) -> None:
    """Paint what stands on `date`, leaning as that date's sensor sees it."""
    h = _houses(plots, catalogue)
    if h is None:
        return
    # A roof is seen displaced by its height; the walls fill what lies between.
    lean_east = look.lean[1] * h.cos + look.lean[0] * h.sin
    lean_south = look.lean[0] * h.cos - look.lean[1] * h.sin
    roof, ridge_m, wing = _roof(
        h, catalogue, date, h.east_m - lean_east * h.height_m, h.south_m - lean_south * h.height_m
    )
    if max(abs(look.lean[0]), abs(look.lean[1])) > 0.02:
        walls = np.zeros_like(roof)
        for part in (0.0, 0.5):
            rise = h.height_m * np.float32(part)
            walls |= _roof(h, catalogue, date, h.east_m - lean_east * rise, h.south_m - lean_south * rise)[0]
        _paint_walls(canvas, h, np.flatnonzero(walls & ~roof), texture)
    inside = np.flatnonzero(roof)
    if inside.size:
        _paint_roofs(canvas, h, catalogue, inside, ridge_m[inside], wing[inside], (texture, look))


def _roof(
    h: _Houses, catalogue: Catalogue, date: int, east: Float32Array, south: Float32Array
) -> tuple[BoolArray, Float32Array, BoolArray]:
    """Whether a roof covers each pixel, its signed distance from the ridge, and whether it is the wing's."""
    main = (np.abs(east) < h.half_m) & (np.abs(south) < h.wide_m) & catalogue.standing[date][h.entry]
    length, width, place = (catalogue.wing[k][h.entry] for k in range(3))
    wing_east = east - 2 * place * h.half_m
    wing_south = south - h.wide_m * 0.9
    wing = (np.abs(wing_east) < length * h.half_m) & (np.abs(wing_south) < width * h.wide_m)
    wing &= catalogue.wing_standing[date][h.entry] & ~main
    return main | wing, np.where(wing, wing_east, south), wing


def _paint_walls(canvas: Canvas, h: _Houses, walls: IndexArray, texture: Texture) -> None:
    at = h.at[walls]
    start, count = RANGES["facade"]
    row = (start + h.entry[walls] % count).astype(np.uint8)
    shade = 0.75 + 0.08 * texture.fine[at]
    canvas.paint(at, row, row, np.zeros(1, np.float32), shade, Cover.BUILDING)
    canvas.height_m.reshape(-1)[at] = h.height_m[walls] * 0.5
    canvas.trees.reshape(-1)[at] = 0


def _paint_roofs(
    canvas: Canvas,
    h: _Houses,
    catalogue: Catalogue,
    inside: IndexArray,
    across: Float32Array,
    wing: BoolArray,
    light: tuple[Texture, Look],
) -> None:
    texture, look = light
    at, entry = h.at[inside], h.entry[inside]
    pitch = catalogue.pitch[entry]
    cos, sin = h.cos[inside], h.sin[inside]
    half = np.where(wing, catalogue.wing[0][entry] * h.half_m[inside], h.wide_m[inside])
    # The sun's direction in the house's own frame: along the ridge, and across it.
    sun_along = look.sun[1] * cos + look.sun[0] * sin
    sun_across = look.sun[0] * cos - look.sun[1] * sin
    end_m = h.half_m[inside] - np.abs(h.east_m[inside])
    hipped = catalogue.hip[entry] & ~wing & (end_m < half - np.abs(across))
    slope_to = np.where(
        hipped, sun_along * np.sign(h.east_m[inside]), np.where(wing, sun_along, sun_across) * np.sign(across)
    )
    facing = (1 + pitch * slope_to / look.sun_tan) / np.sqrt(1 + pitch**2)
    t = texture.at(at)
    ribs = np.where(entry % 3 == 0, 0.06 * np.cos(h.east_m[inside] * (2 * np.pi / (2.0 + entry % 7))), 0)
    shade = np.clip(facing, 0.3, 1.6) * (1 + 0.03 * t.grain + 0.04 * t.fine + 0.03 * t.patch + ribs)
    flat = pitch == 0
    edge = np.minimum(half - np.abs(across), end_m)
    shade *= np.where(flat & (edge < 0.7), 1.15, 1.0)
    units = flat & (t.fine > 2.0)
    row = catalogue.roof[entry]
    second = np.full(1, RANGES["roof_white"][0], dtype=np.uint8)
    canvas.paint(at, row, second, units * np.float32(0.5), shade.astype(np.float32), Cover.BUILDING)
    rise = np.where(hipped, end_m, half - np.abs(across))
    canvas.height_m.reshape(-1)[at] = h.height_m[inside] + pitch * np.clip(rise, 0, 6)
    canvas.trees.reshape(-1)[at] = 0
