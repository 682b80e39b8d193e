"""GeoPackage layers `changes` and `footprint` of a job, with styles that QGIS applies on opening.

The styles are stored in the table `layer_styles`, which QGIS reads; `rsdetect.geopackage.file` writes the
file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

import rsdetect
from rsdetect.geopackage.file import Layer, write_geopackage
from rsdetect.geopackage.metadata import LayerDescription
from rsdetect.geopackage.rows import Columns
from rsdetect.geopackage.styles import NamedStyle, read_style
from rsdetect.geopackage.styles.change_styles import DIFFERENCE, changes_styles
from rsdetect.regions.collected import Regions

CHANGES, FOOTPRINT = "changes", "footprint"
_LONGEST_NAME = 40  # maximum characters of a band's name in a column's name
_DECIMALS = {
    "area_m2": 4,
    "perimeter_m": 3,
    "length_m": 3,
    "width_m": 3,
    "orientation_deg": 2,
    "compactness": 4,
    "probability_mean": 4,
    "probability_max": 4,
    "kind_probability": 4,
    "from_probability": 4,
    "to_probability": 4,
}
_DIGITS = 6  # significant, of differences and magnitudes


@dataclass(frozen=True)
class ChangeDescription:
    """Description common to all changes of a GeoPackage."""

    before_date: str | None  # ISO 8601 day, "2021-06-30"; None = unknown
    after_date: str | None  # likewise
    detector: str  # name of the detector
    level: int = 50  # percent; the threshold
    before: str = ""  # name of the scene
    after: str = ""
    run: str = ""  # fingerprint of the run
    licence: str = ""  # terms of the scenes; "" = unknown

    @property
    def span(self) -> str:
        """Dates for titles, ", 2020-06-01 to 2021-06-30"; "" where one is unknown."""
        return f", {self.before_date} to {self.after_date}" if self.before_date and self.after_date else ""

    @property
    def raster_tags(self) -> dict[str, str]:
        """Metadata of the run's probability raster."""
        tags = {
            "TIFFTAG_IMAGEDESCRIPTION": f"Change probability in percent{self.span}",
            "TIFFTAG_SOFTWARE": f"rsdetect {rsdetect.__version__}",
            "TIFFTAG_COPYRIGHT": self.licence,
            "BEFORE": self.before,
            "BEFORE_DATE": self.before_date,
            "AFTER": self.after,
            "AFTER_DATE": self.after_date,
            "DETECTOR": self.detector,
            "RUN": self.run,
        }
        return {name: value for name, value in tags.items() if value}

    def layer(self, title: str, place: str, abstract: str) -> LayerDescription:
        """Metadata of a layer of the run."""
        history = [f"Made by rsdetect {rsdetect.__version__} with the detector {self.detector}."]
        history += [
            f"{role}: {name}{f', {day}' if day else ''}."
            for role, name, day in (
                ("Before", self.before, self.before_date),
                ("After", self.after, self.after_date),
            )
            if name
        ]
        return LayerDescription(
            f"{title}{self.span}{place}", abstract, self.run, tuple(history), self.licence
        )


def write_changes(
    path: Path,
    changes: Regions,
    footprint: Regions,
    crs: str | None,
    description: ChangeDescription,
    attributes: Columns | None = None,
    *,
    more: tuple[Layer, ...] = (),
    finish: Callable[[Path], None] | None = None,
) -> None:
    """Write the layers `changes` and `footprint` with default styles into a new GeoPackage at `path`.

    Parameters
    ----------
    crs
        WKT of the CRS of both; None = undefined.
    attributes
        Further columns of the changes, from their shapes and their detector.
    more
        Further layers in the same CRS.
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
    columns = rounded(columns)
    place = place_words(shapely.total_bounds(footprint.geometry), crs) if len(footprint) else ""
    styles = changes_styles(columns, columns["kind"].tolist() if "kind" in columns else (), description.level)
    described = description.layer(
        "Changes",
        place,
        f"Regions whose change probability is at least {description.level} %, by the detector "
        f"{description.detector}.",
    )
    kind = "MultiPolygon" if changes.is_merged else "Polygon"
    layers = (
        Layer(CHANGES, changes.geometry, columns, styles, kind, described),
        Layer(
            FOOTPRINT,
            footprint.geometry,
            rounded(observed),
            footprint_styles(),
            description=description.layer("Observed on both dates", place, _OBSERVED),
        ),
    )
    write_geopackage(path, (*layers, *more), crs, finish)


_OBSERVED = (
    "Ground that is valid on both dates and was compared. Where it has no polygon, no change was found."
)


def rounded(columns: Columns) -> Columns:
    """Columns with numbers rounded to what they mean, so that tables show 28.8 and not 28.800000000395812."""
    return {
        name: np.round(values, _DECIMALS[name])
        if name in _DECIMALS
        else _significant(values)
        if name == "magnitude" or name.startswith(DIFFERENCE)
        else values
        for name, values in columns.items()
    }


def _significant(values: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers rounded to six significant digits.

    >>> _significant(np.array([0.123456789, -1234.56789, 12345678.9, 0.0, np.nan])).tolist()
    [0.123457, -1234.57, 12345679.0, 0.0, nan]
    """
    plain = values.astype(np.float64)
    size = np.abs(plain, where=plain != 0, out=np.ones_like(plain))
    scale = 10.0 ** np.clip(_DIGITS - 1 - np.floor(np.log10(size)), 0, 20)
    return np.asarray(np.round(plain * scale) / scale)


def place_words(bounds: Sequence[float] | NDArray[np.float64], crs: str | None) -> str:
    """Centre of bounds for titles; "" without a CRS.

    >>> place_words((1e6, 6e6, 1.1e6, 6.2e6), "EPSG:3857")
    ', 47.96° N 9.43° E'
    """
    if crs is None:
        return ""
    west, south, east, north = bounds
    try:
        to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except pyproj.exceptions.ProjError:  # a CRS without a place on Earth
        return ""
    longitude, latitude = to_degrees.transform((west + east) / 2, (south + north) / 2)
    if not np.isfinite([longitude, latitude]).all():
        return ""
    return (
        f", {abs(latitude):.2f}° {'N' if latitude >= 0 else 'S'} "
        f"{abs(longitude):.2f}° {'E' if longitude >= 0 else 'W'}"
    )


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
        column, repeat = f"{DIFFERENCE}{plain}", 1
        while column in columns.values():
            repeat += 1
            column = f"{DIFFERENCE}{plain}_{repeat}"
        columns[band] = column
    return columns


def footprint_styles() -> tuple[NamedStyle, ...]:
    """QGIS style of the layer `footprint`, written beside `changes`."""
    return (NamedStyle(FOOTPRINT, read_style("footprint.qml")),)
