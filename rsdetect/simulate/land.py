"""The kinds of land, and the catalogue of plots that a world is laid out with.

Every plot of the world is one of `ENTRIES` entries of its kind of land. An entry says what lies on the
plot on both dates: the use of the ground, the building and its wing, the plants. What changes between
the dates is written here and nowhere else, so that the truth can be read from the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.materials import pick, pick_among
from rsdetect.simulate.spec import ChangeKind

Float32Array = NDArray[np.float32]
UInt8Array = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]

ENTRIES = 512  # plots a kind of land; things change in the upper half only


class Land(IntEnum):
    """Kinds of land of a district."""

    FARM = 0
    FOREST = 1
    RANGE = 2  # rough grass and shrub
    SUBURB = 3  # houses in gardens
    DENSE = 4  # village or old-town plots, wall to wall
    BLOCKS = 5  # rows of flats
    INDUSTRY = 6
    LAKE = 7
    BARE = 8  # quarry, building ground, desert


URBAN = (Land.SUBURB, Land.DENSE, Land.BLOCKS, Land.INDUSTRY)


class Use(IntEnum):
    """Uses of the ground of a plot."""

    LAWN = 0
    CROP = 1
    MEADOW = 2
    RANGE = 3
    FOREST = 4
    EARTHWORK = 5
    YARD = 6  # paved
    PARKING = 7
    SOLAR = 8
    GREENHOUSE = 9
    WATER = 10
    BURNT = 11
    STREET = 12


# What a plot may turn into, and what the truth calls it.
_BECOMES = {
    Use.EARTHWORK: ChangeKind.EARTHWORK,
    Use.SOLAR: ChangeKind.SOLAR,
    Use.GREENHOUSE: ChangeKind.GREENHOUSE,
    Use.WATER: ChangeKind.WATER,
    Use.YARD: ChangeKind.PAVED,
    Use.PARKING: ChangeKind.PAVED,
    Use.RANGE: ChangeKind.CLEARED,
    Use.BURNT: ChangeKind.BURNT,
    Use.FOREST: ChangeKind.PLANTED,
}


@dataclass(frozen=True)
class Recipe:
    """How the plots of one kind of land are drawn. Lengths in metres, as (least, most)."""

    length: tuple[float, float]  # along the street
    depth: tuple[float, float]  # away from the street
    street: tuple[float, float] = (0.0, 0.0)
    per_block: int = 1  # plots between two cross streets
    uses: dict[Use, float] = field(default_factory=lambda: {Use.LAWN: 1.0})
    turns: dict[Use, float] = field(default_factory=dict)  # what a plot's ground may become
    built: float = 0.0  # share of the plots with a building
    house: tuple[float, float] = (8.0, 16.0)  # length of the building
    aspect: tuple[float, float] = (0.5, 0.9)  # width over length
    fill: float = 0.7  # most of the plot's length and depth that a building takes
    height: tuple[float, float] = (3.5, 8.0)
    flat: float = 0.2  # share of flat roofs
    roofs: dict[str, float] = field(default_factory=lambda: {"roof_grey": 1.0})
    wings: float = 0.5  # share of buildings with a wing
    trees: tuple[float, float] = (0.0, 0.2)  # share of tree places taken


RECIPES: dict[Land, Recipe] = {
    Land.FARM: Recipe(
        (50, 240), (35, 160), (0.0, 5.0), 2,
        {Use.CROP: 0.72, Use.MEADOW: 0.2, Use.YARD: 0.015, Use.GREENHOUSE: 0.015, Use.FOREST: 0.03},
        {Use.EARTHWORK: 3, Use.SOLAR: 2, Use.GREENHOUSE: 2, Use.WATER: 2, Use.YARD: 2, Use.FOREST: 0.5},
        0.04, (14, 50), (0.3, 0.7), 0.7, (4, 10), 0.3,
        {"roof_white": 2, "roof_grey": 2, "roof_tile": 2, "roof_blue": 1}, 0.6, (0.0, 0.02),
    ),
    Land.FOREST: Recipe(
        (60, 220), (60, 200), (0.0, 4.0), 2,
        {Use.FOREST: 0.9, Use.RANGE: 0.08, Use.MEADOW: 0.02},
        {Use.RANGE: 4, Use.EARTHWORK: 2, Use.BURNT: 1, Use.YARD: 0.5},
        0.01, (8, 25), (0.4, 0.9), 0.5, (3, 7), 0.3,
        {"roof_grey": 2, "roof_brown": 2, "roof_tile": 1}, 0.3, (0.75, 1.0),
    ),
    Land.RANGE: Recipe(
        (60, 260), (60, 220), (0.0, 3.0), 1,
        {Use.RANGE: 0.8, Use.MEADOW: 0.15, Use.EARTHWORK: 0.02},
        {Use.EARTHWORK: 4, Use.WATER: 2, Use.YARD: 2, Use.SOLAR: 1, Use.FOREST: 1, Use.BURNT: 0.5},
        0.05, (10, 40), (0.4, 0.9), 0.5, (3, 9), 0.4,
        {"roof_grey": 2, "roof_white": 1, "roof_brown": 1, "roof_tile": 1}, 0.5, (0.0, 0.5),
    ),
    Land.SUBURB: Recipe(
        (16, 32), (24, 42), (6, 10), 7,
        {Use.LAWN: 0.93, Use.YARD: 0.04, Use.RANGE: 0.03},
        {Use.YARD: 2, Use.EARTHWORK: 1},
        0.9, (10, 20), (0.55, 1.0), 0.72, (3.5, 8), 0.12,
        {"roof_grey": 3, "roof_dark": 2, "roof_tile": 3, "roof_brown": 2, "roof_white": 0.5, "roof_blue": 0.3},
        0.65, (0.02, 0.35),
    ),
    Land.DENSE: Recipe(
        (9, 20), (10, 22), (3, 6), 9,
        {Use.YARD: 0.7, Use.LAWN: 0.2, Use.RANGE: 0.1},
        {Use.EARTHWORK: 2, Use.YARD: 1},
        0.92, (8, 18), (0.5, 1.0), 0.97, (3, 9), 0.5,
        {"roof_grey": 4, "roof_tile": 2, "roof_brown": 2, "roof_blue": 1.2, "roof_white": 1, "roof_dark": 0.6},
        0.6, (0.0, 0.15),
    ),
    Land.BLOCKS: Recipe(
        (40, 90), (28, 60), (6, 12), 3,
        {Use.LAWN: 0.6, Use.YARD: 0.2, Use.PARKING: 0.15, Use.RANGE: 0.05},
        {Use.PARKING: 2, Use.EARTHWORK: 2},
        0.85, (30, 70), (0.16, 0.4), 0.85, (9, 32), 0.7,
        {"roof_grey": 4, "roof_tile": 2, "roof_white": 1.5, "roof_brown": 1}, 0.4, (0.02, 0.3),
    ),
    Land.INDUSTRY: Recipe(
        (60, 170), (50, 130), (8, 14), 3,
        {Use.YARD: 0.5, Use.PARKING: 0.25, Use.LAWN: 0.15, Use.EARTHWORK: 0.06},
        {Use.PARKING: 2, Use.EARTHWORK: 2, Use.YARD: 2},
        0.88, (35, 130), (0.35, 0.9), 0.85, (6, 14), 0.65,
        {"roof_white": 3, "roof_grey": 3, "roof_blue": 1.5, "roof_dark": 0.6, "roof_green": 0.4, "roof_tile": 0.4},
        0.7, (0.0, 0.04),
    ),
    Land.LAKE: Recipe((200, 300), (200, 300), uses={Use.WATER: 1.0}),
    Land.BARE: Recipe(
        (60, 200), (60, 200), (0.0, 6.0), 2,
        {Use.EARTHWORK: 0.7, Use.RANGE: 0.3},
        {Use.WATER: 2, Use.YARD: 3, Use.RANGE: 0.0, Use.SOLAR: 2},
        0.1, (12, 60), (0.3, 0.9), 0.7, (4, 10), 0.6,
        {"roof_white": 2, "roof_grey": 2, "roof_blue": 2}, 0.5, (0.0, 0.04),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Catalogue:
    """What lies on each plot; every array's last axis is `land * ENTRIES + entry`, axis 0 of two is the date."""

    use: UInt8Array  # (2, n) Use
    turned: UInt8Array  # (n,) ChangeKind of the ground, 0 where it stays
    soil: UInt8Array  # (n,) palette row of the bare ground
    plant: UInt8Array  # (n,) palette row of what grows
    paved: UInt8Array  # (n,) palette row of what is paved
    cover: Float32Array  # (2, n) share of the ground that plants cover
    rows_m: Float32Array  # (n,) spacing of crop rows
    trees: Float32Array  # (2, n) share of tree places taken
    hedge: BoolArray  # (n,) a row of trees along the plot's edge
    standing: BoolArray  # (2, n) the main building stands
    wing_standing: BoolArray  # (2, n)
    house_m: Float32Array  # (n,) length of the main building
    aspect: Float32Array  # (n,) its width over its length
    fill: Float32Array  # (n,) most of the plot that it takes
    place: Float32Array  # (2, n) its place in what is left, 0 to 1 (along the street, away from it)
    turn: Float32Array  # (2, n) cosine and sine of its turn against the street
    wing: Float32Array  # (3, n) wing's length and width over the house's, its place along it
    height_m: Float32Array  # (n,)
    pitch: Float32Array  # (n,) slope of the roof, 0 = flat
    hip: BoolArray  # (n,) the roof slopes on four sides
    roof: UInt8Array  # (n,) palette row

    @property
    def built(self) -> BoolArray:
        """(n,) a building or a wing stands on either date."""
        return np.asarray(self.standing.any(axis=0) | self.wing_standing.any(axis=0))


