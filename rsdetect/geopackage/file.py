"""GeoPackage file: layers of polygons written in one transaction.

A GeoPackage is an SQLite database with a few tables of its own (OGC 12-128r15), so Python's sqlite3 writes
it. GDAL's result would be much the same, but loading GDAL's driver takes longer than tracing all polygons of
a scene, and passing features to it as long as writing them here. Format version 1.2, because QGIS 3.22 warns
about newer ones.
"""

from __future__ import annotations

import json
import marshal
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from rsdetect.errors import ResultMismatch
from rsdetect.geopackage.metadata import LayerDescription, qgis_metadata
from rsdetect.geopackage.styles import NamedStyle
from rsdetect.schema import GEOPACKAGE
from rsdetect.secrets import without_secrets

# ruff: noqa: S608 - names in statements are those of the package's own layers and columns

GEOMETRY = "geom"  # name of the geometry column
Columns = dict[str, NDArray[Any]]

_APPLICATION, _VERSION = 0x47504B47, 10200
_ROWS = 2**13  # converted at a time
_PLAIN = 2  # version of marshal in which equal values are equal bytes, seven times as fast as `repr`
_UNDEFINED, _OWN = -1, 100_000  # srs_id without a CRS, and of a CRS without an EPSG code

_TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (
    srs_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL PRIMARY KEY,
    organization TEXT NOT NULL,
    organization_coordsys_id INTEGER NOT NULL,
    definition TEXT NOT NULL,
    description TEXT
);
CREATE TABLE gpkg_contents (
    table_name TEXT NOT NULL PRIMARY KEY,
    data_type TEXT NOT NULL,
    identifier TEXT UNIQUE,
    description TEXT DEFAULT '',
    last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    min_x DOUBLE,
    min_y DOUBLE,
    max_x DOUBLE,
    max_y DOUBLE,
    srs_id INTEGER,
    CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id)
);
CREATE TABLE gpkg_geometry_columns (
    table_name TEXT NOT NULL,
    column_name TEXT NOT NULL,
    geometry_type_name TEXT NOT NULL,
    srs_id INTEGER NOT NULL,
    z TINYINT NOT NULL,
    m TINYINT NOT NULL,
    CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name),
    CONSTRAINT uk_gc_table_name UNIQUE (table_name),
    CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name),
    CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id)
);
CREATE TABLE gpkg_extensions (
    table_name TEXT,
    column_name TEXT,
    extension_name TEXT NOT NULL,
    definition TEXT NOT NULL,
    scope TEXT NOT NULL,
    CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name)
);
CREATE TABLE gpkg_metadata (
    id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL,
    md_scope TEXT NOT NULL DEFAULT 'dataset',
    md_standard_uri TEXT NOT NULL,
    mime_type TEXT NOT NULL DEFAULT 'text/xml',
    metadata TEXT NOT NULL DEFAULT ''
);
CREATE TABLE gpkg_metadata_reference (
    reference_scope TEXT NOT NULL,
    table_name TEXT,
    column_name TEXT,
    row_id_value INTEGER,
    timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
    md_file_id INTEGER NOT NULL,
    md_parent_id INTEGER,
    CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
    CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id)
);
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    f_table_catalog TEXT(256),
    f_table_schema TEXT(256),
    f_table_name TEXT(256),
    f_geometry_column TEXT(256),
    styleName TEXT(30),
    styleQML TEXT,
    styleSLD TEXT,
    useAsDefault BOOLEAN,
    description TEXT,
    owner TEXT(30),
    ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
);
"""

# Not as GDAL metadata (http://gdal.org), which GDAL would copy into an .aux.xml beside the file.
_QGIS_STANDARD = "http://mrcc.com/qgis.dtd"  # QGIS reads it as the metadata of a layer
_STANDARD, _SCHEMA = "urn:rsdetect:schema", json.dumps({"rsdetect": "geopackage", "schema": GEOPACKAGE})

# Triggers that update the spatial index when another program changes the features, verbatim from the
# standard (F.3); {t} is the layer, {g} the geometry column, {r} the index.
_BOX = 'NEW.fid, ST_MinX(NEW."{g}"), ST_MaxX(NEW."{g}"), ST_MinY(NEW."{g}"), ST_MaxY(NEW."{g}")'
_PUT = f'INSERT OR REPLACE INTO "{{r}}" VALUES ({_BOX});'
_THERE = '(NEW."{g}" NOTNULL AND NOT ST_IsEmpty(NEW."{g}"))'
_GONE = '(NEW."{g}" ISNULL OR ST_IsEmpty(NEW."{g}"))'
_TRIGGERS = {
    "insert": f'AFTER INSERT ON "{{t}}" WHEN {_THERE} BEGIN {_PUT} END',
    "update1": f'AFTER UPDATE OF "{{g}}" ON "{{t}}" WHEN OLD.fid = NEW.fid AND {_THERE} BEGIN {_PUT} END',
    "update2": f'AFTER UPDATE OF "{{g}}" ON "{{t}}" WHEN OLD.fid = NEW.fid AND {_GONE}'
    ' BEGIN DELETE FROM "{r}" WHERE id = OLD.fid; END',
    "update3": f'AFTER UPDATE ON "{{t}}" WHEN OLD.fid != NEW.fid AND {_THERE}'
    f' BEGIN DELETE FROM "{{r}}" WHERE id = OLD.fid; {_PUT} END',
    "update4": f'AFTER UPDATE ON "{{t}}" WHEN OLD.fid != NEW.fid AND {_GONE}'
    ' BEGIN DELETE FROM "{r}" WHERE id IN (OLD.fid, NEW.fid); END',
    "delete": 'AFTER DELETE ON "{t}" WHEN OLD."{g}" NOT NULL BEGIN DELETE FROM "{r}" WHERE id = OLD.fid; END',
}


@dataclass(frozen=True)
class Layer:
    """Layer of polygons in a GeoPackage, with its styles and metadata."""

    name: str
    geometry: NDArray[np.object_]  # shapely polygons
    columns: (
        Columns  # as long as `geometry`; datetime64[D] is stored as DATE, datetime64[ms] as DATETIME in UTC
    )
    styles: tuple[NamedStyle, ...]  # the default first
    geometry_type: str = "Polygon"  # or MultiPolygon
    description: LayerDescription | None = None


def write_geopackage(
    path: Path, layers: tuple[Layer, ...], crs: str | None, finish: Callable[[Path], None] | None = None
) -> None:
    """Write `layers` into a new GeoPackage file at `path`.

    Parameters
    ----------
    crs
        WKT of the CRS of all layers, or any other input of pyproj; None = undefined.
    finish
        Adds to the file, given its path, what rests on the layers; they are read back after that.

    Raises
    ------
    sqlite3.Error
        The file cannot be written, or the disk is full.
    ResultMismatch
        What is read from the finished file is not what was written.
    """
    written: dict[str, _Digest] = {}
    # Statement by statement, because sqlite3's own transactions end before every CREATE.
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA page_size = 4096")
        database.execute("PRAGMA journal_mode = OFF")  # an unfinished file is discarded
        database.execute(f"PRAGMA application_id = {_APPLICATION}")
        database.execute(f"PRAGMA user_version = {_VERSION}")
        database.execute("BEGIN")
        for statement in _TABLES.strip().split(";\n"):
            database.execute(statement)
        srs_id = _add_crs(database, crs)
        for layer in layers:
            written[layer.name] = _add_layer(database, layer, srs_id)
        _add_styles(database, layers)
        _add_metadata(database, layers)
        database.execute("COMMIT")
    if finish is not None:
        finish(path)
    _require_same(path, written)


class _Digest:
    """Count and checksum of the rows of a layer, on their way into the file or out of it."""

    def __init__(self) -> None:
        self.rows = 0
        self.checksum = 0

    def through(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            self.checksum = zlib.crc32(marshal.dumps(row, _PLAIN), self.checksum)
            self.rows += 1
            yield row


def _require_same(path: Path, written: dict[str, _Digest]) -> None:
    """Read every row of the finished file again."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        for layer, expected in written.items():
            found = _Digest()
            for _ in found.through(database.execute(f'SELECT * FROM "{layer}" ORDER BY fid')):
                pass
            index = f'SELECT count(*) FROM "rtree_{layer}_{GEOMETRY}"'
            indexed = database.execute(index).fetchone()[0]
            same = (found.rows, found.checksum) == (expected.rows, expected.checksum)
            if not same or indexed != expected.rows:
                raise ResultMismatch(
                    f"polygons, layer {layer} of {path.name}: {expected.rows:,} features were written, and "
                    f"{found.rows:,} ({indexed:,} in the index) are read, "
                    f"{'the same' if same else 'with other content'}; run the same command again."
                )


