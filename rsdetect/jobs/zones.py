"""Zones of a job: polygons of a vector file with the change in each, as a layer and as a table."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import ProjError

from rsdetect.errors import InputError, NothingToCompare
from rsdetect.files import write_text
from rsdetect.geopackage.file import Layer
from rsdetect.geopackage.rows import Columns
from rsdetect.grid import Grid
from rsdetect.jobs.options import RunOptions
from rsdetect.paths import split_layer
from rsdetect.regions.zones import zone_shares
from rsdetect.scenes.reprojecting import only_polygons, reprojected
from rsdetect.scenes.vectors import read_polygons

ZONES = "zones"  # layer
_OWN = ("zone", "area_m2", "changed_area_m2", "changed_share", "observed_share", "regions", "fid", "geom")
_DECIMALS = {"area_m2": 4, "changed_area_m2": 4, "changed_share": 6, "observed_share": 6}
_MOST_NAMED = 10  # zones in a message


@dataclass(frozen=True)
class Zones:
    """Zones of a job, as read or in another CRS."""

    path: str
    crs: CRS | None
    numbers: NDArray[np.int64]  # (n,) of the features in the file, from 1
    geometry: NDArray[np.object_]  # (n,) valid polygons
    columns: Columns  # of the file
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Zones:
        """Zones of a job, from a vector file or FILE:LAYER.

        Raises
        ------
        InputError
            The file cannot be read, or has no polygon.
        """
        path, layer = split_layer(text)
        frame = read_polygons(path, "zones", **({} if layer is None else {"layer": layer}))
        if not hasattr(frame, "geometry"):
            raise InputError(f"{text} is a table without places; give polygons as `zones`.")
        given = frame.geometry.to_numpy()
        numbers = np.arange(1, 1 + len(given))
        there = ~shapely.is_missing(given)
        broken = there & ~shapely.is_valid(given)
        geometry = only_polygons(
            shapely.make_valid(shapely.force_2d(np.where(there, given, shapely.Polygon())))
        )
        kept = shapely.area(geometry) > 0
        if not kept.any():
            raise InputError(f"{text} has no polygon to take as a zone.")
        notes = (
            *_named(numbers[broken & kept], text, "not valid and were repaired"),
            *_named(numbers[~kept], text, "no polygon and are left out"),
        )
        crs = None if frame.crs is None else CRS(frame.crs)
        columns = _columns(frame.drop(columns=frame.geometry.name)[kept])
        return cls(text, crs, numbers[kept], geometry[kept], columns, notes)

    def placed(self, crs: str | None) -> Zones:
        """The zones of a job in the CRS of its results, as WKT.

        Raises
        ------
        InputError
            Only one of both has a CRS, or there is no way between them.
        """
        if crs is None and self.crs is None:
            return self
        if crs is None or self.crs is None:
            without, other = (self.path, "scenes") if self.crs is None else ("the pair", "zones")
            raise InputError(f"{without} names no CRS, and the {other} have one; zones cannot be placed.")
        target = CRS(crs)
        try:
            moved = reprojected(self.geometry, self.crs, target)
        except ProjError as error:
            raise InputError(
                f"{self.path} is in {self.crs.name}, from which there is no way to {target.name}."
            ) from error
        known = np.isfinite(shapely.bounds(moved)).all(axis=1)
        notes = (*self.notes, *_named(self.numbers[~known], self.path, "outside of the CRS and are left out"))
        geometry = only_polygons(shapely.make_valid(moved[known]))
        columns = {name: values[known] for name, values in self.columns.items()}
        return Zones(self.path, target, self.numbers[known], geometry, columns, notes)

    def on_grid(self, grid: Grid) -> Zones:
        """The zones on the grid of a pair; those outside of it are noted.

        Raises
        ------
        NothingToCompare
            All lie outside.
        """
        placed = self.placed(grid.crs)
        outside = ~shapely.intersects(placed.geometry, shapely.box(*grid.bounds))
        if outside.all():
            raise NothingToCompare(f"the zones in {self.path} lie outside what both scenes cover.")
        return placed.with_outside(outside)

    def among(self, footprint: NDArray[np.object_], crs: str) -> Zones:
        """The zones in the CRS of a footprint; those outside of its extent are noted."""
        placed = self.placed(crs)
        extent = shapely.box(*shapely.total_bounds(footprint))
        return placed.with_outside(~shapely.intersects(placed.geometry, extent))

    def with_outside(self, outside: NDArray[np.bool_]) -> Zones:
        """The zones with a note on those of a mask that lie outside of the results."""
        told = _named(self.numbers[outside], self.path, "outside what was compared")
        return Zones(self.path, self.crs, self.numbers, self.geometry, self.columns, (*self.notes, *told))

    def layer(self, changes: NDArray[np.object_], footprint: NDArray[np.object_], crs: str | None) -> Layer:
        """The zones as a layer with the change in each, from outlines of changes and of observed ground."""
        shares = vars(zone_shares(self.geometry, _valid(changes), _valid(footprint), crs))
        found = {name: np.round(v, _DECIMALS[name]) if name in _DECIMALS else v for name, v in shares.items()}
        whole = np.array(
            [shapely.multipolygons(shapely.get_parts(each)) for each in self.geometry], dtype=object
        )
        columns = {"zone": self.numbers, **found, **self.columns}
        return Layer(ZONES, whole, columns, (), geometry_type="MultiPolygon")


def zones_of(options: RunOptions, grid: Grid) -> Zones | None:
    """The zones of a job on the grid of its pair; None = none are given.

    Raises
    ------
    InputError
        They cannot be read, or lie outside.
    """
    return None if options.zones is None else Zones.read(str(options.zones)).on_grid(grid)


def digest_of(zones: Zones | None) -> dict[str, str | None]:
    """Checksum of the content of zones on their grid, for the record of a job: their file may be edited."""
    if zones is None:
        return {"zones_sha256": None}
    columns = {name: values.tolist() for name, values in zones.columns.items()}
    content = repr((zones.numbers.tolist(), columns)).encode() + b"".join(shapely.to_wkb(zones.geometry))
    return {"zones_sha256": hashlib.sha256(content).hexdigest()}


def write_table(path: Path, layer: Layer) -> None:
    """Write the columns of a layer of zones as a CSV; what is unknown is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(layer.columns)
    for row in zip(*(values.tolist() for values in layer.columns.values()), strict=True):
        writer.writerow("" if each is None or each != each else each for each in row)
    write_text(path, text.getvalue())


