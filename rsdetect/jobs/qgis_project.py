"""QGIS project of a job: scenes, probability, changes and footprint, as `.qgz` and in the GeoPackage."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rsdetect.amounts import size_text
from rsdetect.geopackage.changes import CHANGES, FOOTPRINT, ChangeDescription, place_words
from rsdetect.geopackage.metadata import metadata_elements
from rsdetect.geopackage.project import (
    Bookmark,
    Extent,
    ProjectLayer,
    add_project,
    crs_code,
    project_archive,
    root_of,
    with_margin,
    write_project,
)
from rsdetect.geopackage.styles import NamedStyle
from rsdetect.geopackage.styles.raster_style import kinds_style
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.scene_pictures import ScenePicture, gamma_of, stretched
from rsdetect.pages.templates import render
from rsdetect.scenes.pair import Pair

_LARGEST = 10  # changes with a bookmark
_PROBABILITY = "Probability from 0 to 1 that a pixel changed; what was not observed is grey."
_KINDS = "Kind of the change that covers a pixel; what was not observed is grey."


def write_qgis_project(
    geopackage: Path, out: Path, pair: Pair | None, described: ChangeDescription, *, wanted: bool, kinds: bool
) -> None:
    """Write the QGIS project of a job beside its GeoPackage and into it; if not `wanted`, an empty file.

    `Outputs` takes an empty file for the wish to have no project, and removes an older one.

    A scene is left out if it is no single raster that QGIS can place: bands in files of their own, arrays,
    scenes with ground control points alone.

    Parameters
    ----------
    geopackage
        The new GeoPackage, with its layers; the style of the raster lies beside it.
    out
        Folder in which all results will lie. Paths in the project are relative to it.
    pair
        The scenes; None = they are missing.
    described
        What the GeoPackage says of all changes.
    kinds
        The raster has a band of kinds.
    """
    if not wanted:
        geopackage.with_name(Outputs.PROJECT).touch()
        return
    found = _Content.of(geopackage)
    results = _result_layers(geopackage.with_name(Outputs.RASTER_STYLE), found, described)
    groups = [("Changes", results if kinds else [each for each in results if each.id != _key("kinds")])]
    if pair is not None:
        groups += _scene_groups(pair, out, (described.before_date, described.after_date))
    text = render(
        "project.qgs",
        title=found.titles[CHANGES],
        wkt=found.crs,
        authid=crs_code(found.crs),
        extent=with_margin(found.extent),
        groups=groups,
        places=found.largest,
    )
    archive = project_archive(text)
    write_project(geopackage.with_name(Outputs.PROJECT), archive)
    add_project(geopackage, Path(Outputs.PROJECT).stem, archive)


def _key(name: str) -> str:
    return f"rsdetect_{name.lower().replace(' ', '_')}"


@dataclass(frozen=True)
class _Content:
    """Content of a GeoPackage of changes that its project shows; by layer where there are several."""

    crs: str | None
    extent: Extent  # of the changes, or of the footprint without any
    place: str  # for titles
    titles: dict[str, str]
    metadata: dict[str, str]
    styles: dict[str, tuple[NamedStyle, ...]]
    largest: list[Bookmark]

    @classmethod
    def of(cls, geopackage: Path) -> _Content:
        with closing(sqlite3.connect(geopackage)) as database:
            (crs,) = database.execute(
                "SELECT definition FROM gpkg_spatial_ref_sys JOIN gpkg_contents USING (srs_id) "
                "WHERE table_name = ?",
                (CHANGES,),
            ).fetchone()
            wkt = None if crs == "undefined" else crs
            contents = database.execute(
                "SELECT table_name, description, min_x, min_y, max_x, max_y FROM gpkg_contents"
            ).fetchall()
            metadata = database.execute(
                "SELECT table_name, metadata FROM gpkg_metadata JOIN gpkg_metadata_reference "
                "ON gpkg_metadata.id = md_file_id WHERE table_name NOT NULL"
            ).fetchall()
            styles = database.execute(
                "SELECT f_table_name, styleName, styleQML FROM layer_styles ORDER BY useAsDefault DESC, id"
            ).fetchall()
            largest = _bookmarks(database)
        extents = {name: extent for name, _, *extent in contents if extent[0] is not None}
        return cls(
            wkt,
            tuple(extents.get(CHANGES, extents.get(FOOTPRINT, [0, 0, 1, 1]))),
            place_words(extents[FOOTPRINT], wkt) if FOOTPRINT in extents else "",
            {name: title for name, title, *_ in contents},
            {name: root_of(document)[1] for name, document in metadata},
            {
                layer: tuple(NamedStyle(name, qml) for table, name, qml in styles if table == layer)
                for layer in (CHANGES, FOOTPRINT)
            },
            largest,
        )


def _bookmarks(database: sqlite3.Connection) -> list[Bookmark]:
    """Bookmarks of the largest changes, with their areas."""
    rows = database.execute(
        "SELECT change_id, area_m2, pixels, minx, miny, maxx, maxy FROM changes "
        "JOIN rtree_changes_geom ON fid = id ORDER BY pixels DESC, change_id LIMIT ?",
        (_LARGEST,),
    )
    return [
        Bookmark(f"{rank}: change {change}, {size_text(area, pixels)}", tuple(extent), "Largest changes")
        for rank, (change, area, pixels, *extent) in enumerate(rows, 1)
    ]


def _result_layers(raster_style: Path, found: _Content, described: ChangeDescription) -> list[ProjectLayer]:
    """Layers of changes, probability, kinds and footprint, from above."""
    styles = {
        "probability": ("Change probability", _PROBABILITY, raster_style.read_text(encoding="utf-8")),
        "kinds": ("Kind of change", _KINDS, kinds_style()),
    }
    changes, footprint = (
        ProjectLayer(
            _key(name),
            found.titles[name],
            f"./{Outputs.POLYGONS}|layername={name}",
            "ogr",
            found.crs,
            styles=found.styles[name],
            metadata=found.metadata[name],
        )
        for name in (CHANGES, FOOTPRINT)
    )
    rasters = []
    for name, (title, about, style) in styles.items():
        raster = described.layer(title, found.place, about)
        rasters.append(
            ProjectLayer(
                _key(name),
                raster.title,
                f"./{Outputs.RASTER}",
                "gdal",
                found.crs,
                shown=False,
                styles=(NamedStyle("default", style),),
                metadata=metadata_elements(raster),
            )
        )
    return [changes, *rasters, footprint]


def _scene_groups(pair: Pair, out: Path, dates: Sequence[str | None]) -> list[tuple[str, list[ProjectLayer]]]:
    """Groups of both scenes, AFTER above: true colour shown, infrared hidden, one stretch for both."""
    pictures = [ScenePicture.of(scene) for scene in (pair.after, pair.before)]
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
                bands=(bands := tuple(stretched(numbers, others))),
                gamma=gamma_of(bands, others),
            )
            for number, (name, numbers) in enumerate(picture.composites)
        ]
        groups.append((role, layers))
    return groups
