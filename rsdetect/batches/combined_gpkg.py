"""Combined GeoPackage of a batch: the changes and footprints of all pairs, joined or one after another.

Its CRS is that of the pairs if they share one; else longitude and latitude (EPSG:4326). Areas and perimeters
are kept as measured, each in its pair's CRS. Pairs without a CRS are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

import rsdetect
from rsdetect.amounts import count_text
from rsdetect.batches.joining import PairFiles, join_pairs
from rsdetect.batches.overlap import PlacedChanges, area_counted_twice
from rsdetect.batches.pair_layers import DATES, PairLayer, read_pair_layers, stacked_layers
from rsdetect.geopackage.changes import (
    CHANGES,
    FOOTPRINT,
    footprint_styles,
    place_words,
    rounded,
)
from rsdetect.geopackage.file import Layer, write_geopackage
from rsdetect.geopackage.metadata import LayerDescription
from rsdetect.geopackage.styles import NamedStyle
from rsdetect.geopackage.styles.change_styles import changes_styles
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.zones import Zones
from rsdetect.scenes.reprojecting import reprojected, transformer

_FALLBACK_CRS = CRS.from_epsg(4326)
_FIRST = ("change_id", "pair", "pairs", "pair_change_id")  # columns in this order, then all others


@dataclass(frozen=True)
class CombinedChanges:
    """Combined changes of all pairs, as written."""

    crs: str  # name of the CRS of the file
    unplaced: list[str]  # names of pairs without a CRS, left out
    twice_m2: dict[str, float]  # pair -> changed area already counted by earlier pairs
    regions: int  # features of the file
    changed_area_m2: float  # of these
    zones: Layer | None  # as in the file
    notes: tuple[str, ...]  # on the zones


def write_combined_gpkg(
    path: Path, folders: Sequence[tuple[str, Path]], *, join: bool = False, zones: Zones | None = None
) -> CombinedChanges:
    """Write the combined GeoPackage of all pairs into a new file at `path`.

    Parameters
    ----------
    folders
        Name of each finished pair, and its folder, in the order of the list.
    join
        Join the changes of neighbouring pairs, so that ground counts once.
    zones
        Zones, for a layer with the change in each.

    Raises
    ------
    InputError
        The record or the raster of a pair to join is damaged.
    """
    pairs, unplaced = _read_pairs(folders)
    crs = _combined_crs([pair.changes.crs for pair in pairs])
    if join:
        changes, footprints = join_pairs(pairs, crs)
    else:
        changes, footprints = [pair.changes for pair in pairs], [pair.footprint for pair in pairs]
    stacked = _in_common_crs(changes, crs, key=True)
    kinds = stacked.columns["kind"].tolist() if "kind" in stacked.columns else ()
    styles = changes_styles(stacked.columns, kinds, _lowest_level(stacked))
    observed = _in_common_crs(footprints, crs)
    described = _Description(len(pairs), stacked, observed, joined=join)
    layers = (
        _layer(CHANGES, stacked, styles, described.changes()),
        _layer(FOOTPRINT, observed, footprint_styles(), described.footprint()),
    )
    placed = None if zones is None or not len(observed) else zones.among(observed.geometry, crs.to_wkt())
    shares = () if placed is None else (placed.layer(stacked.geometry, observed.geometry, crs.to_wkt()),)
    write_geopackage(path, (*layers, *shares), crs.to_wkt())
    twice = area_counted_twice([_placed_changes(pair.changes, crs) for pair in pairs])
    return CombinedChanges(
        crs=crs.name,
        unplaced=unplaced,
        twice_m2=dict(zip([pair.name for pair in pairs], twice, strict=True)),
        regions=len(stacked),
        changed_area_m2=float(np.sum(stacked.columns.get("area_m2", 0.0))),
        zones=shares[0] if shares else None,
        notes=() if placed is None else placed.notes,
    )


def _read_pairs(folders: Sequence[tuple[str, Path]]) -> tuple[list[PairFiles], list[str]]:
    """Pairs to combine, and the names of those without a CRS."""
    pairs, unplaced = [], []
    for name, folder in folders:
        layers = read_pair_layers(name, folder / Outputs.POLYGONS)
        if layers is None:
            unplaced.append(name)
        else:
            pairs.append(PairFiles(name, folder, *layers))
    return pairs, unplaced


def _lowest_level(changes: PairLayer) -> int:
    """Percent at which the classes of probability of the combined changes begin: a whole tenth."""
    probabilities = changes.columns.get("probability_mean", np.empty(0))
    return max(1, int(10 * np.floor(10 * float(probabilities.min())))) if probabilities.size else 50


def _placed_changes(changes: PairLayer, crs: CRS) -> PlacedChanges:
    """Changes of a pair for the overlap, in the combined `crs`."""
    days = [changes.dates(name)[:1] for name in DATES]
    before, after = (day[0] if day.size else np.datetime64("NaT", "D") for day in days)
    geometry = reprojected(changes.geometry, changes.crs, crs)
    return PlacedChanges(geometry, changes.crs.to_wkt(), _between(crs, changes.crs), (before, after))


def _between(source: CRS, target: CRS) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Function of (m, 2) places in the combined CRS that gives those in the CRS of a pair."""
    if source == target:
        return lambda xy: xy
    there = transformer(source, target)
    return lambda xy: np.column_stack(there.transform(xy[:, 0], xy[:, 1]))