def draw_catalogue(change: float, gsd_m: float, rng: np.random.Generator) -> Catalogue:
    """The catalogue of one world; with `change` above 0, things change in the upper half of each land's entries."""
    # Where a house is no larger than a pixel, one house more is no change that anybody could map.
    too_small = (Land.SUBURB, Land.DENSE) if gsd_m > 5 else ()
    parts = [_draw_land(land, RECIPES[land], 0.0 if land in too_small else change, rng) for land in Land]
    return Catalogue(**{name: np.concatenate([p[name] for p in parts], axis=-1) for name in parts[0]})


def _span(rng: np.random.Generator, span: tuple[float, float], n: int = ENTRIES) -> Float32Array:
    return rng.uniform(*span, n).astype(np.float32)


def _draw_land(
    land: Land, recipe: Recipe, change: float, rng: np.random.Generator
) -> dict[str, NDArray[np.generic]]:
    n = ENTRIES
    ground = _draw_ground(land, recipe, change, rng)
    stays = np.isin(ground["use"], (Use.CROP, Use.WATER, Use.SOLAR, Use.GREENHOUSE, Use.FOREST, Use.BURNT))
    may_stand = ~stays & ((land not in (Land.FARM, Land.RANGE, Land.FOREST)) | (ground["use"] != Use.PARKING))
    here = rng.random(n) < recipe.built
    if land is Land.FARM:
        here = np.isin(ground["use"][1], (Use.YARD,)) & (rng.random(n) < 0.8)
    standing = np.stack([here, here]) & may_stand
    wing = standing & (rng.random(n) < recipe.wings)
    event, which = _may_change(change) & (rng.random(n) < 0.9), rng.random(n)
    standing[0] &= ~(event & (which < 0.55))
    wing[0] &= ~(event & (which < 0.75))
    standing[1] &= ~(event & (which >= 0.75))
    wing[1] &= standing[1]
    wing[0] &= standing[0]
    angle = rng.normal(0, 0.03, n) + (rng.random(n) < 0.15) * rng.normal(0, 0.5, n)
    pitched = rng.random(n) >= recipe.flat
    return ground | {
        "standing": standing,
        "wing_standing": wing,
        "house_m": _span(rng, recipe.house),
        "aspect": _span(rng, recipe.aspect),
        "fill": np.full(n, recipe.fill, dtype=np.float32),
        "place": np.stack([_span(rng, (0.2, 0.8)), _span(rng, (0.1, 0.6))]),
        "turn": np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32),
        "wing": np.stack([_span(rng, (0.3, 0.6)), _span(rng, (0.4, 0.9)), _span(rng, (-0.3, 0.3))]),
        "height_m": _span(rng, recipe.height),
        "pitch": np.where(pitched, rng.uniform(0.25, 0.7, n), 0.0).astype(np.float32),
        "hip": rng.random(n) < 0.45,
        "roof": pick_among(rng, recipe.roofs, n),
    }


