"""Joined changes of a batch: neighbouring pairs as one layer, in which ground counts once.

The polygons of a mosaic (`rsdetect.batches.mosaics`) are traced from its pixels, as by a job on the mosaic of
the scenes: each pixel is from one pair, and opening, minimum area and all other steps apply across the
borders of the pairs. Differences of the bands and other columns that the raster does not have are those of
the pairs' own polygons. A pair that meets no other keeps its polygons.

Polygons of mosaics on different grids are joined by `rsdetect.batches.across_grids`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from pyproj import CRS

from rsdetect.batches.across_grids import GridChanges, joined_across_grids
from rsdetect.batches.adjacency import mosaics_of
from rsdetect.batches.covered_polygons import attributes_of
from rsdetect.batches.finished_pairs import read_finished
from rsdetect.batches.mosaics import Mosaic, MosaicTile, OwnPixels
from rsdetect.batches.pair_layers import DATES, Columns, PairLayer, stacked_layers
from rsdetect.devices import usable_cores
from rsdetect.memory import MIB, return_free_memory
from rsdetect.regions.collected import Regions, TraceOptions
from rsdetect.regions.shape import shapes_of
from rsdetect.regions.trace import trace_footprint, trace_regions

_GROWTH = 64 * MIB  # of the process, from which on freed memory is returned


@dataclass(frozen=True)
class PairFiles:
    """Finished pair to join: its folder, and the layers of its GeoPackage."""

    name: str
    folder: Path
    changes: PairLayer
    footprint: PairLayer


def join_pairs(pairs: Sequence[PairFiles], crs: CRS) -> tuple[list[PairLayer], list[PairLayer]]:
    """Join the changes of pairs: layers of changes, and of the ground that is from each pair.

    Parameters
    ----------
    pairs
        In the order of the list, which decides where distances are equal.
    crs
        The CRS of the finished file, in which changes of several grids are joined.

    Raises
    ------
    InputError
        A record or a raster is damaged.
    """
    read = [read_finished(pair.name, pair.folder, pair.changes.crs.to_wkt()) for pair in pairs]
    mosaics, overlaps = mosaics_of(read)
    others: dict[tuple[int, int], list[tuple[Mosaic, MosaicTile]]] = {}
    for at, nth, there, tile in overlaps:
        others.setdefault((at, nth), []).append((mosaics[there], mosaics[there].tiles[tile]))
    footprints = [
        [
            _own_ground(mosaic, tile, tuple(others.get((at, nth), ())), pairs[tile.number].footprint)
            for nth, tile in enumerate(mosaic.tiles)
        ]
        for at, mosaic in enumerate(mosaics)
    ]
    changes = [
        _untraced(pairs[mosaic.tiles[0].number].changes)
        if len(mosaic.tiles) == 1
        else _traced_changes(mosaic, [pairs[tile.number].changes for tile in mosaic.tiles])
        for mosaic in mosaics
    ]
    shared = {at for at, _ in others}
    changes = joined_across_grids(
        [
            GridChanges(layer, mosaic, grounds if at in shared else None)
            for at, (layer, mosaic, grounds) in enumerate(zip(changes, mosaics, footprints, strict=True))
        ],
        crs,
    )
    by_number = {
        tile.number: ground
        for mosaic, grounds in zip(mosaics, footprints, strict=True)
        for tile, ground in zip(mosaic.tiles, grounds, strict=True)
    }
    return changes, [by_number[number] for number in range(len(pairs))]


def _own_ground(
    mosaic: Mosaic, tile: MosaicTile, others: tuple[tuple[Mosaic, MosaicTile], ...], footprint: PairLayer
) -> PairLayer:
    """Footprint of a pair without the pixels that are from other pairs to join."""
    alone = len(mosaic.near(tile.window)) == 1
    if alone and not others:
        return footprint
    traced = trace_footprint(OwnPixels(mosaic, tile, others), TraceOptions(workers=usable_cores()))
    return_free_memory(_GROWTH)  # else each tile leaves a fifth of a MiB behind
    columns: Columns = {
        "pair": np.full(len(traced), tile.pair.name, dtype=object),
        "area_m2": traced.area_m2,
        "pixels": traced.pixels,
        **{name: np.full(len(traced), day) for name, day in zip(DATES, tile.pair.span, strict=True)},
        "detector": np.full(len(traced), tile.pair.detector, dtype=object),
    }
    return PairLayer(footprint.crs, traced.geometry, columns)


def _traced_changes(mosaic: Mosaic, layers: list[PairLayer]) -> PairLayer:
    """Changes of a mosaic of several pairs to join, traced from its pixels."""
    chosen = mosaic.tiles[0].pair.outlines
    regions = trace_regions(mosaic, mosaic.level, options=chosen.trace(workers=usable_cores()))
    mean, largest = mosaic.probabilities(regions)
    own: Columns = {
        "change_id": np.arange(1, len(regions) + 1, dtype=np.int64),
        "area_m2": regions.area_m2,
        "perimeter_m": regions.perimeter_m,
        "pixels": regions.pixels,
        "probability_mean": mean,
        "probability_max": largest,
    }
    shown = attributes_of(regions.geometry, stacked_layers(layers, layers[0].crs), own)
    shown |= _of_nearest_pair(mosaic, regions, shown)
    if "compactness" in shown:
        shown |= vars(shapes_of(regions.geometry, mosaic.grid))
    return PairLayer(layers[0].crs, regions.geometry, own | shown)


def _untraced(changes: PairLayer) -> PairLayer:
    """Changes of a pair that meets no other, with the columns of joined changes."""
    return changes.with_columns(
        pairs=changes.columns["pair"], pair_change_id=changes.columns["change_id"].astype(np.int64)
    )


def _of_nearest_pair(mosaic: Mosaic, regions: Regions, shown: Columns) -> Columns:
    """Pair, dates and detector of joined regions, for those without a polygon of any pair: of the nearest."""
    without = np.flatnonzero(shown["pair_change_id"] == 0)
    filled = {name: shown[name].copy() for name in ("pair", "pairs", *DATES, "detector") if name in shown}
    points = shapely.get_coordinates(shapely.point_on_surface(regions.geometry[without]))
    back = ~mosaic.grid.transform
    for region, point in zip(without, points, strict=True):
        col, row = back @ tuple(point)
        nearest = mosaic.nearest(row, col).pair
        values = (nearest.name, nearest.name, *nearest.span, nearest.detector)
        for name, value in zip(("pair", "pairs", *DATES, "detector"), values, strict=True):
            filled[name][region] = value
    return filled
