"""Catalogue of the plots of a world.

Every plot of the world is one of `ENTRIES` entries of its kind of land. An entry describes the plot on both
dates: the use of the ground, the building and its wing, the plants. Changes of plots are defined here only,
so that the truth can be read from the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray, Float32Array, UInt8Array
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exact import cos_turns, exp, sin_turns
from rsdetect.simulation.ground.land import PLOT_RULES, URBAN, Land, PlotRules, Use
from rsdetect.simulation.materials import pick_materials
from rsdetect.simulation.spec import ChangeKind

ENTRIES = 512  # plots per kind of land; only those of the upper half may change

FABRIC_M = 12.0  # in larger pixels small houses are not drawn individually

# New use of a plot -> kind of change in the truth.
_BECOMES = {
    Use.EARTHWORK: ChangeKind.EARTHWORK,
    Use.SOLAR: ChangeKind.SOLAR,
    Use.GREENHOUSE: ChangeKind.GREENHOUSE,
    Use.WATER: ChangeKind.WATER,
    Use.YARD: ChangeKind.PAVED,
    Use.PARKING: ChangeKind.PAVED,
    Use.RANGE: ChangeKind.CLEARED,
    Use.BURNT: ChangeKind.BURNT,
    Use.SITE: ChangeKind.EARTHWORK,
    Use.RUBBLE: ChangeKind.CLEARANCE,
    Use.FOREST: ChangeKind.PLANTED,
}


@dataclass(frozen=True)
class Catalogue:
    """Catalogue of plots: the last axis is `land * ENTRIES + entry`; an axis of two before it is the date."""

    use: UInt8Array  # (2, n) Use
    turned: UInt8Array  # (n,) ChangeKind of the ground, 0 where unchanged
    soil: UInt8Array  # (n,) palette row of the bare ground
    plant: UInt8Array  # (2, n) palette row of the plants; crops rotate
    paved: UInt8Array  # (n,) palette row of the pavement
    cover: Float32Array  # (2, n) share of the ground that plants cover
    rows_m: Float32Array  # (n,) spacing of crop rows
    trees: Float32Array  # (2, n) share of tree positions with a tree
    hedge: BoolArray  # (n,) a row of trees along the plot's edge
    standing: BoolArray  # (2, n) the main building exists
    wing_standing: BoolArray  # (2, n)
    rebuilt: BoolArray  # (n,) the building is replaced by another
    shape: UInt8Array  # (2, n) Shape
    house_m: Float32Array  # (2, n) length of the main building
    aspect: Float32Array  # (2, n) its width over its length
    fill: Float32Array  # (n,) largest share of the plot's length and depth
    position: (
        Float32Array  # (2, 2, n) its position in the free space, 0 to 1 (along the street, away from it)
    )
    turn: Float32Array  # (2, 2, n) cosine and sine of its rotation against the street
    wing: Float32Array  # (2, 3, n) wing's length and width relative to the house's, its position along it
    height_m: Float32Array  # (2, n)
    pitch: Float32Array  # (2, n) slope of the roof, 0 = flat
    hip: BoolArray  # (2, n) the roof slopes on four sides
    roof: UInt8Array  # (2, n) palette row; a repainted or retiled roof is no change
    worn: Float32Array  # (2, n) brightness of the roof relative to its material: dirt, weathering, cleaning


class Shape(IntEnum):
    """Shape of a main building: ground plan and roof."""

    PLAIN = 0
    TWO_WINGED = 1  # a second wing opposite or beside the first: U, T, Z
    ROUND = 2
    COURTYARD = 3
    SAWTOOTH = 4  # a hall under rows of slanting roofs


def draw_catalogue(change: float, gsd_m: float, rng: Draws) -> Catalogue:
    """Catalogue of the plots of one world; with `change` at 0 nothing changes."""
    # Where a house is no larger than a pixel, a new house cannot be mapped.
    too_small = () if gsd_m < 5 else (Land.SUBURB, Land.DENSE) if gsd_m < 15 else URBAN
    parts = [_draw_catalogue_land(land, change * (land not in too_small), gsd_m, rng) for land in Land]
    return Catalogue(**{name: np.concatenate([p[name] for p in parts], axis=-1) for name in parts[0]})


def _draw_span(rng: Draws, span: tuple[float, float], n: int = ENTRIES) -> Float32Array:
    return rng.uniform(*span, n).astype(np.float32)


_UNBUILT = (
    Use.CROP, Use.WATER, Use.SOLAR, Use.GREENHOUSE, Use.FOREST, Use.BURNT, Use.ORCHARD, Use.VINEYARD,
    Use.WETLAND, Use.GOLF, Use.SITE, Use.RUBBLE, Use.SPORTS, Use.FABRIC,
)  # fmt: skip


def _draw_catalogue_land(
    land: Land, change: float, gsd_m: float, rng: Draws
) -> dict[str, NDArray[np.generic]]:
    n, recipe = ENTRIES, PLOT_RULES[land]
    ground = _draw_catalogue_ground(land, change, gsd_m, rng)
    stays = np.isin(ground["use"], _UNBUILT)
    may_stand = ~stays & ((land not in (Land.FARM, Land.RANGE, Land.FOREST)) | (ground["use"] != Use.PARKING))
    here = rng.random(n) < recipe.built
    if land not in URBAN:  # farms, factories, stations: a paved plot in open land has a building
        here = np.where(ground["use"][1] == Use.YARD, rng.random(n) < 0.85, here & (land is not Land.FARM))
    standing = np.stack([here, here]) & may_stand
    wing = standing & (rng.random(n) < recipe.wings)
    # Half of the events are new buildings; others are extensions, demolitions or replacements.
    event, which = _changeable_entries(change) & (rng.random(n) < 0.95), rng.random(n)
    standing[0] &= ~(event & (which < 0.5))
    wing[0] &= ~(event & (which < 0.62))
    standing[1] &= ~(event & (which >= 0.62) & (which < 0.8))
    wing[1] &= standing[1]
    wing[0] &= standing[0]
    rebuilt = standing.all(axis=0) & event & (which >= 0.8)
    first, second = _draw_catalogue_buildings(recipe, rng), _draw_catalogue_buildings(recipe, rng)
    houses = {name: np.stack([first[name], np.where(rebuilt, second[name], first[name])]) for name in first}
    repainted = rng.random(n) < 0.06
    houses["roof"][1] = np.where(repainted, second["roof"], houses["roof"][1])
    worn = exp(rng.normal(0, 0.1, (2, n)) + rng.normal(0, 0.1, n))
    fixed = {"rebuilt": rebuilt, "fill": np.full(n, recipe.fill, np.float32), "worn": worn.astype(np.float32)}
    return ground | houses | fixed | {"standing": standing, "wing_standing": wing}


def _draw_catalogue_buildings(recipe: PlotRules, rng: Draws) -> dict[str, NDArray[np.generic]]:
    """Buildings of the catalogue: one for each entry, whether or not it exists."""
    n = ENTRIES
    turn = (rng.normal(0, 0.03, n) + (rng.random(n) < 0.15) * rng.normal(0, 0.5, n)) / (2 * np.pi)
    pitched = rng.random(n) >= recipe.flat
    large = recipe.house[1] > 25
    odds = [0.60, 0.12, 0.06, 0.12, 0.10] if large else [0.74, 0.20, 0.01, 0.05, 0.0]
    shape = rng.index(odds, n)
    return {
        "shape": shape.astype(np.uint8),
        "house_m": _draw_span(rng, recipe.house),
        "aspect": _draw_span(rng, recipe.aspect),
        "position": np.stack([_draw_span(rng, (0.1, 0.9)), _draw_span(rng, (0.1, 0.6))]),
        "turn": np.stack([cos_turns(turn), sin_turns(turn)]).astype(np.float32),
        "wing": np.stack(
            [_draw_span(rng, (0.2, 0.6)), _draw_span(rng, (0.4, 1.2)), _draw_span(rng, (-0.42, 0.42))]
        ),
        "height_m": _draw_span(rng, recipe.height),
        "pitch": np.where(pitched & (shape != Shape.ROUND), rng.uniform(0.25, 0.7, n), 0).astype(np.float32),
        "hip": rng.random(n) < 0.45,
        "roof": pick_materials(rng, recipe.roofs, n),
    }


def _rotate_crops(plants: UInt8Array, rng: Draws) -> UInt8Array:
    """Rotate the crops of half of the catalogue's plots on the second date."""
    plants[1] = np.where(rng.random(ENTRIES) < 0.5, plants[1], plants[0])
    return plants


