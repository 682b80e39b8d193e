"""Regions to a GeoPackage that QGIS opens styled.

Version 1.2 of the format, because QGIS 3.22 warns about every newer one. Both layers are written
column by column in one transaction each; the styles go into the table `layer_styles`, which QGIS
reads by itself.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
import warnings
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pyogrio.raw
import shapely
from numpy.typing import NDArray

from rsdetect.regions import Regions

CHANGES, FOOTPRINT = "changes", "footprint"
_GEOMETRY = "geom"
_LONGEST_NAME = 40  # characters of a band's name that go into a column's name

_STYLES_TABLE = """
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
)
"""


@dataclass(frozen=True)
class ChangeDescription:
    """What is the same for all changes of a job."""

    before_date: str | None  # ISO 8601 day, "2021-06-30"; None = unknown
    after_date: str | None  # likewise
    detector: str  # name of the detector


Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Layer:
    """One layer of polygons with its default style."""

    name: str
    geometry: NDArray[np.object_]  # shapely polygons
    columns: Columns  # as long as `geometry`; datetime64[D] becomes a date, datetime64[ms] a date and time
    style: str  # QML
    geometry_type: str = "Polygon"  # or MultiPolygon


def write_changes(
    path: Path, changes: Regions, footprint: Regions, crs: str | None, description: ChangeDescription
) -> None:
    """Write the layers `changes` and `footprint` with their default styles into a new file at `path`.

    Parameters
    ----------
    crs
        WKT of the CRS that both are in; None = undefined.
    """
    difference_columns = _difference_columns(changes.differences)
    columns = {
        "change_id": np.arange(1, len(changes) + 1, dtype=np.int64),
        "area_m2": changes.area_m2,
        "perimeter_m": changes.perimeter_m,
        "pixels": changes.pixels,
        "probability_mean": changes.probability_mean,
        "probability_max": changes.probability_max,
        **_described(description, len(changes)),
        **{column: changes.differences[band] for band, column in difference_columns.items()},
    }
    observed = {
        "area_m2": footprint.area_m2,
        "pixels": footprint.pixels,
        **_described(description, len(footprint)),
    }
    style = changes_style(difference_columns.values())
    layers = (
        Layer(CHANGES, changes.geometry, columns, style),
        Layer(FOOTPRINT, footprint.geometry, observed, footprint_style()),
    )
    write_layers(path, layers, crs)


def write_layers(path: Path, layers: Iterable[Layer], crs: str | None) -> None:
    """Write `layers` with their default styles into a new file at `path`.

    Parameters
    ----------
    crs
        WKT of the CRS that all are in, or anything else that GDAL takes; None = undefined.
    """
    layers = tuple(layers)
    for layer in layers:
        _write_layer(path, layer, crs)
    _write_styles(path, {layer.name: layer.style for layer in layers})


def write_raster_style(path: Path) -> None:
    """Write the style of a probability raster; QGIS applies a `.qml` that lies beside its `.tif`."""
    path.write_text(_template("change_probability.qml"), encoding="utf-8")


def _described(description: ChangeDescription, count: int) -> Columns:
    dates = {"before_date": description.before_date, "after_date": description.after_date}
    columns: Columns = {
        name: np.full(count, np.datetime64(date or "NaT", "D")) for name, date in dates.items()
    }
    return columns | {"detector": np.full(count, description.detector, dtype=np.object_)}


def _difference_columns(bands: Iterable[str]) -> dict[str, str]:
    """A column name per band: plain ASCII in lower case, no two the same.

    >>> _difference_columns(["Red", "red", "B8A (NIR)", "Höhe", ""])
    {'Red': 'difference_red', 'red': 'difference_red_2', 'B8A (NIR)': 'difference_b8a_nir', \
'Höhe': 'difference_hohe', '': 'difference_band'}
    """
    columns: dict[str, str] = {}
    for band in bands:
        ascii_name = unicodedata.normalize("NFKD", band).encode("ascii", "ignore").decode().lower()
        plain = re.sub("[^a-z0-9]+", "_", ascii_name).strip("_")[:_LONGEST_NAME] or "band"
        column, repeat = f"difference_{plain}", 1
        while column in columns.values():
            repeat += 1
            column = f"difference_{plain}_{repeat}"
        columns[band] = column
    return columns


def _write_layer(path: Path, layer: Layer, crs: str | None) -> None:
    # The format's own number for "undefined"; without it GDAL invents a CRS with a unit of length 0.
    undefined = {"SRID": "-1"} if crs is None else {}
    with warnings.catch_warnings():
        # Scenes without georeference have no CRS, and the user was told when they were opened.
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(layer.geometry),
            field_data=list(layer.columns.values()),
            fields=list(layer.columns),
            layer=layer.name,
            driver="GPKG",
            geometry_type=layer.geometry_type,
            crs=crs,
            dataset_options={"VERSION": "1.2"},
            layer_options={"GEOMETRY_NAME": _GEOMETRY, "SPATIAL_INDEX": "YES"} | undefined,
            gdal_tz_offsets=_in_utc(layer.columns),
        )


def _in_utc(columns: Columns) -> dict[str, NDArray[np.int8]]:
    """GDAL's sign for UTC, 100, at every time of every column of times: the format knows no other zone."""
    times = [name for name, values in columns.items() if values.dtype == np.dtype("M8[ms]")]
    return {name: np.full(len(columns[name]), 100, dtype=np.int8) for name in times}


def _write_styles(path: Path, styles: dict[str, str]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_STYLES_TABLE)
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, srs_id)"
            " VALUES ('layer_styles', 'attributes', 'layer_styles', '', 0)"
        )
        # QGIS looks a style up by all of these; a NULL schema or another geometry column is passed over.
        database.executemany(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,"
            " styleName, styleQML, styleSLD, useAsDefault, description, owner)"
            " VALUES ('', '', ?, ?, ?, ?, '', 1, '', '')",
            [(layer, _GEOMETRY, layer, qml) for layer, qml in styles.items()],
        )


def changes_style(difference_columns: Iterable[str]) -> str:
    """The style of a layer of changes that has these columns for the differences of the bands."""
    titles = {column: column.replace("_", " ").capitalize() for column in difference_columns}
    aliases = [f'    <alias field="{column}" name="{title}"/>' for column, title in titles.items()]
    rows = [
        f'<tr><td>{title}</td><td>[% round("{column}", 2) %]</td></tr>' for column, title in titles.items()
    ]
    return Template(_template("changes.qml")).substitute(
        difference_aliases="\n".join(aliases), difference_rows="\n".join(rows)
    )


def footprint_style() -> str:
    """The style of a layer that says where was looked."""
    return _template("footprint.qml")


def _template(name: str) -> str:
    return files("rsdetect").joinpath("styles", name).read_text(encoding="utf-8")