def _may_change(change: float) -> BoolArray:
    """(ENTRIES,) the plots on which things may change."""
    return (np.arange(ENTRIES) >= ENTRIES // 2) & (change > 0)


def _draw_ground(
    land: Land, recipe: Recipe, change: float, rng: np.random.Generator
) -> dict[str, NDArray[np.generic]]:
    n = ENTRIES
    uses = np.array(list(recipe.uses), dtype=np.uint8)
    weights = np.array(list(recipe.uses.values()))
    use = np.repeat(rng.choice(uses, n, p=weights / weights.sum())[None], 2, axis=0)
    turned = np.zeros(n, dtype=np.uint8)
    if recipe.turns:
        targets = np.array(list(recipe.turns), dtype=np.uint8)
        odds = np.array(list(recipe.turns.values()))
        target = rng.choice(targets, n, p=odds / odds.sum())
        rate = 0.2 if land in URBAN else 0.8
        event = _may_change(change) & (rng.random(n) < rate) & (target != use[0])
        use[1] = np.where(event, target, use[1])
        turned = np.where(event, np.array([_BECOMES.get(Use(u), 0) for u in range(len(Use))])[target], 0)
    # Cover of the dates is independent: crops are sown, grow and are cut. That is not change.
    cover = np.clip(rng.beta(0.5, 0.5, (2, n)), 0.02, 0.98)
    trees = np.repeat(_span(rng, recipe.trees)[None], 2, axis=0)
    trees = np.where(use == Use.FOREST, np.maximum(trees, 0.9), trees)
    if land is Land.FOREST:
        trees = np.where(use == Use.FOREST, trees, 0.05)
    trees = np.where(np.isin(use, (Use.LAWN, Use.RANGE, Use.MEADOW, Use.FOREST, Use.YARD)), trees, 0)
    crops = {"crop": 3.0, "grass": 1.0, "ripe": 1.0} if land is Land.FARM else {"grass": 1.0}
    return {
        "use": use,
        "turned": turned.astype(np.uint8),
        "soil": pick_among(rng, {"soil": 4.0, "sand": 0.6, "straw": 1.0}, n),
        "plant": pick_among(rng, crops, n),
        "paved": pick_among(rng, {"asphalt": 1.5, "concrete": 2.0, "gravel": 1.5}, n),
        "cover": cover.astype(np.float32),
        "rows_m": _span(rng, (1.2, 6.0)),
        "trees": trees.astype(np.float32),
        "hedge": rng.random(n) < 0.25,
    }


def street_rows(rng: np.random.Generator) -> UInt8Array:
    """Palette rows of road surfaces: track, lane, main road."""
    return np.concatenate([pick(rng, "gravel", 1), pick(rng, "asphalt", 1), pick(rng, "asphalt", 1)])
