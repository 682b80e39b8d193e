"""Where the buildings of a plot stand: a main house of some shape and its wings, leaning as they are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array, IndexArray
from rsdetect.simulation.canvas import Canvas, Cover, Texture
from rsdetect.simulation.exact import cos_turns
from rsdetect.simulation.ground.catalogue import Catalogue, Shape
from rsdetect.simulation.ground.plots import Plots
from rsdetect.simulation.ground.roofs import Roof, paint_roofs
from rsdetect.simulation.imaging.look import Look
from rsdetect.simulation.materials import RANGES


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


def _houses(plots: Plots, catalogue: Catalogue, date: int, clear: BoolArray) -> _Houses | None:
    there = catalogue.standing[date] | catalogue.wing_standing[date]
    at = np.flatnonzero(there[plots.entry] & ~plots.street & clear)
    if not at.size:
        return None
    entry = plots.entry.ravel()[at]
    length, depth = plots.length_m.ravel()[at], plots.depth_m.ravel()[at]
    fill = catalogue.fill[entry]
    full = np.minimum(catalogue.house_m[date][entry], fill * length)
    wide = np.minimum(full * catalogue.aspect[date][entry], 0.75 * fill * depth)
    cos, sin = catalogue.turn[date][0][entry], catalogue.turn[date][1][entry]
    # A turned house must still keep to its plot.
    room = np.abs(cos) + 0.5 * np.abs(sin)
    full, wide = full / room, wide / room
    along = plots.along_m.ravel()[at] - (catalogue.position[date][0][entry] - 0.5) * (length - full)
    away = plots.away_m.ravel()[at] - wide / 2 - catalogue.position[date][1][entry] * (depth - wide)
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
        height_m=catalogue.height_m[date][entry],
    )


def paint_buildings(
    canvas: Canvas,
    plots: Plots,
    catalogue: Catalogue,
    texture: Texture,
    look: Look,
    date: int,
    clear: BoolArray,
) -> BoolArray:
    """Paint what stands on `date` where ground is `clear`, leaning as that date's sensor sees it.

    Returns where a building, or a wing, is seen that stands on this date only; (height, width).
    """
    alone = np.zeros(canvas.cover.shape, dtype=np.bool_)
    h = _houses(plots, catalogue, date, clear)
    if h is None:
        return alone
    # A roof is seen displaced by its height; the walls fill what lies between.
    roof = _seen_at(h, catalogue, date, look, 1.0)
    main, wing = roof.main, roof.wing
    foot = _seen_at(h, catalogue, date, look, 0.0)
    # By the ground plan, because a tree must not come and go with the view.
    canvas.trees.reshape(-1)[h.at[foot.main | foot.wing]] = 0
    walls_main, walls_wing = foot.main, foot.wing
    if max(abs(look.lean[0]), abs(look.lean[1])) > 0.02:
        half = _seen_at(h, catalogue, date, look, 0.5)
        walls_main, walls_wing = foot.main | half.main, foot.wing | half.wing
        _paint_walls(canvas, h, np.flatnonzero((walls_main | walls_wing) & ~(main | wing)), texture)
    inside = np.flatnonzero(main | wing)
    if inside.size:
        paint_roofs(canvas, _roof(h, catalogue, inside, roof, date), texture, look)
    new_main = (catalogue.standing[0] != catalogue.standing[1]) | catalogue.rebuilt
    new_wing = (catalogue.wing_standing[0] != catalogue.wing_standing[1]) | catalogue.rebuilt
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
    shape = catalogue.shape[date][h.entry]
    u, v = np.abs(east) / h.half_m, np.abs(south) / h.wide_m
    main = (u < 1) & (v < 1)
    main &= (shape != Shape.ROUND) | (u * u + v * v < 1)
    main &= (shape != Shape.COURTYARD) | (u > 0.45) | (v > 0.4)
    main &= catalogue.standing[date][h.entry]
    length, width, place = (catalogue.wing[date][k][h.entry] for k in range(3))
    # One wing off the middle; of two, one at either end, on this side or on both.
    twice = shape == Shape.TWO_WINGED
    side = np.where(twice & (h.entry % 2 == 0), np.sign(east), 1)
    wing_east = np.where(twice, np.abs(east) - (1 - length) * h.half_m, east - 2 * place * h.half_m)
    wing = np.abs(wing_east) < length * h.half_m * np.where(twice, 0.8, 1)
    wing &= np.abs(side * south - h.wide_m * np.float32(0.9)) < width * h.wide_m
    wing &= catalogue.wing_standing[date][h.entry] & ~main
    return _Slab(main, wing, east, south, wing_east)


def _paint_walls(canvas: Canvas, h: _Houses, walls: IndexArray, texture: Texture) -> None:
    at = h.at[walls]
    start, count = RANGES["facade"]
    row = (start + h.entry[walls] % count).astype(np.uint8)
    # Rows of windows and balconies.
    storeys = 0.12 * cos_turns(h.east_m[walls] * np.float32(1 / 3.2))
    shade = 0.72 + 0.08 * texture.fine[at] + storeys
    canvas.paint(at, row, row, np.zeros(1, np.float32), shade, Cover.BUILDING)
    canvas.height_m.reshape(-1)[at] = h.height_m[walls] * 0.5


def _roof(h: _Houses, catalogue: Catalogue, inside: IndexArray, slab: _Slab, date: int) -> Roof:
    entry, wing = h.entry[inside], slab.wing[inside]
    across = np.where(wing, slab.wing_m[inside], slab.south_m[inside])
    half = np.where(wing, catalogue.wing[date][0][entry] * h.half_m[inside], h.wide_m[inside])
    end_m = np.where(wing, np.float32(1e3), h.half_m[inside] - np.abs(slab.east_m[inside]))
    return Roof(
        at=h.at[inside],
        entry=entry,
        wing=wing,
        east_m=slab.east_m[inside],
        across_m=across,
        eave_m=half - np.abs(across),
        end_m=end_m,
        cos=h.cos[inside],
        sin=h.sin[inside],
        height_m=h.height_m[inside],
        pitch=catalogue.pitch[date][entry],
        hip=catalogue.hip[date][entry],
        sawtooth=catalogue.shape[date][entry] == Shape.SAWTOOTH,
        row=catalogue.roof[date][entry],
        worn=catalogue.worn[date][entry],
    )