def _combined_crs(found: list[CRS]) -> CRS:
    """CRS of the combined GeoPackage: that of all pairs, or longitude and latitude."""
    return found[0] if found and all(crs == found[0] for crs in found) else _FALLBACK_CRS


def _in_common_crs(parts: list[PairLayer], crs: CRS, *, key: bool = False) -> PairLayer:
    """Layers of all pairs in the combined CRS as one; with `key`, changes numbered again."""
    moved = [PairLayer(crs, reprojected(part.geometry, part.crs, crs), part.columns) for part in parts]
    stacked = stacked_layers(moved, crs)
    if not key:
        return stacked
    columns = dict(stacked.columns)
    own = columns.pop("change_id", np.empty(0, np.int64))
    columns = {"change_id": np.arange(1, len(stacked) + 1, dtype=np.int64), "pair_change_id": own} | columns
    order = [name for name in _FIRST if name in columns]
    return PairLayer(crs, stacked.geometry, {name: columns[name] for name in (*order, *columns)})


@dataclass(frozen=True)
class _Description:
    """What the metadata of the combined layers say of the batch."""

    pairs: int  # placed in the file
    changed: PairLayer
    observed: PairLayer
    joined: bool

    def changes(self) -> LayerDescription:
        """Metadata of the combined changes."""
        names = sorted({str(name) for name in self.changed.columns.get("detector", ())})
        by = f", by {', '.join(names)}" if names else ""
        once = (
            "Neighbouring pairs are joined, so that ground counts once."
            if self.joined
            else ("The pairs are one after another: where they overlap, ground counts more than once.")
        )
        return self._layer("Changes", f"Changed regions of {count_text(self.pairs, 'pair')}{by}. {once}")

    def footprint(self) -> LayerDescription:
        """Metadata of the combined footprint."""
        return self._layer("Observed on both dates", "No change in it means that nothing changed.")

    def _layer(self, title: str, abstract: str) -> LayerDescription:
        made = f"Made by rsdetect {rsdetect.__version__} from a batch of {count_text(self.pairs, 'pair')}."
        return LayerDescription(f"{title}{self._span()}{self._place()}", abstract, history=(made,))

    def _span(self) -> str:
        """First and last date of the pairs for titles; "" where none is known."""
        first, last = (self.observed.dates(name) for name in DATES)
        first, last = first[~np.isnat(first)], last[~np.isnat(last)]
        return f", {first.min()} to {last.max()}" if first.size and last.size else ""

    def _place(self) -> str:
        """Centre of the observed ground for titles."""
        if not len(self.observed):
            return ""
        return place_words(shapely.total_bounds(self.observed.geometry), self.observed.crs.to_wkt())


def _layer(
    name: str, stacked: PairLayer, styles: tuple[NamedStyle, ...], described: LayerDescription
) -> Layer:
    """Layer of the combined GeoPackage; with several parts if merged, or cut at 180 degrees."""
    geometry, columns = stacked.geometry, rounded(stacked.columns)
    several = shapely.get_type_id(geometry) == shapely.GeometryType.MULTIPOLYGON
    if not several.any():
        return Layer(name, geometry, columns, styles, description=described)
    geometry = np.array([shapely.multipolygons(shapely.get_parts(each)) for each in geometry], dtype=object)
    return Layer(name, geometry, columns, styles, geometry_type="MultiPolygon", description=described)
