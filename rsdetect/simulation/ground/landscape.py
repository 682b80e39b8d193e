"""Landscape of both dates under a frame, painted layer by layer, and the kinds of change between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import UInt8Array
from rsdetect.simulation.canvas import Canvas, Cover, Texture
from rsdetect.simulation.ground.buildings import paint_buildings
from rsdetect.simulation.ground.districts import map_districts
from rsdetect.simulation.ground.land import URBAN, Land
from rsdetect.simulation.ground.land_classes import land_classes
from rsdetect.simulation.ground.painting import paint_ground
from rsdetect.simulation.ground.plots import Plots, map_plots
from rsdetect.simulation.ground.relief import shade_hills
from rsdetect.simulation.ground.roads import Roads, park_vehicles
from rsdetect.simulation.ground.trees import paint_trees
from rsdetect.simulation.ground.water import map_water, paint_water
from rsdetect.simulation.ground.weather import paint_weather
from rsdetect.simulation.noise import Frame
from rsdetect.simulation.spec import ChangeKind
from rsdetect.simulation.world import World


@dataclass(frozen=True)
class Landscape:
    """Landscape of both dates under a frame, before illumination and sensor."""

    canvases: tuple[Canvas, Canvas]
    kind: UInt8Array  # (height, width) ChangeKind
    land: tuple[UInt8Array, UInt8Array]  # (height, width) classes of `rsdetect.kinds.classes.Land`


def draw_landscape(world: World, frame: Frame) -> Landscape:
    """Landscape of both dates, painted, with the kind of change of each pixel."""
    districts = map_districts(world.plan, frame)
    before, after, converted = map_plots(districts, frame)
    shores = map_water(world.waters, frame)
    bank = shores.bank | shores.seen[0] | shores.seen[1]
    roads = Roads(districts, world.plan.change, frame)
    clear = roads.clear_of(districts.border_m)
    textures = Texture.draw_pair(frame, world.texture)
    canvases, alone = [], []
    for date, plots in enumerate((before, after)):
        canvas = Canvas.blank((frame.height, frame.width))
        texture, view = textures[date], world.views[date]
        use = paint_ground(canvas, plots, world.catalogue, texture, date, frame.gsd_m)
        alone.append(paint_buildings(canvas, plots, world.catalogue, texture, view, date, clear))
        if bank.any():
            paint_water(canvas, shores, date, texture, frame)
        roads.paint(canvas, texture, date, frame.gsd_m)
        roads.paint_vehicles(canvas, frame, date)
        park_vehicles(canvas, plots, use, frame, date)
        canvas.trees[:] *= np.clip(1 + 0.9 * districts.stray, 0, 2)
        for spacing in world.tree_m:
            paint_trees(canvas, frame, texture, view, spacing, date)
        shade_hills(canvas, world.plan.relief, before.land, frame, view)
        paint_weather(canvas, frame, date)
        canvases.append(canvas)

    kind = np.where(before.street, 0, world.catalogue.turned[before.entry])
    kind = np.where(converted, _conversion_kinds(before, after), kind)
    built = [(canvas.cover == Cover.BUILDING) for canvas in canvases]
    kind = np.where(built[0] & built[1] & ~converted, ChangeKind.NONE, kind)
    kind = np.where(built[0] & (alone[0] | converted), ChangeKind.BUILDING_REMOVED, kind)
    kind = np.where(built[1] & (alone[1] | converted), ChangeKind.BUILDING_NEW, kind)
    kind[bank] = 0
    kind[shores.lying[0] != shores.lying[1]] = ChangeKind.WATER
    roads.mark(kind)
    _mark_tree_changes(kind, canvases, converted)
    land = land_classes(canvases[0]), land_classes(canvases[1])
    return Landscape((canvases[0], canvases[1]), kind.astype(np.uint8), land)


def _mark_tree_changes(
    kind: NDArray[np.integer], canvases: list[Canvas], converted: NDArray[np.bool_]
) -> None:
    """Mark tree crowns in the landscape's kinds of change: on one date only, or hiding another change."""
    woody = [canvas.cover == Cover.WOODY for canvas in canvases]
    # A displaced building may hide a crown on one date; that is no change.
    open_sky = (canvases[0].cover != Cover.BUILDING) & (canvases[1].cover != Cover.BUILDING) & (kind == 0)
    kind[open_sky & woody[0] & ~woody[1]] = ChangeKind.CLEARED
    kind[open_sky & woody[1] & ~woody[0]] = ChangeKind.PLANTED
    # Cleared land keeps some trees, and counts as changed as a whole.
    kind[woody[0] & woody[1] & ~converted] = ChangeKind.NONE


def _conversion_kinds(before: Plots, after: Plots) -> UInt8Array:
    kind = _CONVERSION[before.land, after.land]
    street = after.street & np.isin(after.land, URBAN)
    return np.where(street, np.uint8(ChangeKind.ROAD), kind)


def _conversion_table() -> UInt8Array:
    """Kind of change of the landscape between buildings, by (land before, land after)."""
    table = np.full((len(Land), len(Land)), ChangeKind.EARTHWORK, dtype=np.uint8)
    table[:, [int(land) for land in URBAN]] = ChangeKind.BUILT_UP
    for land in URBAN:
        table[land, [Land.BARE, Land.RANGE, Land.FARM]] = ChangeKind.CLEARANCE
    table[Land.FOREST, [Land.RANGE, Land.FARM]] = ChangeKind.CLEARED
    table[:, Land.LAKE] = table[Land.LAKE, :] = ChangeKind.WATER
    return table


_CONVERSION = _conversion_table()
