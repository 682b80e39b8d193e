"""Buildings of the plots: a main house of some shape and its wings, with relief displacement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsdetect.arraytypes import BoolArray, Float32Array, IndexArray
from rsdetect.simulation.canvas import Canvas, Cover, Texture
from rsdetect.simulation.exact import cos_turns
from rsdetect.simulation.ground.catalogue import Catalogue, Shape
from rsdetect.simulation.ground.plots import Plots
from rsdetect.simulation.ground.roofs import Roof, paint_roofs
from rsdetect.simulation.imaging.view import View
from rsdetect.simulation.materials import RANGES


@dataclass(frozen=True)
class _BuildingPixels:
    """Pixels of plots with a building, flat (n,), and the dimensions of the building."""

    at: IndexArray  # flat pixel indices
    entry: IndexArray
    east_m: Float32Array  # pixel's position along the ridge, from the centre of the house
    south_m: Float32Array  # across the ridge
    cos: Float32Array  # of the ridge against east
    sin: Float32Array
    half_m: Float32Array  # half the length
    wide_m: Float32Array  # half the width
    height_m: Float32Array


def _building_pixels(
    plots: Plots, catalogue: Catalogue, date: int, clear: BoolArray
) -> _BuildingPixels | None:
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
    # A rotated house must stay within its plot.
    room = np.abs(cos) + 0.5 * np.abs(sin)
    full, wide = full / room, wide / room
    along = plots.along_m.ravel()[at] - (catalogue.position[date][0][entry] - 0.5) * (length - full)
    away = plots.away_m.ravel()[at] - wide / 2 - catalogue.position[date][1][entry] * (depth - wide)
    grid_cos, grid_sin = plots.cos.ravel()[at], plots.sin.ravel()[at]
    return _BuildingPixels(
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
    view: View,
    date: int,
    clear: BoolArray,
) -> BoolArray:
    """Paint the buildings of `date` where the ground is `clear`, displaced by the view angle of that date.

    Returns the pixels of buildings and wings that exist on this date only; (height, width).
    """
    alone = np.zeros(canvas.cover.shape, dtype=np.bool_)
    h = _building_pixels(plots, catalogue, date, clear)
    if h is None:
        return alone
    # The roof is displaced by its height; the walls fill the gap.
    roof = _building_slab(h, catalogue, date, view, 1.0)
    main, wing = roof.main, roof.wing
    foot = _building_slab(h, catalogue, date, view, 0.0)
    # By the ground plan, so that trees do not depend on the view.
    canvas.trees.reshape(-1)[h.at[foot.main | foot.wing]] = 0
    walls_main, walls_wing = foot.main, foot.wing
    if max(abs(view.lean[0]), abs(view.lean[1])) > 0.02:
        half = _building_slab(h, catalogue, date, view, 0.5)
        walls_main, walls_wing = foot.main | half.main, foot.wing | half.wing
        _paint_building_walls(canvas, h, np.flatnonzero((walls_main | walls_wing) & ~(main | wing)), texture)
    inside = np.flatnonzero(main | wing)
    if inside.size:
        paint_roofs(canvas, _building_roof(h, catalogue, inside, roof, date), texture, view)
    new_main = (catalogue.standing[0] != catalogue.standing[1]) | catalogue.rebuilt
    new_wing = (catalogue.wing_standing[0] != catalogue.wing_standing[1]) | catalogue.rebuilt
    seen = ((main | walls_main) & new_main[h.entry]) | ((wing | (walls_wing & ~main)) & new_wing[h.entry])
    alone.reshape(-1)[h.at] = seen
    return alone


@dataclass(frozen=True)
class _BuildingSlab:
    """Horizontal section of the buildings at one height, as the sensor sees it; flat (n,)."""

    main: BoolArray
    wing: BoolArray  # and not main
    east_m: Float32Array  # position along the ridge
    south_m: Float32Array  # position across the ridge
    wing_m: Float32Array  # position across the wing's ridge


def _building_slab(
    h: _BuildingPixels, catalogue: Catalogue, date: int, view: View, part: float
) -> _BuildingSlab:
    """Section of the buildings at `part` of their height: 0 = on the ground, 1 = the roof."""
    rise = h.height_m * np.float32(part)
    lean_south, lean_east = np.float32(view.lean[0]), np.float32(view.lean[1])
    east = h.east_m - (lean_east * h.cos + lean_south * h.sin) * rise
    south = h.south_m - (lean_south * h.cos - lean_east * h.sin) * rise
    shape = catalogue.shape[date][h.entry]
    u, v = np.abs(east) / h.half_m, np.abs(south) / h.wide_m
    main = (u < 1) & (v < 1)
    main &= (shape != Shape.ROUND) | (u * u + v * v < 1)
    main &= (shape != Shape.COURTYARD) | (u > 0.45) | (v > 0.4)
    main &= catalogue.standing[date][h.entry]
    length, width, place = (catalogue.wing[date][k][h.entry] for k in range(3))
    # One wing is off the middle; two are at the ends, on one side or on both.
    twice = shape == Shape.TWO_WINGED
    side = np.where(twice & (h.entry % 2 == 0), np.sign(east), 1)
    wing_east = np.where(twice, np.abs(east) - (1 - length) * h.half_m, east - 2 * place * h.half_m)
    wing = np.abs(wing_east) < length * h.half_m * np.where(twice, 0.8, 1)
    wing &= np.abs(side * south - h.wide_m * np.float32(0.9)) < width * h.wide_m
    wing &= catalogue.wing_standing[date][h.entry] & ~main
    return _BuildingSlab(main, wing, east, south, wing_east)


def _paint_building_walls(canvas: Canvas, h: _BuildingPixels, walls: IndexArray, texture: Texture) -> None:
    at = h.at[walls]
    start, count = RANGES["facade"]
    row = (start + h.entry[walls] % count).astype(np.uint8)
    # Rows of windows and balconies.
    storeys = 0.12 * cos_turns(h.east_m[walls] * np.float32(1 / 3.2))
    shade = 0.72 + 0.08 * texture.fine[at] + storeys
    canvas.paint(at, row, row, np.zeros(1, np.float32), shade, Cover.BUILDING)
    canvas.height_m.reshape(-1)[at] = h.height_m[walls] * 0.5


def _building_roof(
    h: _BuildingPixels, catalogue: Catalogue, inside: IndexArray, slab: _BuildingSlab, date: int
) -> Roof:
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
