"""Layers of a pair, or of joined pairs, as columns on their way into the combined GeoPackage of a batch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from rsdetect.arraytypes import BoolArray, Int64Array
from rsdetect.geopackage.changes import CHANGES, FOOTPRINT
from rsdetect.geopackage.stored_layers import StoredLayer, read_layers

DATES = ("before_date", "after_date")
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class PairLayer:
    """One layer of a pair, or of pairs that were joined: n features in one CRS."""

    crs: CRS
    geometry: NDArray[np.object_]  # (n,) polygons
    columns: Columns  # each (n,); `pair` is among them

    def __len__(self) -> int:
        return len(self.geometry)

    def __getitem__(self, chosen: BoolArray | Int64Array) -> PairLayer:
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return PairLayer(self.crs, self.geometry[chosen], columns)

    def with_columns(self, **columns: NDArray[Any]) -> PairLayer:
        """The layer with these columns added, or in place of its own."""
        return replace(self, columns=self.columns | columns)

    def dates(self, name: str) -> NDArray[np.datetime64]:
        """Dates of a column of the layer; NaT where it has none."""
        values = self.columns.get(name)
        if values is None:  # of no placed pair
            return np.full(len(self), np.datetime64("NaT", "D"))
        return values.astype("datetime64[D]")


def read_pair_layers(pair: str, file: Path) -> tuple[PairLayer, PairLayer] | None:
    """Read changes and footprint of a pair from its GeoPackage; None without a CRS.

    Raises
    ------
    InputError
        The file is damaged.
    sqlite3.OperationalError
        It cannot be opened.
    """
    changes, footprint = (_of_pair(pair, stored) for stored in read_layers(file, (CHANGES, FOOTPRINT)))
    return None if changes is None or footprint is None else (changes, footprint)


def _of_pair(pair: str, stored: StoredLayer) -> PairLayer | None:
    """Layer of a pair, with its name as a column; None if it has no place on Earth."""
    crs = None if stored.crs is None else _parsed(stored.crs)
    if crs is None or crs.is_engineering:
        return None
    name = np.full(len(stored.geometry), pair, dtype=object)
    return PairLayer(crs, stored.geometry, {"pair": name} | stored.columns)


@lru_cache(maxsize=64)
def _parsed(crs: str) -> CRS:
    """CRS of a layer of a pair; parsing takes longer than reading a small file."""
    return CRS.from_user_input(crs)


def stacked_column(parts: list[PairLayer], name: str) -> NDArray[Any]:
    """Column over the layers of several pairs; NaN, or None of text, where a layer lacks it."""
    if name in DATES:
        return np.concatenate([part.dates(name) for part in parts])
    is_text = any(part.columns[name].dtype == np.object_ for part in parts if name in part.columns)
    missing = None if is_text else np.nan
    return np.concatenate([part.columns.get(name, np.full(len(part), missing)) for part in parts])


def stacked_layers(parts: list[PairLayer], crs: CRS) -> PairLayer:
    """Layers of several pairs in one CRS as a single one, with the columns of all."""
    geometry = np.concatenate([np.empty(0, dtype=object), *(part.geometry for part in parts)])
    names = list(dict.fromkeys(["pair", *(name for part in parts for name in part.columns)]))
    if not parts:
        return PairLayer(crs, geometry, {"pair": np.empty(0, dtype=object)})
    return PairLayer(crs, geometry, {name: stacked_column(parts, name) for name in names})
