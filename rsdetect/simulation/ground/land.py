"""Land: the kinds of land, and the rules of their plots."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Land(IntEnum):
    """Kind of land of a district."""

    FARM = 0
    FOREST = 1
    RANGE = 2  # rangeland: rough grass and shrub
    SUBURB = 3  # houses in gardens
    DENSE = 4  # village or old-town plots, wall to wall
    BLOCKS = 5  # rows of flats
    INDUSTRY = 6
    LAKE = 7
    BARE = 8  # quarry, building ground, desert


URBAN = (Land.SUBURB, Land.DENSE, Land.BLOCKS, Land.INDUSTRY)


class Use(IntEnum):
    """Land use of a plot."""

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
    ORCHARD = 13
    VINEYARD = 14
    WETLAND = 15
    GOLF = 16
    SITE = 17  # under construction
    RUBBLE = 18
    SPORTS = 19
    FABRIC = 20  # houses, gardens and streets mixed, where they are smaller than a pixel


@dataclass(frozen=True)
class PlotRules:
    """Rules for the plots of one kind of land. Lengths in metres, as (least, most)."""

    length: tuple[float, float]  # along the street
    depth: tuple[float, float]  # away from the street
    street: tuple[float, float] = (0.0, 0.0)
    per_block: int = 1  # plots between two cross streets
    uses: dict[Use, float] = field(default_factory=lambda: {Use.LAWN: 1.0})
    turns: dict[Use, float] = field(default_factory=dict)  # possible new uses of a plot and their weights
    built: float = 0.0  # share of the plots with a building
    house: tuple[float, float] = (8.0, 16.0)  # length of the building
    aspect: tuple[float, float] = (0.5, 0.9)  # width over length
    fill: float = 0.7  # largest share of the plot's length and depth that a building takes
    height: tuple[float, float] = (3.5, 8.0)
    flat: float = 0.2  # share of flat roofs
    roofs: dict[str, float] = field(default_factory=lambda: {"roof_grey": 1.0})
    wings: float = 0.5  # share of buildings with a wing
    trees: tuple[float, float] = (0.0, 0.2)  # share of tree positions with a tree


PLOT_RULES: dict[Land, PlotRules] = {
    Land.FARM: PlotRules(
        (50, 240), (35, 160), (0.0, 5.0), 2,
        {Use.CROP: 0.6, Use.MEADOW: 0.2, Use.YARD: 0.03, Use.GREENHOUSE: 0.015, Use.FOREST: 0.04,
         Use.ORCHARD: 0.07, Use.VINEYARD: 0.05, Use.SOLAR: 0.005, Use.GOLF: 0.01, Use.SPORTS: 0.01},
        {Use.EARTHWORK: 2, Use.SITE: 1, Use.SOLAR: 2, Use.GREENHOUSE: 2, Use.WATER: 1.5, Use.YARD: 5,
         Use.FOREST: 0.7},
        0.04, (14, 50), (0.3, 0.7), 0.7, (4, 10), 0.3,
        {"roof_white": 2, "roof_grey": 2, "roof_tile": 2, "roof_blue": 1}, 0.6, (0.0, 0.02),
    ),
    Land.FOREST: PlotRules(
        (60, 220), (60, 200), (0.0, 4.0), 2,
        {Use.FOREST: 0.88, Use.RANGE: 0.08, Use.MEADOW: 0.03, Use.WETLAND: 0.01},
        {Use.RANGE: 4, Use.EARTHWORK: 1.5, Use.BURNT: 1, Use.YARD: 2},
        0.02, (8, 25), (0.4, 0.9), 0.5, (3, 7), 0.3,
        {"roof_grey": 2, "roof_brown": 2, "roof_tile": 1}, 0.3, (0.75, 1.0),
    ),
    Land.RANGE: PlotRules(
        (60, 260), (60, 220), (0.0, 3.0), 1,
        {Use.RANGE: 0.72, Use.MEADOW: 0.12, Use.EARTHWORK: 0.03, Use.WETLAND: 0.05, Use.GOLF: 0.05,
         Use.YARD: 0.02},
        {Use.EARTHWORK: 2.5, Use.SITE: 1, Use.WATER: 1.5, Use.YARD: 5, Use.SOLAR: 1, Use.FOREST: 1,
         Use.BURNT: 0.5},
        0.05, (10, 40), (0.4, 0.9), 0.5, (3, 9), 0.4,
        {"roof_grey": 2, "roof_white": 1, "roof_brown": 1, "roof_tile": 1}, 0.5, (0.0, 0.5),
    ),
    Land.SUBURB: PlotRules(
        (15, 29), (22, 38), (6, 10), 7,
        {Use.LAWN: 0.9, Use.YARD: 0.04, Use.RANGE: 0.03, Use.GOLF: 0.01,
         Use.SPORTS: 0.01, Use.EARTHWORK: 0.01},
        {Use.YARD: 2, Use.SITE: 1},
        0.92, (11, 22), (0.6, 1.0), 0.78, (3.5, 8), 0.12,
        {"roof_grey": 3, "roof_dark": 2, "roof_tile": 3, "roof_brown": 3, "roof_white": 0.5,
         "gravel": 0.5},
        0.65, (0.02, 0.35),
    ),
    Land.DENSE: PlotRules(
        (9, 20), (10, 22), (3, 6), 9,
        {Use.YARD: 0.68, Use.LAWN: 0.2, Use.RANGE: 0.08, Use.RUBBLE: 0.02, Use.SPORTS: 0.01,
         Use.EARTHWORK: 0.01},
        {Use.RUBBLE: 1, Use.SITE: 1, Use.YARD: 1},
        0.92, (8, 18), (0.5, 1.0), 0.97, (3, 9), 0.5,
        {"roof_grey": 4, "roof_tile": 2, "roof_brown": 2, "roof_blue": 1.2, "roof_white": 1,
         "concrete": 2, "soil": 1},
        0.6, (0.0, 0.15),
    ),
    Land.BLOCKS: PlotRules(
        (40, 90), (28, 60), (6, 12), 3,
        {Use.LAWN: 0.55, Use.YARD: 0.18, Use.PARKING: 0.15, Use.RANGE: 0.05, Use.SPORTS: 0.05,
         Use.SITE: 0.02},
        {Use.PARKING: 2, Use.SITE: 2},
        0.85, (30, 70), (0.16, 0.4), 0.85, (9, 32), 0.7,
        {"roof_grey": 4, "roof_tile": 2, "roof_white": 1.5, "roof_brown": 1, "concrete": 1.5,
         "gravel": 1}, 0.4, (0.02, 0.3),
    ),
    Land.INDUSTRY: PlotRules(
        (60, 170), (50, 130), (8, 14), 3,
        {Use.YARD: 0.5, Use.PARKING: 0.22, Use.LAWN: 0.15, Use.EARTHWORK: 0.05, Use.RUBBLE: 0.02,
         Use.SITE: 0.02},
        {Use.PARKING: 2, Use.SITE: 2, Use.YARD: 2},
        0.88, (35, 130), (0.35, 0.9), 0.85, (6, 14), 0.65,
        {"roof_white": 3, "roof_grey": 3, "roof_blue": 1.5, "roof_dark": 0.8, "roof_green": 0.4,
         "concrete": 1.5, "gravel": 1, "roof_tile": 0.4},
        0.7, (0.0, 0.04),
    ),
    Land.LAKE: PlotRules((200, 300), (200, 300), uses={Use.WATER: 1.0}),
    Land.BARE: PlotRules(
        (60, 200), (60, 200), (0.0, 6.0), 2,
        {Use.EARTHWORK: 0.68, Use.RANGE: 0.26, Use.SITE: 0.04, Use.RUBBLE: 0.02},
        {Use.WATER: 1.5, Use.YARD: 5, Use.SOLAR: 1.5, Use.SITE: 1},
        0.1, (12, 60), (0.3, 0.9), 0.7, (4, 10), 0.6,
        {"roof_white": 2, "roof_grey": 2, "roof_blue": 2}, 0.5, (0.0, 0.04),
    ),
}  # fmt: skip