def _changeable_entries(change: float) -> BoolArray:
    """Catalogue entries that may change, (ENTRIES,)."""
    return (np.arange(ENTRIES) >= ENTRIES // 2) & (change > 0)


def _draw_catalogue_ground(
    land: Land, change: float, gsd_m: float, rng: Draws
) -> dict[str, NDArray[np.generic]]:
    n, recipe = ENTRIES, PLOT_RULES[land]
    uses = np.array(list(recipe.uses), dtype=np.uint8)
    use = np.repeat(uses[rng.index(list(recipe.uses.values()), n)][None], 2, axis=0)
    if gsd_m > FABRIC_M and land in (Land.SUBURB, Land.DENSE):
        use[:, :] = Use.FABRIC
    turned = np.zeros(n, dtype=np.uint8)
    if recipe.turns:
        targets = np.array(list(recipe.turns), dtype=np.uint8)
        odds = np.array(list(recipe.turns.values()), dtype=np.float64)
        # Single farms or factories are less frequent where whole fields are visible.
        odds[targets == Use.YARD] *= 1.0 if gsd_m < 3 else 0.4
        target = targets[rng.index(odds, n)]
        # In fine scenes most changes are buildings.
        rate = 0.1 if land in URBAN else 0.45 if gsd_m < 3 else 0.8
        event = _changeable_entries(change) & (rng.random(n) < rate) & (target != use[0])
        use[1] = np.where(event, target, use[1])
        turned = np.where(event, np.array([_BECOMES.get(Use(u), 0) for u in range(len(Use))])[target], 0)
    # Plant cover of the dates is independent: growth and harvest are no change. Bare and full cover are more
    # frequent than half (an arcsine distribution).
    cover = np.clip(0.5 - 0.5 * cos_turns(0.5 * rng.random((2, n))), 0.02, 0.98)
    trees = np.repeat(_draw_span(rng, recipe.trees)[None], 2, axis=0)
    trees = np.where(use == Use.FOREST, np.maximum(trees, 0.9), trees)
    if land is Land.FOREST:
        trees = np.where(use == Use.FOREST, trees, 0.05)
    trees = np.where(np.isin(use, (Use.LAWN, Use.RANGE, Use.MEADOW, Use.FOREST, Use.YARD)), trees, 0)
    crops = {"crop": 3.0, "grass": 1.0, "ripe": 1.0} if land is Land.FARM else {"grass": 1.0}
    return {
        "use": use,
        "turned": turned.astype(np.uint8),
        "soil": pick_materials(rng, {"soil": 4.0, "sand": 0.6, "straw": 1.0, "gravel": 0.2}, n),
        "plant": _rotate_crops(pick_materials(rng, crops, 2 * n).reshape(2, n), rng),
        "paved": pick_materials(rng, {"asphalt": 1.5, "concrete": 2.0, "gravel": 1.5}, n),
        "cover": cover.astype(np.float32),
        "rows_m": _draw_span(rng, (1.2, 6.0)),
        "trees": trees.astype(np.float32),
        "hedge": rng.random(n) < 0.25,
    }
