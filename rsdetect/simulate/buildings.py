"""Painting the buildings: a main house and a wing on a plot, with roof, walls and height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.canvas import Canvas, Cover, Texture
from rsdetect.simulate.catalogue import Catalogue
from rsdetect.simulate.look import Look
from rsdetect.simulate.materials import RANGES
from rsdetect.simulate.noise import Float32Array
from rsdetect.simulate.plots import Plots

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
) -> BoolArray:
    """Paint what stands on `date`, leaning as that date's sensor sees it.

    Returns where a building, or a wing, is seen that stands on this date only; (height, width).
    """
    alone = np.zeros(canvas.cover.shape, dtype=np.bool_)
    h = _houses(plots, catalogue)
    if h is None:
        return alone
    # A roof is seen displaced by its height; the walls fill what lies between.
    roof = _seen_at(h, catalogue, date, look, 1.0)
    main, wing = roof.main, roof.wing
    walls_main, walls_wing = np.zeros_like(main), np.zeros_like(main)
    if max(abs(look.lean[0]), abs(look.lean[1])) > 0.02:
        for part in (0.0, 0.5):
            lower = _seen_at(h, catalogue, date, look, part)
            walls_main |= lower.main
            walls_wing |= lower.wing
        _paint_walls(canvas, h, np.flatnonzero((walls_main | walls_wing) & ~(main | wing)), texture)
    inside = np.flatnonzero(main | wing)
    if inside.size:
        _paint_roofs(canvas, h, catalogue, inside, roof, (texture, look))
    new_main = catalogue.standing[0] != catalogue.standing[1]
    new_wing = catalogue.wing_standing[0] != catalogue.wing_standing[1]
    seen = ((main | walls_main) & new_main[h.entry]) | ((wing | (walls_wing & ~main)) & new_wing[h.entry])
    alone.reshape(-1)[h.at] = seen
    return alone


@dataclass(frozen=True)
class _Slab:
    """What a building covers at one height, as the sensor sees it; flat (n,)."""

    main: BoolArray
    wing: BoolArray  # and not main
    east_m: Float32Array  # place along the ridge
    south_m: Float32Array  # place across the ridge
    wing_m: Float32Array  # place across the wing's ridge


def _seen_at(h: _Houses, catalogue: Catalogue, date: int, look: Look, part: float) -> _Slab:
    """The building at `part` of its height: 0 = on the ground, 1 = the roof."""
    rise = h.height_m * np.float32(part)
    lean_south, lean_east = np.float32(look.lean[0]), np.float32(look.lean[1])
    east = h.east_m - (lean_east * h.cos + lean_south * h.sin) * rise
    south = h.south_m - (lean_south * h.cos - lean_east * h.sin) * rise
    main = (np.abs(east) < h.half_m) & (np.abs(south) < h.wide_m) & catalogue.standing[date][h.entry]
    length, width, place = (catalogue.wing[k][h.entry] for k in range(3))
    wing_east = east - 2 * place * h.half_m
    wing = np.abs(wing_east) < length * h.half_m
    wing &= np.abs(south - h.wide_m * np.float32(0.9)) < width * h.wide_m
    wing &= catalogue.wing_standing[date][h.entry] & ~main
    return _Slab(main, wing, east, south, wing_east)


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
    slab: _Slab,
    light: tuple[Texture, Look],
) -> None:
    texture, look = light
    at, entry, wing = h.at[inside], h.entry[inside], slab.wing[inside]
    east, across = slab.east_m[inside], np.where(wing, slab.wing_m[inside], slab.south_m[inside])
    half = np.where(wing, catalogue.wing[0][entry] * h.half_m[inside], h.wide_m[inside])
    end_m = np.where(wing, np.float32(1e3), h.half_m[inside] - np.abs(east))
    eave_m = half - np.abs(across)
    pitch = catalogue.pitch[entry]
    hipped = catalogue.hip[entry] & (end_m < eave_m)
    # The sun's direction in the house's own frame: along the ridge, and across it.
    cos, sin = h.cos[inside], h.sin[inside]
    sun_along = look.sun[1] * cos + look.sun[0] * sin
    sun_across = look.sun[0] * cos - look.sun[1] * sin
    sloped = np.where(wing, sun_along, sun_across) * np.sign(across)
    sloped = np.where(hipped, sun_along * np.sign(east), sloped)
    facing = (1 + pitch * sloped / np.float32(look.sun_tan)) / np.sqrt(1 + pitch**2)
    t = texture.at(at)
    ribs = np.where(entry % 3 == 0, 0.06 * np.cos(east * (2 * np.pi / (2.0 + entry % 7))), 0)
    shade = np.clip(facing, 0.3, 1.6) * (1 + 0.03 * t.grain + 0.04 * t.fine + 0.03 * t.patch + ribs)
    flat = pitch == 0
    shade *= np.where(flat & (np.minimum(eave_m, end_m) < 0.7), 1.15, 1.0)
    units = flat & (t.fine > 2.2) & (entry % 4 == 0)
    white = np.full(1, RANGES["roof_white"][0], dtype=np.uint8)
    canvas.paint(at, catalogue.roof[entry], white, units * np.float32(0.5), shade, Cover.BUILDING)
    rise = np.clip(np.where(hipped, end_m, eave_m), 0, 6)
    canvas.height_m.reshape(-1)[at] = h.height_m[inside] + pitch * rise
    canvas.trees.reshape(-1)[at] = 0