def _add_metadata(database: sqlite3.Connection, layers: tuple[Layer, ...]) -> None:
    """Add the schema version and the layers' metadata to the GeoPackage file, by its extension (F.8)."""
    rows: list[tuple[str | None, str, str, str]] = [(None, _STANDARD, "application/json", _SCHEMA)]
    rows += [
        (layer.name, _QGIS_STANDARD, "text/xml", qgis_metadata(layer.description))
        for layer in layers
        if layer.description is not None
    ]
    for number, (table, standard, mime_type, content) in enumerate(rows, 1):
        database.execute(
            "INSERT INTO gpkg_metadata VALUES (?, 'dataset', ?, ?, ?)", (number, standard, mime_type, content)
        )
        database.execute(
            "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, md_file_id) VALUES (?, ?, ?)",
            ("geopackage" if table is None else "table", table, number),
        )
    database.executemany(
        "INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_metadata', ?, 'read-write')",
        [
            (table, "http://www.geopackage.org/spec120/#extension_metadata")
            for table in ("gpkg_metadata", "gpkg_metadata_reference")
        ],
    )


def _add_crs(database: sqlite3.Connection, crs: str | None) -> int:
    """Add the CRS to the GeoPackage file, with those that every file must define; returns its srs_id."""
    rows = {
        -1: ("Undefined Cartesian SRS", -1, "NONE", -1, "undefined", "undefined Cartesian"),
        0: ("Undefined geographic SRS", 0, "NONE", 0, "undefined", "undefined geographic"),
        4326: _gpkg_crs_row(pyproj.CRS(4326)),
    }
    own = _UNDEFINED
    if crs is not None:
        row = _gpkg_crs_row(pyproj.CRS.from_user_input(crs))
        own = row[1]
        rows[own] = row
    database.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, ?)", rows.values())
    return own


