"""QGIS project of a result: a `.qgz` file, and the same inside a GeoPackage. It is written without QGIS.

QGIS finds a project in the table `qgis_projects` of a GeoPackage: the zip file as hexadecimal text.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyproj
import shapely

from rsdetect.files import atomic_path
from rsdetect.geopackage.styles import NamedStyle

Extent = tuple[float, float, float, float]  # west, south, east, north in units of the CRS

_WRITTEN = (1980, 1, 1, 0, 0, 0)  # a zip file needs a time; this one makes equal projects equal files
_MARGIN = 0.1  # around what is shown, share of its size


@dataclass(frozen=True)
class PictureBand:
    """Band of a project's picture: its number in the file from 1, and the values shown black and full."""

    number: int
    low: float
    high: float


@dataclass(frozen=True)
class ProjectLayer:
    """Layer of a QGIS project, drawn by a QML style or as a picture of bands.

    Attributes
    ----------
    id
        Identity in the project. QGIS replaces one of ten characters or fewer.
    provider
        Of QGIS: `ogr` for polygons, `gdal` for rasters.
    source
        As QGIS opens it; a path is relative to the folder of the project.
    bands
        One band for grey, three for red, green and blue; () = the styles decide.
    gamma
        Of a picture; above 1 its dark parts are brighter.
    styles
        The first is shown, the others may be chosen.
    metadata
        Elements of QGIS's metadata, as XML.
    """

    id: str
    title: str
    source: str
    provider: str
    crs: str | None  # WKT
    shown: bool = True
    bands: tuple[PictureBand, ...] = ()
    gamma: float = 1.0
    styles: tuple[NamedStyle, ...] = ()
    metadata: str = ""

    @property
    def authid(self) -> str:
        """Name of the layer's CRS in a registry, as "EPSG:32633"; "" where it has none."""
        return crs_code(self.crs)

    @property
    def style_attributes(self) -> str:
        """Attributes of the root element of the layer's QML style."""
        return root_of(self.styles[0].qml)[0] if self.styles else ""

    @property
    def style(self) -> str:
        """Content of the root element of the layer's QML style."""
        return root_of(self.styles[0].qml)[1] if self.styles else ""


@dataclass(frozen=True)
class Bookmark:
    """Bookmark of a QGIS project."""

    name: str
    extent: Extent
    group: str

    @property
    def id(self) -> str:
        """Identity of the bookmark within the project."""
        return f"rsdetect-{self.name}"

    @property
    def outline(self) -> str:
        """WKT of the bookmark's extent."""
        return str(shapely.to_wkt(shapely.box(*with_margin(self.extent)), rounding_precision=9))


def project_archive(text: str) -> bytes:
    """Project archive (`.qgz`) with the project `text`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(zipfile.ZipInfo("changes.qgs", _WRITTEN), text.encode(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def add_project(geopackage: Path, name: str, archive: bytes) -> None:
    """Add a project to a GeoPackage, where QGIS's browser shows it below the file."""
    with closing(sqlite3.connect(geopackage)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS qgis_projects (name TEXT PRIMARY KEY, metadata BLOB, content BLOB)"
        )
        known = json.dumps({"last_modified_user": "rsdetect"})
        database.execute(
            "INSERT OR REPLACE INTO qgis_projects VALUES (?, ?, ?)", (name, known, archive.hex())
        )


def write_project(path: Path, archive: bytes) -> None:
    """Write a project archive as a file of its own."""
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(archive)


def with_margin(extent: Extent) -> Extent:
    """Extent with a margin, so that what it holds does not touch the edge of the map.

    >>> with_margin((0, 0, 10, 20))
    (-1.0, -2.0, 11.0, 22.0)
    """
    west, south, east, north = extent
    across, up = _MARGIN * (east - west), _MARGIN * (north - south)
    return west - across, south - up, east + across, north + up


@cache
def crs_code(wkt: str | None) -> str:
    """Code of a CRS in its registry, which QGIS prefers to the WKT; "" where it has none.

    >>> crs_code(pyproj.CRS(32633).to_wkt()), crs_code(None)
    ('EPSG:32633', '')
    """
    found = None if wkt is None else pyproj.CRS(wkt).to_authority(min_confidence=100)
    return "" if found is None else ":".join(found)


def root_of(document: str) -> tuple[str, str]:
    """Attributes and content of the root element of a style or of metadata of QGIS."""
    found = re.search(r"<qgis\b([^>]*)>(.*)</qgis>", document, re.DOTALL)
    if found is None:
        return "", ""
    return re.sub(r'\bversion="[^"]*"', "", found[1]).strip(), found[2]
