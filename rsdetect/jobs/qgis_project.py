"""QGIS project of a job: scenes, probability, changes and footprint, as `.qgz` and in the GeoPackage."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NodataShadowWarning

from rsdetect.errors import RsdetectError
from rsdetect.geopackage.changes import CHANGES, FOOTPRINT
from rsdetect.geopackage.project import (
    Bookmark,
    Extent,
    PictureBand,
    ProjectLayer,
    add_project,
    crs_code,
    project_archive,
    with_margin,
    write_project,
)
from rsdetect.geopackage.styles import read_style
from rsdetect.jobs.outputs import Outputs
from rsdetect.pages.templates import render
from rsdetect.paths import as_gdal_path
from rsdetect.scenes.band_files import absolute_path, archive_of
from rsdetect.scenes.handles import GDAL_ERRORS, open_raster, with_gdal_environment
from rsdetect.scenes.header import Header, read_header
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import Scene
from rsdetect.secrets import without_secrets

_COLOURS = (("True colour", ("red", "green", "blue")), ("Infrared", ("nir", "red", "green")))
_BROKEN: tuple[type[Exception], ...] = (RsdetectError, *GDAL_ERRORS)
_CUT = (2, 98)  # percent of the values between which a picture is stretched
_WINDOWS = 4  # along each side of a scene, from which the values are taken
_WINDOWS_AFAR = 2  # of a scene on a server
_EDGE = 128  # pixels of such a window
_STEP = 3  # of the rows and columns of a window, one is taken
_LARGEST = 10  # changes with a bookmark


def write_qgis_project(
    geopackage: Path, out: Path, pair: Pair | None, dates: Sequence[str | None], *, wanted: bool
) -> None:
    """Write the QGIS project of a job beside its GeoPackage and into it; if not `wanted`, an empty file.

    `Outputs` takes an empty file for the wish to have no project, and removes an older one.

    A scene is left out if it is no single raster that QGIS can place: bands in files of their own, arrays,
    scenes with ground control points alone.

    Parameters
    ----------
    geopackage
        The new GeoPackage, with its layers.
    out
        Folder in which all results will lie. Paths in the project are relative to it.
    pair
        The scenes; None = they are missing.
    dates
        ISO dates of both, or None.
    """
    if not wanted:
        geopackage.with_name(Outputs.PROJECT).touch()
        return
    crs, extent, styles, largest = _content(geopackage)
    before, after = (date or "" for date in dates)
    span = f", {before} to {after}" if before and after else ""
    title = f"Changes{span}"
    changes = ProjectLayer(
        _key(CHANGES), title, f"./{Outputs.POLYGONS}|layername={CHANGES}", "ogr", crs, qml=styles[CHANGES]
    )
    probability = ProjectLayer(
        _key("probability"),
        f"Change probability{span}",
        f"./{Outputs.RASTER}",
        "gdal",
        crs,
        shown=False,
        qml=read_style(Outputs.RASTER_STYLE),
    )
    footprint = ProjectLayer(
        _key(FOOTPRINT),
        "Observed on both dates",
        f"./{Outputs.POLYGONS}|layername={FOOTPRINT}",
        "ogr",
        crs,
        qml=styles[FOOTPRINT],
    )
    groups = [("Changes", [changes, probability, footprint])]
    if pair is not None:
        groups += _scene_groups(pair, out, dates)
    text = render(
        "project.qgs",
        title=title,
        wkt=crs,
        authid=crs_code(crs),
        extent=with_margin(extent),
        groups=groups,
        places=largest,
    )
    archive = project_archive(text)
    write_project(geopackage.with_name(Outputs.PROJECT), archive)
    add_project(geopackage, Path(Outputs.PROJECT).stem, archive)


def _key(name: str) -> str:
    return f"rsdetect_{name.lower().replace(' ', '_')}"


def _content(geopackage: Path) -> tuple[str | None, Extent, dict[str, str], list[Bookmark]]:
    """CRS, extent of the changes (or of the footprint without any), styles and bookmarks of a GeoPackage."""
    with closing(sqlite3.connect(geopackage)) as database:
        (crs,) = database.execute(
            "SELECT definition FROM gpkg_spatial_ref_sys JOIN gpkg_contents USING (srs_id) "
            "WHERE table_name = ?",
            (CHANGES,),
        ).fetchone()
        extents = {
            name: extent
            for name, *extent in database.execute(
                "SELECT table_name, min_x, min_y, max_x, max_y FROM gpkg_contents"
            )
        }
        styles = dict(database.execute("SELECT f_table_name, styleQML FROM layer_styles"))
        rows = database.execute(
            "SELECT change_id, minx, miny, maxx, maxy FROM changes JOIN rtree_changes_geom ON fid = id "
            "ORDER BY pixels DESC, change_id LIMIT ?",
            (_LARGEST,),
        ).fetchall()
    largest = [
        Bookmark(f"{rank}: change {change}", tuple(extent), "Largest changes")
        for rank, (change, *extent) in enumerate(rows, 1)
    ]
    found = next(
        (extents[name] for name in (CHANGES, FOOTPRINT) if extents[name][0] is not None), [0, 0, 1, 1]
    )
    return None if crs == "undefined" else crs, tuple(found), styles, largest


def _scene_groups(pair: Pair, out: Path, dates: Sequence[str | None]) -> list[tuple[str, list[ProjectLayer]]]:
    """Groups of both scenes, AFTER above: true colour shown, infrared hidden, one stretch for both."""
    pictures = [_Picture.of(scene) for scene in (pair.after, pair.before)]
    open_ones = [picture for picture in pictures if picture is not None]
    groups = []
    for date, role, picture in zip((dates[1], dates[0]), ("After", "Before"), pictures, strict=True):
        if picture is None:
            continue
        others = [other for other in open_ones if other.is_like(picture)]
        layers = [
            ProjectLayer(
                _key(f"{role} {name}"),
                f"{role} {date or ''}".strip() + (f", {name.lower()}" if number else ""),
                picture.source(out),
                "gdal",
                picture.crs,
                shown=number == 0,
                bands=tuple(_stretched(numbers, others)),
            )
            for number, (name, numbers) in enumerate(picture.composites)
        ]
        groups.append((role, layers))
    return groups


class _Picture:
    """Picture of a scene that QGIS can open: its composites, and a sample of the values of its bands."""

    def __init__(self, path: str, is_local: bool, header: Header) -> None:
        self.path, self.is_local = path, is_local
        self.composites = _composites(header)
        self.numbers = sorted({number for _, numbers in self.composites for number in numbers})
        with open_raster(path) as dataset:
            self.crs = dataset.crs.to_wkt() if dataset.crs else None
            self.kind = tuple(dataset.dtypes), tuple(dataset.scales), tuple(dataset.offsets)
            values = [
                _sample(dataset, number, _WINDOWS if is_local else _WINDOWS_AFAR) for number in self.numbers
            ]
        self.values: dict[int, NDArray[np.float64]] = dict(zip(self.numbers, values, strict=True))

    @classmethod
    def of(cls, scene: Scene) -> _Picture | None:
        """Picture of a scene; None if it is no single raster, or cannot be read any more."""
        if scene.source is not None or scene.files is not None or scene.control is not None:
            return None
        try:
            return cls(scene.path, scene.version is not None, read_header(scene.path))
        except _BROKEN:
            return None

    def is_like(self, other: _Picture) -> bool:
        """True for a picture with the same kind of numbers in the same bands."""
        return self.kind == other.kind and self.numbers == other.numbers

    def source(self, out: Path) -> str:
        """Source as QGIS opens it, relative to the folder `out` and without secrets."""
        if not self.is_local:
            return as_gdal_path(without_secrets(self.path))
        if archive_of(self.path):
            return absolute_path(self.path)
        try:
            return Path(os.path.relpath(self.path, out)).as_posix()
        except ValueError:  # on another drive
            return self.path


def _composites(header: Header) -> list[tuple[str, tuple[int, ...]]]:
    """Composites of a scene by the names of its bands: true colour and infrared, or the first bands."""
    numbers = {name: number for number, name in reversed(list(enumerate(header.names, 1)))}
    found = [
        (title, tuple(numbers[name] for name in names))
        for title, names in _COLOURS
        if all(name in numbers for name in names)
    ]
    count = len(header.dtypes) - (header.alpha is not None)
    return found or [("First bands", (1, 2, 3) if count >= 3 else (1,))]


@with_gdal_environment
def _sample(dataset: Any, number: int, windows: int) -> NDArray[np.float64]:
    """Sample of a band's valid values, as QGIS shows them (by the file's scale and offset)."""
    rows, cols = (_starts(length, windows) for length in (dataset.height, dataset.width))
    parts = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NodataShadowWarning)  # the mask decides, as in scoring
        for row in rows:
            for col in cols:
                window = ((row, min(row + _EDGE, dataset.height)), (col, min(col + _EDGE, dataset.width)))
                read = dataset.read(number, window=window, masked=True)
                parts.append(read[::_STEP, ::_STEP].compressed())
    values = np.concatenate(parts).astype(np.float64)
    values = values[np.isfinite(values)]
    scaled: NDArray[np.float64] = values * dataset.scales[number - 1] + dataset.offsets[number - 1]
    return scaled


def _starts(length: int, count: int) -> list[int]:
    return sorted({int(start) for start in np.linspace(0, max(length - _EDGE, 0), count)})


def _stretched(numbers: Sequence[int], pictures: Sequence[_Picture]) -> list[PictureBand]:
    """Bands of a picture, with the cut of the values of all `pictures`."""
    bands = []
    for number in numbers:
        values = np.concatenate([picture.values[number] for picture in pictures])
        low, high = np.percentile(values, _CUT) if values.size else (0.0, 1.0)
        bands.append(PictureBand(number, float(low), float(high if high > low else low + 1)))
    return bands
