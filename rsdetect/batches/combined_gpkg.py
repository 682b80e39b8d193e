"""Combined GeoPackage of a batch: the changes and footprints of all pairs.

Its CRS is that of the pairs if they share one; else longitude and latitude (EPSG:4326). Areas and perimeters
are kept as measured, each in its pair's CRS. Pairs without a CRS are left out.
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

from rsdetect.batches.overlap import PlacedChanges, area_counted_twice
from rsdetect.geopackage.changes import (
    CHANGES,
    FOOTPRINT,
    SHAPE_TITLES,
    changes_style,
    footprint_style,
)
from rsdetect.geopackage.file import Layer, write_geopackage
from rsdetect.scenes.projecting import cut_at_180

_FALLBACK_CRS = "EPSG:4326"
_LONGEST_EDGE_M = 1000.0  # of a reprojected outline; at 1 km the deviation is centimetres
_METRES_A_DEGREE = 111_000.0
_DATES = ("before_date", "after_date")


@dataclass(frozen=True)
class _PairLayer:
    """One layer of one pair, read for the combined GeoPackage."""

    pair: str
    crs: CRS
    geometry: NDArray[np.object_]
    columns: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class CombinedChanges:
    """Combined changes of all pairs, as written."""

    crs: str  # name of the CRS of the file
    unplaced: list[str]  # names of pairs without a CRS, left out
    twice_m2: dict[str, float]  # pair -> changed area already counted by earlier pairs


def write_combined_gpkg(path: Path, folders: Sequence[tuple[str, Path]]) -> CombinedChanges:
    """Write the combined GeoPackage of all pairs into a new file at `path`.

    Parameters
    ----------
    folders
        Name of each finished pair, and its `changes.gpkg`.
    """
    layers = {
        name: [_read_pair_layer(pair, file, name) for pair, file in folders] for name in (CHANGES, FOOTPRINT)
    }
    placed = {name: [part for part in parts if part is not None] for name, parts in layers.items()}
    unplaced = [pair for (pair, _), part in zip(folders, layers[CHANGES], strict=True) if part is None]
    crs = _combined_crs([part.crs for part in placed[CHANGES]])
    changes = _stack_layers(placed[CHANGES], crs, "change_id")
    styled = [column for column in changes[1] if column in SHAPE_TITLES or column.startswith("difference_")]
    footprint = _stack_layers(placed[FOOTPRINT], crs, None)
    write_geopackage(
        path,
        (
            _layer(CHANGES, *changes, changes_style(styled)),
            _layer(FOOTPRINT, *footprint, footprint_style()),
        ),
        crs.to_wkt(),
    )
    geometries = np.split(changes[0], np.cumsum([len(part.geometry) for part in placed[CHANGES]])[:-1])
    twice = area_counted_twice(
        [_pair_changes(part, each, crs) for part, each in zip(placed[CHANGES], geometries, strict=True)]
        if placed[CHANGES]
        else []
    )
    names = [part.pair for part in placed[CHANGES]]
    return CombinedChanges(crs.name, unplaced, dict(zip(names, twice, strict=True)))


def _pair_changes(part: _PairLayer, geometry: NDArray[np.object_], crs: CRS) -> PlacedChanges:
    """Changes of a pair for the overlap, with `geometry` in the combined `crs`."""
    back = Transformer.from_crs(crs, part.crs, always_xy=True)

    def to_own(xy: NDArray[Any]) -> NDArray[Any]:
        return xy if part.crs == crs else np.column_stack(back.transform(xy[:, 0], xy[:, 1]))

    dates = [_date_column(part, name)[:1] for name in _DATES]
    before, after = (day[0] if day.size else np.datetime64("NaT", "D") for day in dates)
    return PlacedChanges(geometry, part.crs.to_wkt(), to_own, (before, after))


def _read_pair_layer(pair: str, file: Path, layer: str) -> _PairLayer | None:
    """Read a layer of a pair for the combined GeoPackage; None without a CRS."""
    meta, _, geometry, values = pyogrio.raw.read(file, layer=layer)
    crs = None if meta["crs"] is None else CRS.from_user_input(meta["crs"])
    if crs is None or crs.is_engineering:  # the format's "undefined"
        return None
    return _PairLayer(pair, crs, shapely.from_wkb(geometry), dict(zip(meta["fields"], values, strict=True)))


def _combined_crs(found: list[CRS]) -> CRS:
    """CRS of the combined GeoPackage: that of all pairs, or longitude and latitude."""
    return found[0] if found and all(crs == found[0] for crs in found) else CRS.from_user_input(_FALLBACK_CRS)


def _stack_layers(
    parts: list[_PairLayer], crs: CRS, key: str | None
) -> tuple[NDArray[np.object_], dict[str, NDArray[Any]]]:
    """Stack one layer of all pairs for the combined GeoPackage, with all columns, and renumber `key`."""
    geometry = np.concatenate(
        [np.empty(0, dtype=object), *(_reprojected_outlines(part, crs) for part in parts)]
    )
    columns: dict[str, NDArray[Any]] = {}
    if key is not None:
        columns[key] = np.arange(1, len(geometry) + 1, dtype=np.int64)
    columns["pair"] = np.concatenate(
        [np.empty(0, dtype=object), *(np.full(len(part.geometry), part.pair, dtype=object) for part in parts)]
    )
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    for name in names:
        columns["pair_change_id" if name == key else name] = _stacked_column(parts, name)
    return geometry, columns


def _stacked_column(parts: list[_PairLayer], name: str) -> NDArray[Any]:
    """Column of the combined layer; NaN, or None of text, where a pair lacks it."""
    if name in _DATES:
        # A column without any date is read with another dtype.
        return np.concatenate([_date_column(part, name) for part in parts])
    is_text = any(part.columns[name].dtype == np.object_ for part in parts if name in part.columns)
    missing = None if is_text else np.nan
    return np.concatenate([part.columns.get(name, np.full(len(part.geometry), missing)) for part in parts])


def _date_column(part: _PairLayer, name: str) -> NDArray[np.datetime64]:
    """Dates of a pair's layer for the combined GeoPackage; NaT where it has none."""
    values = part.columns[name]
    if values.dtype.kind != "M":
        return np.full(len(part.geometry), np.datetime64("NaT", "D"))
    return values.astype("datetime64[D]")


