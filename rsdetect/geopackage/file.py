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
from rsdetect.geopackage.rows import Columns, feature_rows, sql_type
from rsdetect.geopackage.styles import NamedStyle
from rsdetect.geopackage.tables import TABLES, TRIGGERS
from rsdetect.schema import GEOPACKAGE

# ruff: noqa: S608 - names in statements are those of the package's own layers and columns

GEOMETRY = "geom"  # name of the geometry column
_APPLICATION, _VERSION = 0x47504B47, 10200
_PLAIN = 2  # version of marshal in which equal values are equal bytes, seven times as fast as `repr`
_UNDEFINED, _OWN = -1, 100_000  # srs_id without a CRS, and of a CRS without an EPSG code

# Not as GDAL metadata (http://gdal.org), which GDAL would copy into an .aux.xml beside the file.
_QGIS_STANDARD = "http://mrcc.com/qgis.dtd"  # QGIS reads it as the metadata of a layer
_STANDARD, _SCHEMA = "urn:rsdetect:schema", json.dumps({"rsdetect": "geopackage", "schema": GEOPACKAGE})


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
        for statement in TABLES.strip().split(";\n"):
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
    types = [f'"{name}" {sql_type(values.dtype)}' for name, values in layer.columns.items()]
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
    rows = digest.through(feature_rows(layer.geometry, layer.columns, bounds, srs_id))
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
    for name, body in TRIGGERS.items():
        database.execute(f'CREATE TRIGGER "{index}_{name}" ' + body.format(t=layer, g=GEOMETRY, r=index))
    database.execute(
        "INSERT INTO gpkg_extensions VALUES (?, ?, 'gpkg_rtree_index', ?, 'write-only')",
        (layer, GEOMETRY, "http://www.geopackage.org/spec120/#extension_rtree"),
    )


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
