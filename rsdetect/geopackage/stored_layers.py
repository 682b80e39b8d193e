"""Layers of a finished GeoPackage as columns, read through Python's SQLite.

Opening a small file by GDAL, once for each layer, takes several times as long as reading it here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.errors import InputError
from rsdetect.geopackage.file import GEOMETRY
from rsdetect.geopackage.rows import Columns

# ruff: noqa: S608 - names in statements are those of the file's own columns, quoted

_ENVELOPE_BYTES = (0, 32, 48, 48, 64)  # of a geometry's header, by the code in its flags
_HEADER_BYTES = 8
_LEAST_SRS_ID = 1  # of a CRS; 0 and -1 are "undefined"
_INTEGERS = ("MEDIUMINT", "INTEGER", "INT", "SMALLINT", "TINYINT", "BOOLEAN")
_REALS = ("REAL", "DOUBLE", "FLOAT")
_UNITS = {"DATE": "D", "DATETIME": "ms"}


@dataclass(frozen=True)
class StoredLayer:
    """Layer of a GeoPackage with n features."""

    crs: str | None  # "EPSG:n" or WKT; None = undefined
    geometry: NDArray[np.object_]  # (n,) polygons
    columns: (
        Columns  # each (n,): int64, float64, datetime64[D] or [ms], or objects; numbers with gaps float64
    )


def read_layers(path: Path, names: Sequence[str]) -> list[StoredLayer]:
    """Read layers of a GeoPackage that rsdetect wrote, in one opening of the file.

    Raises
    ------
    InputError
        The file is damaged, or has no such layer.
    sqlite3.OperationalError
        It cannot be opened, or another program has locked it.
    """
    with _opened(path) as database:
        return [_read_layer(database, path, name) for name in names]


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Stored GeoPackage, opened for reading."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise InputError(f"{path} is damaged ({error}); {_again(path)}.") from error


def _read_layer(database: sqlite3.Connection, path: Path, name: str) -> StoredLayer:
    """Stored layer of an open GeoPackage."""
    types = dict(database.execute("SELECT name, upper(type) FROM pragma_table_info(?)", (name,)))
    if GEOMETRY not in types:
        raise InputError(f"{path} has no layer {name} of rsdetect; {_again(path)}.")
    srs_id, organization, number, definition = database.execute(
        "SELECT srs_id, organization, organization_coordsys_id, definition"
        " FROM gpkg_geometry_columns JOIN gpkg_spatial_ref_sys USING (srs_id) WHERE table_name = ?",
        (name,),
    ).fetchone()
    own = [column for column in types if column not in ("fid", GEOMETRY)]
    listed = ", ".join(f'"{column}"' for column in (GEOMETRY, *own))
    rows = database.execute(f'SELECT {listed} FROM "{name}" ORDER BY fid').fetchall()
    blobs, *values = zip(*rows, strict=True) if rows else [()] * (1 + len(own))
    crs = f"EPSG:{number}" if organization.upper() == "EPSG" else definition
    return StoredLayer(
        crs if srs_id >= _LEAST_SRS_ID else None,
        shapely.from_wkb(np.array([blob and wkb_of(blob) for blob in blobs], dtype=object)),
        {column: _column(types[column], each) for column, each in zip(own, values, strict=True)},
    )


def _again(path: Path) -> str:
    return f"rsdetect vectorize {path.parent} writes it again"


def _column(kind: str, values: Sequence[Any]) -> NDArray[Any]:
    """Column of a stored layer by its declared type."""
    if kind in _UNITS:
        texts = [None if each is None else each.removesuffix("Z") for each in values]
        return np.array(texts, f"M8[{_UNITS[kind]}]")
    if kind in _INTEGERS and None not in values:
        return np.array(values, np.int64)
    if kind in _INTEGERS or kind in _REALS:
        return np.array(values, np.float64)
    return np.array(values, dtype=object)


def wkb_of(blob: bytes) -> bytes:
    """WKB of a geometry as a GeoPackage stores it."""
    return blob[_HEADER_BYTES + _ENVELOPE_BYTES[blob[3] >> 1 & 7] :]