def _reprojected_outlines(part: _PairLayer, crs: CRS) -> NDArray[np.object_]:
    """Outlines of a pair in the combined CRS.

    Long edges get vertices, because straight lines do not stay straight.
    """
    if part.crs == crs:
        return part.geometry
    longest = _LONGEST_EDGE_M
    longest /= _METRES_A_DEGREE if part.crs.is_geographic else part.crs.axis_info[0].unit_conversion_factor
    transformer = Transformer.from_crs(part.crs, crs, always_xy=True)
    dense = shapely.segmentize(part.geometry, longest)
    moved: NDArray[np.object_] = shapely.transform(
        dense, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )
    if crs.is_geographic:
        across = np.ptp(shapely.bounds(moved)[:, ::2], axis=1) > 180
        moved[across] = cut_at_180(
            shapely.transform(
                moved[across], lambda xy: xy + np.column_stack([360 * (xy[:, 0] < 0), 0 * xy[:, 0]])
            )
        )
    return moved


def _layer(name: str, geometry: NDArray[np.object_], columns: dict[str, NDArray[Any]], style: str) -> Layer:
    """Layer of the combined GeoPackage; with several parts if merged, or cut at 180 degrees."""
    several = shapely.get_type_id(geometry) == shapely.GeometryType.MULTIPOLYGON
    if not several.any():
        return Layer(name, geometry, columns, style)
    geometry = np.array([shapely.multipolygons(shapely.get_parts(each)) for each in geometry], dtype=object)
    return Layer(name, geometry, columns, style, geometry_type="MultiPolygon")