def _valid(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Polygons to intersect; simplified outlines may cross themselves."""
    found = polygons.copy()
    broken = ~shapely.is_valid(found)
    found[broken] = shapely.make_valid(found[broken])
    return found


def _named(numbers: NDArray[np.int64], path: str, what: str) -> Sequence[str]:
    """A sentence that names zones of a file, if there are any."""
    if not numbers.size:
        return ()
    listed = ", ".join(map(str, numbers[:_MOST_NAMED]))
    more = f" and {numbers.size - _MOST_NAMED} more" if numbers.size > _MOST_NAMED else ""
    return (f"{path} has zones that are {what}: {listed}{more}.",)


def _columns(frame: Any) -> Columns:
    """Columns of a file of zones: numbers, and all else as text; names that are taken get another one."""
    found: Columns = {}
    for name in frame.columns:
        plain = re.sub(r"[^\w .-]", "_", str(name))
        while plain.lower() in _OWN or plain.lower() in {each.lower() for each in found}:
            plain += "_"
        values = frame[name].to_numpy()
        if values.dtype.kind in "iu":
            found[plain] = values.astype(np.int64)
        elif values.dtype.kind == "f":
            found[plain] = values.astype(np.float64)
        else:
            texts = [
                None if missing else str(each)
                for each, missing in zip(values, frame[name].isna(), strict=True)
            ]
            found[plain] = np.array(texts, dtype=object)
    return found
