"""Where everything lies: districts, the roads between them, and the plots inside them.

Districts are the cells of a jittered Voronoi diagram, so their borders are a road network by themselves.
Inside a district, streets and plots follow a grid of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.land import ENTRIES, RECIPES, URBAN, Land
from rsdetect.simulate.noise import Float32Array, Frame, UInt32Array, hashed, smooth, uniform

BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]

_STREET_M = np.array([RECIPES[land].street for land in Land], dtype=np.float32)
_LENGTH_M = np.array([RECIPES[land].length for land in Land], dtype=np.float32)
_DEPTH_M = np.array([RECIPES[land].depth for land in Land], dtype=np.float32)
_PER_BLOCK = np.array([RECIPES[land].per_block for land in Land], dtype=np.int64)

# What a district may turn into; lakes rise, towns grow and are cleared.
_CONVERTS: dict[Land, tuple[Land, ...]] = {
    Land.FARM: (Land.SUBURB, Land.INDUSTRY, Land.BLOCKS, Land.LAKE, Land.BARE, Land.DENSE),
    Land.FOREST: (Land.RANGE, Land.RANGE, Land.SUBURB, Land.BARE, Land.LAKE),
    Land.RANGE: (Land.SUBURB, Land.INDUSTRY, Land.BARE, Land.BLOCKS, Land.LAKE),
    Land.SUBURB: (Land.BLOCKS, Land.BARE),
    Land.DENSE: (Land.BLOCKS, Land.BARE, Land.INDUSTRY),
    Land.BLOCKS: (Land.BARE, Land.BLOCKS),
    Land.INDUSTRY: (Land.BARE, Land.BLOCKS),
    Land.LAKE: (Land.BARE, Land.FARM),
    Land.BARE: (Land.INDUSTRY, Land.BLOCKS, Land.LAKE, Land.SUBURB),
}


@dataclass(frozen=True)
class Plan:
    """What a world's layout is drawn from; one a scene."""

    district_m: float  # mean distance between the middles of districts
    urban: float  # share of urban districts
    urban_weights: NDArray[np.float64]  # (4,) cumulative shares of the urban kinds
    rural_lands: tuple[Land, ...]
    rural_weights: NDArray[np.float64]  # cumulative shares of the rural kinds
    scale: float  # size of the plots against the recipe's
    change: float  # wanted share of changed ground
    warp: float  # how winding borders and streets are


def draw_plan(change: float, gsd_m: float, rng: np.random.Generator) -> Plan:
    """A layout with its own mixture of land."""
    rural = (Land.FARM, Land.FOREST, Land.RANGE, Land.LAKE, Land.BARE)
    weights = rng.dirichlet(np.array([0.9, 0.9, 0.8, 0.12, 0.15]))
    cumulative = np.cumsum(rng.dirichlet(np.array([0.9, 0.5, 0.5, 0.5])))
    district_m = max(float(np.exp(rng.uniform(np.log(170), np.log(420)))), rng.uniform(45, 130) * gsd_m)
    return Plan(
        district_m=district_m,
        urban=float(rng.beta(0.8, 0.9)) * (1.0 if gsd_m < 5 else 0.6),
        urban_weights=cumulative,
        rural_lands=rural,
        rural_weights=np.cumsum(weights),
        scale=float(np.exp(rng.normal(0, 0.15))) * max(1.0, (gsd_m / 6.0) ** 0.5),
        change=change,
        warp=float(rng.uniform(0.0, 0.03)),
    )


@dataclass(frozen=True)
class Cells:
    """The districts that a frame can see, as flat tables of n."""

    y_m: Float32Array  # (n,) middle
    x_m: Float32Array
    key: UInt32Array  # (n,) a hash to draw from
    land: NDArray[np.uint8]  # (2, n) kind of land by date
    cut: Float32Array  # (3, n) the part that converts: normal (south, east), and offset in metres
    angle: Float32Array  # (2, 2, n) cosine and sine of the street grid, by date
    bend_m: Float32Array  # (n,) radius of curved streets, 0 = straight
    size: Float32Array  # (n,) plots' size against the recipe's


