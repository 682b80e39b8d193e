"""One GeoPackage over all pairs.

Its CRS is that of the pairs where they share one; else longitude and latitude (EPSG:4326), in which the
places of all of them can be told. Areas and perimeters stay as they were measured, each in its pair's CRS.
Pairs without a CRS have no place among the others and are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from rsdetect.batches.overlap import PlacedChanges, counted_twice
from rsdetect.geopackage.changes import CHANGES, FOOTPRINT, changes_style, footprint_style
from rsdetect.geopackage.file import Layer, write_geopackage

_COMMON = "EPSG:4326"
_LONGEST_EDGE_M = 1000.0  # of an outline that is bent into another CRS; at 1 km it strays by centimetres
_METRES_A_DEGREE = 111_000.0
_DATES = ("before_date", "after_date")


@dataclass(frozen=True)
class _Part:
    """One layer of one pair."""

    pair: str
    crs: CRS
    geometry: NDArray[np.object_]
    columns: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Collected:
    """What was written over all pairs."""

    crs: str  # name of the CRS of the file
    unplaced: list[str]  # names of the pairs that are not in it because they have none
    twice_m2: dict[str, float]  # of each pair in it, the changed area that earlier pairs count already


def collect_changes(path: Path, folders: Sequence[tuple[str, Path]]) -> Collected:
    """Write the changes and footprints of all pairs into a new file at `path`.

    Parameters
    ----------
    folders
        Name of each finished pair, and the `changes.gpkg` that holds its polygons.
    """
    layers = {name: [_read(pair, file, name) for pair, file in folders] for name in (CHANGES, FOOTPRINT)}
    placed = {name: [part for part in parts if part is not None] for name, parts in layers.items()}
    unplaced = [pair for (pair, _), part in zip(folders, layers[CHANGES], strict=True) if part is None]
    crs = _common_crs([part.crs for part in placed[CHANGES]])
    changes = _stack(placed[CHANGES], crs, "change_id")
    differences = [column for column in changes[1] if column.startswith("difference_")]
    footprint = _stack(placed[FOOTPRINT], crs, None)
    write_geopackage(
        path,
        (
            Layer(CHANGES, *changes, changes_style(differences)),
            Layer(FOOTPRINT, *footprint, footprint_style()),
        ),
        crs.to_wkt(),
    )
    geometries = np.split(changes[0], np.cumsum([len(part.geometry) for part in placed[CHANGES]])[:-1])
    twice = counted_twice(
        [_on_ground(part, each, crs) for part, each in zip(placed[CHANGES], geometries, strict=True)]
        if placed[CHANGES]
        else []
    )
    names = [part.pair for part in placed[CHANGES]]
    return Collected(crs.name, unplaced, dict(zip(names, twice, strict=True)))


def _on_ground(part: _Part, geometry: NDArray[np.object_], crs: CRS) -> PlacedChanges:
    """The changes of a pair, `geometry` in the common `crs`."""
    back = Transformer.from_crs(crs, part.crs, always_xy=True)

    def to_own(xy: NDArray[Any]) -> NDArray[Any]:
        return xy if part.crs == crs else np.column_stack(back.transform(xy[:, 0], xy[:, 1]))

    dates = [_dates(part, name)[:1] for name in _DATES]
    before, after = (day[0] if day.size else np.datetime64("NaT", "D") for day in dates)
    return PlacedChanges(geometry, part.crs.to_wkt(), to_own, (before, after))


def _read(pair: str, file: Path, layer: str) -> _Part | None:
    meta, _, geometry, values = pyogrio.raw.read(file, layer=layer)
    crs = None if meta["crs"] is None else CRS.from_user_input(meta["crs"])
    if crs is None or crs.is_engineering:  # which is how the format says "undefined"
        return None
    return _Part(pair, crs, shapely.from_wkb(geometry), dict(zip(meta["fields"], values, strict=True)))


def _common_crs(found: list[CRS]) -> CRS:
    return found[0] if found and all(crs == found[0] for crs in found) else CRS.from_user_input(_COMMON)


def _stack(
    parts: list[_Part], crs: CRS, key: str | None
) -> tuple[NDArray[np.object_], dict[str, NDArray[Any]]]:
    """One layer of all pairs, with the columns of any of them (empty where a pair lacks one), `key` anew."""
    geometry = np.concatenate([np.empty(0, dtype=object), *(_placed(part, crs) for part in parts)])
    columns: dict[str, NDArray[Any]] = {}
    if key is not None:
        columns[key] = np.arange(1, len(geometry) + 1, dtype=np.int64)
    columns["pair"] = np.concatenate(
        [np.empty(0, dtype=object), *(np.full(len(part.geometry), part.pair, dtype=object) for part in parts)]
    )
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    for name in names:
        columns["pair_change_id" if name == key else name] = _column(parts, name)
    return geometry, columns


def _column(parts: list[_Part], name: str) -> NDArray[Any]:
    if name in _DATES:
        # A column without any date is read as something else than dates.
        return np.concatenate([_dates(part, name) for part in parts])
    return np.concatenate([part.columns.get(name, np.full(len(part.geometry), np.nan)) for part in parts])


def _dates(part: _Part, name: str) -> NDArray[np.datetime64]:
    values = part.columns[name]
    if values.dtype.kind != "M":
        return np.full(len(part.geometry), np.datetime64("NaT", "D"))
    return values.astype("datetime64[D]")


def _placed(part: _Part, crs: CRS) -> NDArray[np.object_]:
    """The outlines in another CRS; long straight edges get vertices, because they are not straight there."""
    if part.crs == crs:
        return part.geometry
    longest = _LONGEST_EDGE_M
    longest /= _METRES_A_DEGREE if part.crs.is_geographic else part.crs.axis_info[0].unit_conversion_factor
    transformer = Transformer.from_crs(part.crs, crs, always_xy=True)
    dense = shapely.segmentize(part.geometry, longest)
    moved: NDArray[np.object_] = shapely.transform(
        dense, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )
    return moved
