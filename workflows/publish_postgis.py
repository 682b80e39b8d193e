"""Publish the changes of a job, or the events of a monitoring job, in a PostGIS database.

    /usr/bin/python3 workflows/publish_postgis.py DIR [--name NAME] [--schema rsdetect] [--srid 4326]

DIR is what `rsdetect detect`, `rsdetect batch` or `rsdetect monitor run` wrote. Features are inserted, or
updated by their id, and those that the results no longer have are deleted, in one transaction: a QGIS project
on the tables is always current. Needs psycopg 3 and nothing else; libpq takes the connection from the
environment (PGHOST, PGDATABASE, PGUSER, PGSERVICE, ~/.pgpass).

The tables `changes` and `events` have the keys (name, change_id) and (name, event_id); `attributes` has all
other columns as JSON. NAME tells apart the results of several folders; by default it is that of the folder.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

HEADER_BYTES = 8  # of a geometry in a GeoPackage, before its bounds
BOUNDS_BYTES = (0, 32, 48, 48, 64)  # by the code in its flags


@dataclass(frozen=True)
class Layer:
    """Layer of a GeoPackage, and the columns of its table beside `name`, `geom` and `attributes`."""

    file: str
    name: str
    columns: dict[str, str]  # with their types; the key is the first

    @property
    def key(self) -> str:
        """Column that identifies a feature."""
        return next(iter(self.columns))


CHANGES = Layer(
    "changes.gpkg",
    "changes",
    {
        "change_id": "bigint",
        "area_m2": "double precision",
        "before_date": "date",
        "after_date": "date",
        "probability_mean": "double precision",
        "kind": "text",
    },
)
EVENTS = Layer(
    "events.gpkg",
    "events",
    {
        "event_id": "text",
        "status": "text",
        "first_seen": "timestamptz",
        "last_seen": "timestamptz",
        "confirmed_on": "timestamptz",
        "resolved_on": "timestamptz",
        "area_m2": "double precision",
    },
)


def read_layer(path: Path, layer: Layer) -> tuple[list[dict[str, object]], str]:
    """Read the rows of a layer, their geometry as WKB, and its CRS as PROJ takes it.

    Raises
    ------
    ValueError
        Its CRS is undefined.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        crs = database.execute(
            "SELECT * FROM gpkg_spatial_ref_sys NATURAL JOIN gpkg_geometry_columns WHERE table_name = ?",
            (layer.name,),
        ).fetchone()
        rows = [dict(row) for row in database.execute(f"SELECT * FROM {layer.name}")]  # noqa: S608
    if crs["srs_id"] < 1:
        raise ValueError(f"{path} has no CRS")
    for row in rows:
        blob = row["geom"]
        row["geom"] = blob[HEADER_BYTES + BOUNDS_BYTES[blob[3] >> 1 & 7] :]
    known = crs["organization"].upper() == "EPSG"
    return rows, f"EPSG:{crs['organization_coordsys_id']}" if known else crs["definition"]


def create_table(cursor: psycopg.Cursor, schema: str, layer: Layer, srid: int) -> None:
    """Create the table of a layer, where it is missing, with its index."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in layer.columns.items()
    )
    cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    cursor.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (name text, {}, attributes jsonb, geom geometry(Geometry, {}),"
            " PRIMARY KEY (name, {}))"
        ).format(sql.Identifier(schema, layer.name), columns, sql.Literal(srid), sql.Identifier(layer.key))
    )
    cursor.execute(
        sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} USING gist (geom)").format(
            sql.Identifier(f"{layer.name}_geom"), sql.Identifier(schema, layer.name)
        )
    )


def place_in_table(cursor: psycopg.Cursor, schema: str, layer: Layer, crs: str) -> sql.Composed:
    """Expression of a feature's geometry in the CRS of the table, which its geometry column knows."""
    target = sql.SQL("Find_SRID({}, {}, 'geom')").format(sql.Literal(schema), sql.Literal(layer.name))
    authority, _, code = crs.partition(":")
    numbered = "SELECT FROM spatial_ref_sys WHERE srid = %s AND auth_name = 'EPSG' AND auth_srid = srid"
    if authority == "EPSG" and cursor.execute(numbered, (int(code),)).fetchone() is not None:
        # PostGIS keeps the transformation from a number, and makes that from a text for each feature.
        source = sql.SQL("ST_GeomFromWKB(%(geom)s, {})").format(sql.Literal(int(code)))
        return sql.SQL("ST_Transform({}, {})").format(source, target)
    return sql.SQL("ST_Transform(ST_GeomFromWKB(%(geom)s), %(crs)s::text, {})").format(target)


def upsert(schema: str, layer: Layer, place: sql.Composed) -> sql.Composed:
    """Statement that inserts a feature at a place, or updates the one of its id."""
    names = [sql.Identifier(name) for name in ("name", *layer.columns, "attributes", "geom")]
    values = [sql.Placeholder(name) for name in ("name", *layer.columns, "attributes")]
    changed = [sql.SQL("{0} = EXCLUDED.{0}").format(name) for name in names[2:]]
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (name, {}) DO UPDATE SET {}").format(
        sql.Identifier(schema, layer.name),
        sql.SQL(", ").join(names),
        sql.SQL(", ").join([*values, place]),
        sql.Identifier(layer.key),
        sql.SQL(", ").join(changed),
    )


def publish(
    connection: psycopg.Connection, path: Path, layer: Layer, name: str, schema: str, srid: int
) -> int:
    """Publish a layer in one transaction, and return the number of its features."""
    rows, crs = read_layer(path, layer)
    other = {"fid", "geom", *layer.columns}
    features = [
        {key: row.get(key) for key in layer.columns}
        | {"name": name, "geom": row["geom"], "crs": crs}
        | {"attributes": Jsonb({key: value for key, value in row.items() if key not in other})}
        for row in rows
    ]
    with connection.transaction(), connection.cursor() as cursor:
        create_table(cursor, schema, layer, srid)
        place = place_in_table(cursor, schema, layer, crs)
        cursor.executemany(upsert(schema, layer, place), features)
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE name = %s AND {} != ALL(%s)").format(
                sql.Identifier(schema, layer.name), sql.Identifier(layer.key)
            ),
            (name, [row[layer.key] for row in rows]),
        )
    return len(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish what a folder has; status 0, 2 for a wrong folder, 3 while the database is unavailable."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--name", help="default: the name of the folder")
    parser.add_argument("--schema", default="rsdetect")
    parser.add_argument("--srid", type=int, default=4326, help="CRS of new tables, as an EPSG number")
    given = parser.parse_args(arguments)
    layers = [layer for layer in (CHANGES, EVENTS) if (given.folder / layer.file).exists()]
    if not layers:
        print(f"{given.folder} has neither {CHANGES.file} nor {EVENTS.file}", file=sys.stderr)
        return 2
    name = given.name or given.folder.resolve().name
    try:
        with psycopg.connect() as connection:
            for layer in layers:
                path = given.folder / layer.file
                count = publish(connection, path, layer, name, given.schema, given.srid)
                print(f"{given.schema}.{layer.name}: {count} features of {name}")
    except psycopg.OperationalError as error:
        print(f"the database is unavailable: {error}", file=sys.stderr)
        return 3
    except (ValueError, sqlite3.Error, psycopg.Error) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