def _cells(plan: Plan, frame: Frame, rows: IndexArray, cols: IndexArray) -> Cells:
    i, j = (grid.ravel() for grid in np.meshgrid(rows, cols, indexing="ij"))

    def draw(salt: int) -> Float32Array:
        return uniform(frame.seed, salt, i, j)

    # Towns stretch over several districts: half of the draw is shared by a neighbourhood.
    townish = 0.55 * uniform(frame.seed, 11, i // 3, j // 3) + 0.45 * draw(12)
    urban_kind = np.array(URBAN)[np.searchsorted(plan.urban_weights[:-1], draw(13))]
    rural_kind = np.array(plan.rural_lands)[np.searchsorted(plan.rural_weights[:-1], draw(14))]
    before = np.where(townish < plan.urban, urban_kind, rural_kind).astype(np.uint8)
    after = before.copy()
    chosen = draw(15) < min(0.9, 1.1 * plan.change)
    for land, targets in _CONVERTS.items():
        pick = np.minimum((draw(16) * len(targets)).astype(np.intp), len(targets) - 1)
        after = np.where(chosen & (before == land), np.array(targets)[pick], after).astype(np.uint8)
    same = after == before
    away = 2 * np.pi * draw(17)
    # Where nothing converts the cut lies beyond everything.
    offset = np.where(same & ~chosen, 1e9, (draw(18) - 0.55) * 0.8 * plan.district_m)
    angles = 2 * np.pi * np.stack([draw(19), np.where(chosen, draw(20), draw(19))])
    bend = np.where(
        draw(21) < 0.5, (1.0 + 2 * draw(22)) * plan.district_m * np.where(draw(23) < 0.5, 1, -1), 0
    )
    return Cells(
        y_m=((i + 0.2 + 0.6 * draw(24)) * plan.district_m).astype(np.float32),
        x_m=((j + 0.2 + 0.6 * draw(25)) * plan.district_m).astype(np.float32),
        key=hashed(frame.seed, 26, i, j),
        land=np.stack([before, after]),
        cut=np.stack([np.sin(away), np.cos(away), offset]).astype(np.float32),
        angle=np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        bend_m=bend.astype(np.float32),
        size=(plan.scale * (0.8 + 0.5 * draw(27))).astype(np.float32),
    )


@dataclass(frozen=True)
class Districts:
    """The district of each pixel of a frame; arrays are (height, width)."""

    cells: Cells
    cell: IndexArray  # row of `cells`
    next_cell: IndexArray  # of the district on the other side of the nearest border
    border_m: Float32Array  # distance to that border
    along_m: Float32Array  # place along that border
    south_m: Float32Array  # from the district's middle
    east_m: Float32Array
    converts: BoolArray  # in the part of a district whose kind of land changes


def lay_districts(plan: Plan, frame: Frame) -> Districts:
    """Find each pixel's district, and its nearest neighbour for the roads between them."""
    size = plan.district_m
    wander = np.float32(plan.warp * size)
    y = frame.y_m + wander * smooth(frame, 31, 0.6 * size)
    x = frame.x_m + wander * smooth(frame, 32, 0.6 * size)
    rows = np.arange(int(np.floor(y.min() / size)) - 2, int(np.floor(y.max() / size)) + 3)
    cols = np.arange(int(np.floor(x.min() / size)) - 2, int(np.floor(x.max() / size)) + 3)
    cells = _cells(plan, frame, rows, cols)
    home = np.floor(y / size).astype(np.intp) - rows[0]
    home *= len(cols)
    home += np.floor(x / size).astype(np.intp) - cols[0]

    best = np.full(y.shape, np.inf, dtype=np.float32)
    second = best.copy()
    cell, next_cell = home.copy(), home.copy()
    for step in (a * len(cols) + b for a in (-1, 0, 1) for b in (-1, 0, 1)):
        other = home + step
        away = (y - cells.y_m[other]) ** 2 + (x - cells.x_m[other]) ** 2
        nearest, runner = away < best, away < second
        next_cell = np.where(nearest, cell, np.where(runner, other, next_cell))
        second = np.where(nearest, best, np.where(runner, away, second))
        cell, best = np.where(nearest, other, cell), np.where(nearest, away, best)

    gap_y = cells.y_m[next_cell] - cells.y_m[cell]
    gap_x = cells.x_m[next_cell] - cells.x_m[cell]
    gap = np.sqrt(gap_y**2 + gap_x**2)
    south, east = y - cells.y_m[cell], x - cells.x_m[cell]
    cut_y, cut_x, offset = (cells.cut[k][cell] for k in range(3))
    changes = (cells.land[0] != cells.land[1]) | (cells.cut[2] < 1e8)
    return Districts(
        cells=cells,
        cell=cell,
        next_cell=next_cell,
        border_m=(second - best) / (2 * gap),
        along_m=np.where(cell < next_cell, 1, -1).astype(np.float32) * (south * gap_x - east * gap_y) / gap,
        south_m=south,
        east_m=east,
        converts=changes[cell] & (south * cut_y + east * cut_x > offset),
    )


@dataclass(frozen=True)
class Plots:
    """The plot of each pixel on one date; arrays are (height, width)."""

    land: NDArray[np.uint8]
    entry: IndexArray  # `land * ENTRIES + entry`, into the catalogue
    key: UInt32Array  # a hash of the plot to draw from
    along_m: Float32Array  # from the plot's middle, along the street
    away_m: Float32Array  # from the plot's front, away from the street
    length_m: Float32Array
    depth_m: Float32Array
    street: BoolArray
    street_m: Float32Array  # place across the street, from its middle; meaningful where `street`
    run_m: Float32Array  # place along the street
    cos: Float32Array  # of the street grid against east
    sin: Float32Array


def lay_plots(districts: Districts, date: int, frame: Frame) -> Plots:
    """Cut each district into plots along its streets, as they are on `date` (0 or 1)."""
    cells, cell = districts.cells, districts.cell
    which = np.where(districts.converts, date, 0)
    land = np.where(districts.converts, cells.land[date][cell], cells.land[0][cell])
    cos, sin = (np.where(which, cells.angle[1][k][cell], cells.angle[0][k][cell]) for k in (0, 1))
    u = districts.east_m * cos + districts.south_m * sin
    v = districts.south_m * cos - districts.east_m * sin
    bend = cells.bend_m[cell]
    # Streets on a circle far away: u runs along the arc, v towards its middle. Second order is enough.
    curve = np.divide(1.0, bend, out=np.zeros_like(bend), where=bend != 0)
    v = v + 0.5 * u * u * curve
    u = u - u * v * curve

    draw = [((cells.key >> np.uint32(8 * k)) & np.uint32(255)).astype(np.float32) / 255 for k in range(3)]
    span = [
        (table[land, 0] + (table[land, 1] - table[land, 0]) * draw[k][cell])
        * (1 if k == 2 else cells.size[cell])
        for k, table in enumerate((_LENGTH_M, _DEPTH_M, _STREET_M))
    ]
    length, depth, street_w = span
    street_w = np.where(street_w < 0.8 * frame.gsd_m, 0, street_w)
    period = 2 * depth + street_w
    row = np.floor(v / period)
    across = v - row * period
    far = across - street_w >= depth
    # Two rows of plots back to back; each fronts its own street.
    away = np.where(far, period - across, across - street_w)
    block = _PER_BLOCK[land] * length + street_w
    # Fields of neighbouring strips do not line up; city blocks do.
    strip = (2 * row + far).astype(np.int64)
    loose = (land <= Land.RANGE) * uniform(frame.seed, 41, cells.key[cell], strip)
    u = u + loose * block
    number = np.floor(u / block)
    inside = u - number * block - street_w
    plot = np.floor(inside / length)
    key = hashed(frame.seed, 42 + date, cells.key[cell], strip, (number * 16 + plot).astype(np.int64))
    key = np.where(
        districts.converts, key, hashed(frame.seed, 42, cells.key[cell], strip, (number * 16 + plot))
    )
    side = (inside < 0) & (land != Land.FARM)
    return Plots(
        land=land.astype(np.uint8),
        entry=land.astype(np.intp) * ENTRIES + (key % np.uint32(ENTRIES)).astype(np.intp),
        key=key,
        along_m=inside - (plot + 0.5) * length,
        away_m=away,
        length_m=length,
        depth_m=depth,
        street=(across < street_w) | side,
        street_m=np.where(across < street_w, across - street_w / 2, inside + street_w / 2),
        run_m=np.where(across < street_w, u, v),
        cos=cos,
        sin=sin,
    )
