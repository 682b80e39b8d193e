"""Districts of a world, and the borders between them, which carry the roads.

Districts are the cells of a jittered Voronoi diagram on warped ground, so their borders wind and
form a road network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array, IndexArray, UInt8Array, UInt32Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import cos_turns, sin_turns
from rsdetect.simulation.ground.land import URBAN, Land
from rsdetect.simulation.ground.relief import Relief
from rsdetect.simulation.noise import Frame, hashed, rough, uniform
from rsdetect.simulation.salts import Salt

# Possible conversions of a district and their weights.
_CONVERTS: dict[Land, dict[Land, int]] = {
    Land.FARM: {
        Land.SUBURB: 2, Land.INDUSTRY: 2, Land.BLOCKS: 1, Land.DENSE: 1, Land.LAKE: 1, Land.BARE: 1,
        Land.FOREST: 1,
    },
    Land.FOREST: {Land.RANGE: 2, Land.SUBURB: 1, Land.BARE: 1, Land.LAKE: 1, Land.FARM: 1},
    Land.RANGE: {Land.SUBURB: 1, Land.INDUSTRY: 1, Land.BARE: 1, Land.BLOCKS: 1, Land.LAKE: 1},
    Land.SUBURB: {Land.BLOCKS: 1, Land.BARE: 1},
    Land.DENSE: {Land.BLOCKS: 1, Land.BARE: 1, Land.INDUSTRY: 1},
    Land.BLOCKS: {Land.BARE: 1, Land.BLOCKS: 1},
    Land.INDUSTRY: {Land.BARE: 1, Land.BLOCKS: 1},
    Land.LAKE: {Land.BARE: 1, Land.FARM: 1},
    Land.BARE: {Land.INDUSTRY: 1, Land.BLOCKS: 1, Land.LAKE: 1, Land.SUBURB: 1},
}  # fmt: skip
# At fine pixels nearly all conversions are construction, or demolition and reconstruction.
_BUILDS: dict[Land, dict[Land, int]] = {
    Land.FARM: {Land.SUBURB: 4, Land.BLOCKS: 2, Land.INDUSTRY: 2, Land.DENSE: 1, Land.BARE: 1},
    Land.FOREST: {Land.SUBURB: 3, Land.BLOCKS: 2, Land.INDUSTRY: 1, Land.RANGE: 1, Land.BARE: 1},
    Land.RANGE: {Land.SUBURB: 3, Land.BLOCKS: 2, Land.INDUSTRY: 2, Land.DENSE: 1, Land.BARE: 1},
    Land.SUBURB: {Land.BLOCKS: 3, Land.SUBURB: 3, Land.INDUSTRY: 1, Land.BARE: 1},
    Land.DENSE: {Land.BLOCKS: 4, Land.SUBURB: 2, Land.BARE: 1, Land.INDUSTRY: 1},
    Land.BLOCKS: {Land.BLOCKS: 4, Land.INDUSTRY: 1, Land.BARE: 1},
    Land.INDUSTRY: {Land.INDUSTRY: 4, Land.BLOCKS: 2, Land.SUBURB: 1, Land.BARE: 1},
    Land.LAKE: {Land.BARE: 1, Land.INDUSTRY: 1},
    Land.BARE: {Land.INDUSTRY: 1, Land.BLOCKS: 1, Land.SUBURB: 1, Land.DENSE: 1},
}
_RURAL = (Land.FARM, Land.FOREST, Land.RANGE, Land.LAKE, Land.BARE)


@dataclass(frozen=True)
class DistrictPlan:
    """Parameters of the districts of one scene."""

    district_m: float  # mean distance between the middles of districts
    urban: float  # share of urban districts
    urban_weights: NDArray[np.float64]  # (4,) cumulative shares of the urban kinds
    rural_weights: NDArray[np.float64]  # (5,) cumulative shares of the rural kinds
    scale: float  # size of the plots relative to the rules
    change: float  # target share of changed ground
    wander: float  # amplitude of the winding borders, share of a district
    ragged_m: float  # amplitude of the noise on natural borders
    fine: bool  # pixels so small that single buildings change
    boom: float  # factor on the share of conversions: a few scenes are developed as a whole
    relief: Relief


def draw_district_plan(change: float, extent_m: float, gsd_m: float, rng: Draws) -> DistrictPlan:
    """Parameters of the districts, with a random mixture of land, for a scene `extent_m` metres across."""
    rural = np.cumsum(rng.shares((0.9, 0.9, 0.8, 0.12, 0.15)))
    urban = np.cumsum(rng.shares((0.9, 0.5, 0.5, 0.5)))
    district_m = max(rng.log_uniform(170, 420), rng.uniform(45, 130) * gsd_m)
    return DistrictPlan(
        # A large scene should contain several districts.
        district_m=min(district_m, max(extent_m / 3, 170.0)),
        urban=rng.beta(1.3, 0.9) if gsd_m < 3 else 0.7 * rng.beta(0.8, 0.9),
        urban_weights=urban,
        rural_weights=rural,
        scale=rng.log_normal(0, 0.15 if gsd_m < 5 else 0.35) * max(1.0, sqrt(gsd_m / 6.0)),
        change=change,
        wander=(rng.choice((0.01, 0.05, 0.1)) + (gsd_m > 5) * 0.03) * rng.uniform(0.5, 1.5),
        ragged_m=rng.uniform(3, 14) + 2 * gsd_m,
        fine=gsd_m < 3,
        boom=(3.0 if rng.random() < 0.2 else 0.85) * (1.5 if gsd_m < 3 else 1.0),
        relief=Relief.draw(gsd_m, rng),
    )


@dataclass(frozen=True)
class DistrictCells:
    """Table of the district cells near a frame; columns have length n."""

    y_m: Float32Array  # (n,) middle
    x_m: Float32Array
    key: UInt32Array  # (n,) hash that seeds draws
    land: UInt8Array  # (2, n) kind of land by date, in the part that converts
    converts: BoolArray  # (n,) a part of it converts
    cut: Float32Array  # (3, n) that half plane: normal (away from the street, along it), and offset in metres
    angle: Float32Array  # (2, 2, n) by date: cosine and sine of the street grid
    bend_m: Float32Array  # (n,) radius of curved streets, 0 = straight
    size: Float32Array  # (n,) size of the plots relative to the rules
    busy: Float32Array  # (n,) share of plots that may change


def _draw_district_cells(
    plan: DistrictPlan, frame: Frame, rows: IndexArray, cols: IndexArray
) -> DistrictCells:
    i, j = (grid.ravel() for grid in np.meshgrid(rows, cols, indexing="ij"))

    def draw(salt: Salt) -> Float32Array:
        return uniform(frame.seed, salt, i, j)

    # Towns stretch over several districts: half of the draw is shared by a neighbourhood.
    townish = 0.55 * uniform(frame.seed, Salt.DISTRICT_TOWNISH, i // 3, j // 3)
    townish += 0.45 * draw(Salt.DISTRICT_TOWN)
    urban = np.array(URBAN)[np.searchsorted(plan.urban_weights[:-1], draw(Salt.DISTRICT_URBAN))]
    rural = np.array(_RURAL)[np.searchsorted(plan.rural_weights[:-1], draw(Salt.DISTRICT_RURAL))]
    before = np.where(townish < plan.urban, urban, rural).astype(np.uint8)
    after = before.copy()
    converts = draw(Salt.DISTRICT_CONVERTS) < min(0.9, plan.boom * plan.change)
    which = draw(Salt.DISTRICT_TARGET)
    for land, targets in (_BUILDS if plan.fine else _CONVERTS).items():
        bag = np.repeat(np.array(list(targets)), list(targets.values()))
        target = bag[np.minimum((which * len(bag)).astype(np.intp), len(bag) - 1)]
        after = np.where(converts & (before == land), target, after).astype(np.uint8)
    away, turn = draw(Salt.DISTRICT_CUT_ANGLE), draw(Salt.DISTRICT_ANGLE)
    turned = np.stack(
        [turn, np.where(converts, uniform(frame.seed, Salt.DISTRICT_ANGLE, i, j, part=1), turn)]
    )
    curved = draw(Salt.DISTRICT_BENDS) < 0.5
    side = np.where(draw(Salt.DISTRICT_BEND_SIDE) < 0.5, 1, -1)
    # Change is clustered: none in a fifth of the districts, much in a few.
    busy = np.clip(2.2 * (draw(Salt.DISTRICT_BUSY) - 0.2), 0, None)
    busy = busy * np.sqrt(busy) * plan.change * (3.8 if plan.fine else 2.5)
    cut_m = (draw(Salt.DISTRICT_CUT_OFFSET) - 0.5) * 0.8 * plan.district_m
    return DistrictCells(
        y_m=((i + 0.2 + 0.6 * draw(Salt.DISTRICT_SOUTH)) * plan.district_m).astype(np.float32),
        x_m=((j + 0.2 + 0.6 * draw(Salt.DISTRICT_EAST)) * plan.district_m).astype(np.float32),
        key=hashed(frame.seed, Salt.DISTRICT_KEY, i, j),
        land=np.stack([before, after]),
        converts=converts,
        cut=np.stack([sin_turns(away), cos_turns(away), cut_m]).astype(np.float32),
        angle=np.stack([cos_turns(turned), sin_turns(turned)], axis=1).astype(np.float32),
        bend_m=np.where(
            curved, (1.0 + 2 * draw(Salt.DISTRICT_BEND_RADIUS)) * plan.district_m * side, 0
        ).astype(np.float32),
        size=(plan.scale * (0.8 + 0.5 * draw(Salt.DISTRICT_SIZE))).astype(np.float32),
        busy=np.minimum(busy, 0.9).astype(np.float32),
    )


@dataclass(frozen=True)
class Districts:
    """District of each pixel of a frame; arrays are (height, width)."""

    cells: DistrictCells
    cell: IndexArray  # row of `cells`
    border_m: Float32Array  # distance to the nearest border
    along_m: Float32Array  # position along that border
    rank: Float32Array  # of the road on that border: 0 = none, 1 = a main road
    renewed: Float32Array  # uniform draw in [0, 1) for that road: low = built between the dates
    south_m: Float32Array  # from the district's middle
    east_m: Float32Array
    stray: Float32Array  # noise on natural outlines; standard deviation 1


def map_districts(plan: DistrictPlan, frame: Frame) -> Districts:
    """Map each pixel of a frame to its district and the nearest border."""
    size = plan.district_m
    wander = np.float32(plan.wander * size)
    y = frame.y_m + wander * rough(frame, Salt.BORDER_WANDER_SOUTH, 0.8 * size, 3, 0.4)
    x = frame.x_m + wander * rough(frame, Salt.BORDER_WANDER_EAST, 0.8 * size, 3, 0.4)
    rows = np.arange(int(np.floor(y.min() / size)) - 2, int(np.floor(y.max() / size)) + 3)
    cols = np.arange(int(np.floor(x.min() / size)) - 2, int(np.floor(x.max() / size)) + 3)
    cells = _draw_district_cells(plan, frame, rows, cols)
    home = (
        (np.floor(y / size).astype(np.intp) - rows[0]) * len(cols)
        + np.floor(x / size).astype(np.intp)
        - cols[0]
    )
    cell, other, best, second = _two_nearest_districts(cells, y, x, home, len(cols))

    gap_y, gap_x = cells.y_m[other] - cells.y_m[cell], cells.x_m[other] - cells.x_m[cell]
    gap = np.sqrt(gap_y * gap_y + gap_x * gap_x)
    south, east = y - cells.y_m[cell], x - cells.x_m[cell]
    sign = np.where(cell < other, 1, -1).astype(np.float32)
    along = sign * (south * gap_x - east * gap_y) / gap
    # Borders and fields wind; streets and houses are straight.
    ruled = np.asarray(np.isin(cells.land, URBAN).any(axis=0))[cell]
    south = np.where(ruled, frame.y_m - cells.y_m[cell], south)
    east = np.where(ruled, frame.x_m - cells.x_m[cell], east)
    # The same draw from either side of the border.
    pair = (cells.key[cell] ^ cells.key[other], cells.key[cell] + cells.key[other])
    rank, renewed = (uniform(frame.seed, salt, *pair) for salt in (Salt.ROAD_RANK, Salt.ROAD_RENEWED))
    town = np.isin(cells.land[0], URBAN)
    rank = np.where(town[cell] | town[other], 0.35 + 0.65 * rank, rank)
    lake = cells.land[0] == Land.LAKE
    shore = lake[cell] | lake[other]
    rank = np.where(shore, 0.33 * rank, rank).astype(np.float32)
    found = Districts(
        cells=cells,
        cell=cell,
        border_m=(second - best) / (2 * gap),
        along_m=along,
        rank=rank,
        renewed=renewed,
        south_m=south,
        east_m=east,
        stray=rough(frame, Salt.BORDER_STRAY, 9 * plan.ragged_m, 3, 0.65),
    )
    # Shores and forest edges are irregular; other borders are nearly straight.
    wild = shore | (cells.land[0][cell] == Land.FOREST) | (cells.land[0][other] == Land.FOREST)
    return _fray_district_borders(
        found, other, sign, np.where(wild, np.float32(0.05 * size), 0) + np.float32(plan.ragged_m)
    )


def _two_nearest_districts(
    cells: DistrictCells, y: Float32Array, x: Float32Array, home: IndexArray, columns: int
) -> tuple[IndexArray, IndexArray, Float32Array, Float32Array]:
    """Nearest and second nearest district of each pixel, and their squared distances."""
    best = np.full(y.shape, np.inf, dtype=np.float32)
    second = best.copy()
    cell, other = home.copy(), home.copy()
    for step in (a * columns + b for a in (-1, 0, 1) for b in (-1, 0, 1)):
        candidate = home + step
        away = np.square(y - cells.y_m[candidate]) + np.square(x - cells.x_m[candidate])
        nearest = away < best
        runner = (away < second) & ~nearest
        np.copyto(other, cell, where=nearest)
        np.copyto(second, best, where=nearest)
        np.copyto(cell, candidate, where=nearest)
        np.copyto(best, away, where=nearest)
        np.copyto(other, candidate, where=runner)
        np.copyto(second, away, where=runner)
    return cell, other, best, second


ROADLESS = 0.3  # borders of a lower rank have no road


def _fray_district_borders(
    found: Districts, other: IndexArray, sign: Float32Array, ragged_m: Float32Array
) -> Districts:
    """Roughen district borders without a road: noise moves pixels beside them to the other side."""
    shift_m = ragged_m * sign * found.stray * 1.5
    swap = (found.rank < ROADLESS) & (found.border_m < shift_m)
    if not swap.any():
        return found
    cells = found.cells
    cell = np.where(swap, other, found.cell)
    south = found.south_m + cells.y_m[found.cell] - cells.y_m[cell]
    east = found.east_m + cells.x_m[found.cell] - cells.x_m[cell]
    return replace(found, cell=cell, south_m=south, east_m=east)
