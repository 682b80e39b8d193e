"""Changes across the grids of a batch: polygons in other UTM zones or of other pixel sizes, joined.

Polygons of two mosaics that overlap by more than a pixel are one change. It covers the ground that each
mosaic has of its own, and what both of them show. Along the border between two grids, ground counts once to
within a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.batches.covered_polygons import attributes_of
from rsdetect.batches.mosaics import Mosaic
from rsdetect.batches.pair_layers import PairLayer, stacked_layers
from rsdetect.regions.areas import measure
from rsdetect.regions.connected import connected_components
from rsdetect.scenes.reprojecting import only_polygons, reprojected

Geometries = NDArray[np.object_]


@dataclass(frozen=True)
class GridChanges:
    """Changes of a mosaic, and the ground that is its own."""

    changes: PairLayer
    mosaic: Mosaic
    own_ground: list[PairLayer] | None  # footprints of its pairs; None = no other grid overlaps with it


def joined_across_grids(parts: Sequence[GridChanges], crs: CRS) -> list[PairLayer]:
    """Layers of changes, those that overlap with another grid joined; `crs` is that of joined ones."""
    alone = [part.changes for part in parts if part.own_ground is None]
    shared = [part for part in parts if part.own_ground is not None]
    if not shared:
        return alone
    whole = [reprojected(part.changes.geometry, part.changes.crs, crs) for part in shared]
    owner = np.repeat(np.arange(len(shared)), [len(each) for each in whole])
    count, group = _groups(np.concatenate(whole), owner, shared)
    several = np.bincount(group, minlength=count)[group] > 1
    starts = np.cumsum([0, *(len(each) for each in whole)])
    kept, clipped = [], []
    for number, part in enumerate(shared):
        here = slice(starts[number], starts[number + 1])
        own = _clipped(part)
        kept.append(_without_slivers(_measured(part.changes, own)[~several[here]], part))
        clipped.append(reprojected(own[several[here]], part.changes.crs, crs))
    if several.any():
        kept.append(_joined(whole, clipped, group[several], several, shared, crs))
    return [*alone, *kept]


def _groups(whole: Geometries, owner: Int64Array, shared: Sequence[GridChanges]) -> tuple[int, Int64Array]:
    """Groups of the polygons of different grids, (n,), that are one change each."""
    one, other = shapely.STRtree(whole).query(whole, predicate="intersects")
    periods = np.array([part.mosaic.period for part in shared])
    wanted = (owner[one] < owner[other]) & (periods[owner[one]] == periods[owner[other]])
    one, other = one[wanted], other[wanted]
    pixel = np.array([part.mosaic.grid.pixel_area for part in shared])[owner]
    own = np.concatenate([shapely.area(part.changes.geometry) for part in shared])
    pixel = pixel * shapely.area(whole) / own  # in squared units of the common CRS
    area = shapely.area(shapely.intersection(whole[one], whole[other]))
    overlaps = area > np.maximum(pixel[one], pixel[other])
    return connected_components(len(whole), one[overlaps], other[overlaps])


def _clipped(part: GridChanges) -> Geometries:
    """Polygons of a mosaic on its own ground, (n,); empty where they have none."""
    assert part.own_ground is not None
    geometry = part.changes.geometry
    ground = shapely.union_all(np.concatenate([layer.geometry for layer in part.own_ground]))
    shapely.prepare(ground)
    crossing = ~shapely.covers(ground, geometry)
    clipped = geometry.copy()
    clipped[crossing] = only_polygons(shapely.intersection(geometry[crossing], ground))
    return clipped


def _measured(changes: PairLayer, geometry: Geometries) -> PairLayer:
    """Changes across grids with another geometry: areas again, and pixels by the share of the area."""
    altered = ~shapely.equals_identical(geometry, changes.geometry)
    columns = {name: changes.columns[name].copy() for name in ("area_m2", "perimeter_m", "pixels")}
    area, perimeter = np.zeros((2, np.count_nonzero(altered)))
    left = ~shapely.is_empty(geometry[altered])
    area[left], perimeter[left] = measure(geometry[altered][left], changes.crs.to_wkt())
    share = area / columns["area_m2"][altered]
    columns["pixels"][altered] = np.rint(columns["pixels"][altered] * share)
    columns["area_m2"][altered], columns["perimeter_m"][altered] = area, perimeter
    return PairLayer(changes.crs, geometry, changes.columns | columns)


def _without_slivers(changes: PairLayer, part: GridChanges) -> PairLayer:
    """Changes across grids without those that have no ground of their own, or less than the minimum area."""
    least_m2, least_pixels = part.mosaic.tiles[0].pair.outlines.least
    kept = (changes.columns["area_m2"] >= least_m2) & (changes.columns["pixels"] >= least_pixels)
    return changes[kept & ~shapely.is_empty(changes.geometry)]


def _joined(
    whole: list[Geometries],
    clipped: list[Geometries],
    group: Int64Array,
    several: NDArray[np.bool_],
    shared: Sequence[GridChanges],
    crs: CRS,
) -> PairLayer:
    """Joined changes across grids, in the common CRS."""
    full, own = np.concatenate(whole)[several], np.concatenate(clipped)
    layers = [PairLayer(crs, each, part.changes.columns) for each, part in zip(whole, shared, strict=True)]
    sources = stacked_layers(layers, crs)[several]
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    geometry = np.array([_united(full[each], own[each]) for each in members], dtype=object)
    area, perimeter = measure(geometry, crs.to_wkt())
    weights = _weights(sources, own, full)
    columns = {
        "change_id": np.arange(1, len(members) + 1, dtype=np.int64),
        "area_m2": area,
        "perimeter_m": perimeter,
        "pixels": np.array([round(weights[each].sum()) for each in members], np.int64),
        "probability_mean": _means(sources.columns["probability_mean"], weights, members),
        "probability_max": np.array([sources.columns["probability_max"][each].max() for each in members]),
    }
    return PairLayer(crs, geometry, columns | attributes_of(geometry, sources, columns))


def _united(full: Geometries, own: Geometries) -> shapely.Geometry:
    """One change across grids: the ground that each polygon has of its own, and what several show.

    The latter closes the gaps between pixels of different grids along the border.
    """
    tree = shapely.STRtree(full)
    one, other = tree.query(full, predicate="intersects")
    one, other = one[one < other], other[one < other]
    both = shapely.intersection(full[one], full[other])
    united = np.array([shapely.union_all(np.concatenate([own, both]))], dtype=object)
    return only_polygons(united)[0]


def _weights(sources: PairLayer, own: Geometries, full: Geometries) -> Float64Array:
    """Pixels of polygons across grids on their own ground, (n,)."""
    weights: Float64Array = sources.columns["pixels"] * shapely.area(own) / shapely.area(full)
    return weights


def _means(values: NDArray[np.float64], weights: Float64Array, members: list[Int64Array]) -> Float64Array:
    """Means of a column of changes across grids, weighted by pixels, for each group of members."""
    return np.array([np.average(values[each], weights=np.maximum(weights[each], 1e-9)) for each in members])