def _gpkg_crs_row(crs: pyproj.CRS) -> tuple[str, int, str, int, str, str]:
    """Row of a CRS in the GeoPackage file's table of CRSs."""
    authority = crs.to_json_dict().get("id", {})
    known = authority.get("authority") == "EPSG"
    number = int(authority["code"]) if known else _OWN
    try:
        definition = crs.to_wkt("WKT1_GDAL")  # required by the standard
    except pyproj.exceptions.CRSError:
        definition = crs.to_wkt()
    return crs.name, number, "EPSG" if known else "NONE", number, definition, crs.name


def _add_layer(database: sqlite3.Connection, layer: Layer, srs_id: int) -> _Digest:
    """Add a layer to the GeoPackage file: its table, entries, features and spatial index."""
    types = [f'"{name}" {_sql_type(values.dtype)}' for name, values in layer.columns.items()]
    geometry_type = layer.geometry_type.upper()
    columns = ", ".join(
        ["fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL", f'"{GEOMETRY}" {geometry_type}', *types]
    )
    database.execute(f'CREATE TABLE "{layer.name}" ({columns})')
    bounds = shapely.bounds(layer.geometry)
    extent = _layer_extent(bounds)
    described = "" if layer.description is None else layer.description.title
    database.execute(
        "INSERT INTO gpkg_contents"
        " (table_name, data_type, identifier, description, min_x, min_y, max_x, max_y, srs_id)"
        " VALUES (?, 'features', ?, ?, ?, ?, ?, ?, ?)",
        (layer.name, layer.name, described, *extent, srs_id),
    )
    database.execute(
        "INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, 0, 0)",
        (layer.name, GEOMETRY, geometry_type, srs_id),
    )
    places = ", ".join("?" * (2 + len(layer.columns)))
    digest = _Digest()
    rows = digest.through(_feature_rows(layer, bounds, srs_id))
    database.executemany(f'INSERT INTO "{layer.name}" VALUES ({places})', rows)
    _add_spatial_index(database, layer.name, bounds)
    return digest


