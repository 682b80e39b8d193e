"""Features of a layer as rows of an SQLite table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.secrets import without_secrets

Columns = dict[str, NDArray[Any]]

_ROWS = 2**13  # converted at a time


def feature_rows(
    geometry: NDArray[np.object_], columns: Columns, bounds: NDArray[np.float64], srs_id: int
) -> Iterator[tuple[Any, ...]]:
    """Rows of a layer in the GeoPackage file: fid, geometry, columns."""
    for start in range(0, len(geometry), _ROWS):
        part = slice(start, start + _ROWS)
        values = [_sqlite_values(column[part]) for column in columns.values()]
        blobs = _geometry_blobs(geometry[part], bounds[part], srs_id)
        yield from zip(range(start + 1, start + 1 + len(blobs)), blobs, *values, strict=True)


def _geometry_blobs(geometry: NDArray[np.object_], bounds: NDArray[np.float64], srs_id: int) -> list[bytes]:
    """Geometry blobs in the GeoPackage file: header (2.1.3) with bounds, and WKB; little-endian."""
    head = np.zeros(
        len(geometry),
        [("magic", "S2"), ("version", "u1"), ("flags", "u1"), ("srs", "<i4"), ("box", "<f8", (4,))],
    )
    head["magic"], head["flags"], head["srs"] = b"GP", 0b11, srs_id
    head["box"] = bounds[:, [0, 2, 1, 3]]
    heads, size = head.tobytes(), head.itemsize
    return [
        heads[size * number : size * (number + 1)] + wkb
        for number, wkb in enumerate(shapely.to_wkb(geometry, byte_order=1))
    ]


def sql_type(dtype: np.dtype[Any]) -> str:
    """Column type in the GeoPackage file for a NumPy dtype."""
    if dtype.kind == "M":
        return "DATE" if dtype == np.dtype("M8[D]") else "DATETIME"
    if dtype.kind == "i":
        return "MEDIUMINT" if dtype.itemsize < 8 else "INTEGER"
    return {"f": "REAL", "O": "TEXT"}[dtype.kind]


def _sqlite_values(values: NDArray[Any]) -> list[Any]:
    """Values of a GeoPackage column as sqlite3 returns them: None for NaT and NaN, 0.0 for -0.0."""
    if values.dtype.kind == "M":
        zone: Any = "UTC" if values.dtype == np.dtype("M8[ms]") else "naive"
        text = np.datetime_as_string(values, timezone=zone).astype(np.object_)
        text[np.isnat(values)] = None
        return list(text)
    if values.dtype.kind in "OU":
        return [without_secrets(value) if isinstance(value, str) else value for value in values.tolist()]
    plain = values.tolist()
    if values.dtype.kind == "f":
        for place in np.flatnonzero(np.isnan(values) | (values == 0)).tolist():
            plain[place] = 0.0 if values[place] == 0 else None
    return list(plain)
