"""GeoPackage layers `changes` and `footprint` of a job, with styles that QGIS applies on opening.

The styles are stored in the table `layer_styles`, which QGIS reads; `rsdetect.geopackage.file` writes the
file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np

from rsdetect.geopackage.file import Columns, Layer, write_geopackage
from rsdetect.geopackage.styles import read_style
from rsdetect.regions.collected import Regions

CHANGES, FOOTPRINT = "changes", "footprint"
SHAPE_TITLES = {
    "compactness": "Compactness",
    "length_m": "Length (m)",
    "width_m": "Width (m)",
    "orientation_deg": "Orientation (°)",
    "holes": "Holes",
}
KIND_TITLES = {
    "kind": "Kind of change",
    "kind_probability": "Probability of the kind",
    "from_class": "Land before",
    "from_probability": "Probability of the land before",
    "to_class": "Land after",
    "to_probability": "Probability of the land after",
}
_LONGEST_NAME = 40  # maximum characters of a band's name in a column's name


@dataclass(frozen=True)
class ChangeDescription:
    """Description common to all changes of a GeoPackage."""

    before_date: str | None  # ISO 8601 day, "2021-06-30"; None = unknown
    after_date: str | None  # likewise
    detector: str  # name of the detector


def write_changes(
    path: Path,
    changes: Regions,
    footprint: Regions,
    crs: str | None,
    description: ChangeDescription,
    attributes: Columns | None = None,
    *,
    finish: Callable[[Path], None] | None = None,
) -> None:
    """Write the layers `changes` and `footprint` with default styles into a new GeoPackage at `path`.

    Parameters
    ----------
    crs
        WKT of the CRS of both; None = undefined.
    attributes
        Further columns of the changes, from their shapes and their detector.
    finish
        As of `write_geopackage`.
    """
    difference_columns = _difference_columns(changes.differences)
    columns = {
        "change_id": np.arange(1, len(changes) + 1, dtype=np.int64),
        "area_m2": changes.area_m2,
        "perimeter_m": changes.perimeter_m,
        "pixels": changes.pixels,
        "probability_mean": changes.probability_mean,
        "probability_max": changes.probability_max,
        **_description_columns(description, len(changes)),
        **{column: changes.differences[band] for band, column in difference_columns.items()},
        **(attributes or {}),
    }
    observed = {
        "area_m2": footprint.area_m2,
        "pixels": footprint.pixels,
        **_description_columns(description, len(footprint)),
    }
    titled = [name for name in (*KIND_TITLES, *SHAPE_TITLES) if name in columns]
    style = changes_style((*difference_columns.values(), *titled))
    kind = "MultiPolygon" if changes.is_merged else "Polygon"
    layers = (
        Layer(CHANGES, changes.geometry, columns, style, kind),
        Layer(FOOTPRINT, footprint.geometry, observed, footprint_style()),
    )
    write_geopackage(path, layers, crs, finish)


def _description_columns(description: ChangeDescription, count: int) -> Columns:
    """Columns of a GeoPackage layer with dates and detector."""
    dates = {"before_date": description.before_date, "after_date": description.after_date}
    columns: Columns = {
        name: np.full(count, np.datetime64(date or "NaT", "D")) for name, date in dates.items()
    }
    return columns | {"detector": np.full(count, description.detector, dtype=np.object_)}


def _difference_columns(bands: Iterable[str]) -> dict[str, str]:
    """Column names of the bands' differences in the layer `changes`: lower-case ASCII, unique.

    >>> for band, column in _difference_columns(["Red", "red", "B8A (NIR)", "Höhe", ""]).items():
    ...     print(f"{band!r}: {column}")
    'Red': difference_red
    'red': difference_red_2
    'B8A (NIR)': difference_b8a_nir
    'Höhe': difference_hohe
    '': difference_band
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


def changes_style(columns: Iterable[str]) -> str:
    """QGIS style of the layer `changes` with these columns on shapes and differences."""
    named = SHAPE_TITLES | KIND_TITLES
    titles = {column: named.get(column, column.replace("_", " ").capitalize()) for column in columns}
    aliases = [f'    <alias field="{column}" name="{title}"/>' for column, title in titles.items()]
    rows = [f"<tr><td>{title}</td><td>[% {_shown(column)} %]</td></tr>" for column, title in titles.items()]
    return Template(read_style("changes.qml")).substitute(
        difference_aliases="\n".join(aliases), difference_rows="\n".join(rows)
    )


def _shown(column: str) -> str:
    """Expression of a column in the map tip of the layer `changes`."""
    return f'"{column}"' if column in ("kind", "from_class", "to_class") else f'round("{column}", 2)'


def footprint_style() -> str:
    """QGIS style of the layer `footprint`, written beside `changes`."""
    return read_style("footprint.qml")