def _layer_extent(bounds: NDArray[np.float64]) -> tuple[float | None, ...]:
    """Extent of a layer in the GeoPackage file: min x, min y, max x, max y; None without features."""
    if not len(bounds):
        return None, None, None, None
    low, high = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
    return *low.tolist(), *high.tolist()


def _add_spatial_index(database: sqlite3.Connection, layer: str, bounds: NDArray[np.float64]) -> None:
    """Add the R-tree of a layer to the GeoPackage file, with its triggers."""
    index = f"rtree_{layer}_{GEOMETRY}"
    database.execute(f'CREATE VIRTUAL TABLE "{index}" USING rtree(id, minx, maxx, miny, maxy)')
    # Through the virtual table, because SQLite in defensive mode refuses statements on its shadow tables.
    database.executemany(
        f'INSERT INTO "{index}" VALUES (?, ?, ?, ?, ?)',
        zip(range(1, 1 + len(bounds)), *bounds[:, [0, 2, 1, 3]].T.tolist(), strict=True),
    )
    for name, body in _TRIGGERS.items():
        database.execute(f'CREATE TRIGGER "{index}_{name}" ' + body.format(t=layer, g=GEOMETRY, r=index))
    database.execute(
        "INSERT INTO gpkg_extensions VALUES (?, ?, 'gpkg_rtree_index', ?, 'write-only')",
        (layer, GEOMETRY, "http://www.geopackage.org/spec120/#extension_rtree"),
    )


def _feature_rows(layer: Layer, bounds: NDArray[np.float64], srs_id: int) -> Iterator[tuple[Any, ...]]:
    """Rows of a layer in the GeoPackage file: fid, geometry, columns."""
    for start in range(0, len(layer.geometry), _ROWS):
        part = slice(start, start + _ROWS)
        columns = [_sqlite_values(values[part]) for values in layer.columns.values()]
        blobs = _geometry_blobs(layer.geometry[part], bounds[part], srs_id)
        yield from zip(range(start + 1, start + 1 + len(blobs)), blobs, *columns, strict=True)


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


def _sql_type(dtype: np.dtype[Any]) -> str:
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


def _add_styles(database: sqlite3.Connection, layers: tuple[Layer, ...]) -> None:
    """Add the styles of the layers to the GeoPackage file's `layer_styles`."""
    database.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
        " VALUES ('layer_styles', 'attributes', 'layer_styles', 0)"
    )
    # QGIS finds a style by all of these; it skips a NULL schema or another geometry column.
    database.executemany(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,"
        " styleName, styleQML, styleSLD, useAsDefault, description, owner)"
        " VALUES ('', '', ?, ?, ?, ?, '', ?, '', '')",
        [
            (layer.name, GEOMETRY, style.name, style.qml, number == 0)
            for layer in layers
            for number, style in enumerate(layer.styles)
        ],
    )
