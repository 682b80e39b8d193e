"""Polygons of a job: from the finished raster to the GeoPackage, for `detect` and `vectorize`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rsdetect.detectors.direction import Direction, direction_columns
from rsdetect.devices import usable_cores
from rsdetect.errors import JobInterrupted, ResultMismatch
from rsdetect.geopackage.changes import ChangeDescription, write_changes
from rsdetect.geopackage.file import Layer
from rsdetect.geopackage.rows import Columns
from rsdetect.grid import Grid, Window
from rsdetect.jobs.options import AUTO_MIN_PIXELS, OutlineKeywords, PolygonOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.zones import Zones, write_table
from rsdetect.kinds.columns import kind_columns, kind_summary
from rsdetect.kinds.named import named_kinds
from rsdetect.kinds.rules import LandRules
from rsdetect.paths import file_name
from rsdetect.regions.areas import central_pixel_m2
from rsdetect.regions.collected import Regions
from rsdetect.regions.pieces import Layers
from rsdetect.regions.shape import shapes_of
from rsdetect.regions.trace import trace_changes_and_footprint
from rsdetect.scenes.handles import one_line
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.scoring.differences import StoredDifferences
from rsdetect.scoring.raster import ProbabilityRaster
from rsdetect.scoring.tally import RasterTally
from rsdetect.secrets import without_secrets
from rsdetect.tiles import TileWindow


@dataclass(frozen=True, kw_only=True)
class PolygonRequest:
    """Request for the polygons of a job: thresholds, and attributes of the job."""

    threshold: float  # change probability in (0, 1]
    level: int  # percent; the threshold as a value of the raster
    options: PolygonOptions
    min_area: float  # in m2, or pixels without a CRS
    min_pixels: int | None  # pixels that decide instead of the area; None = the area decides
    description: ChangeDescription
    direction: Direction | None = None  # of the scorer
    land: LandRules | None = None  # of the pair; None = kinds of change are unknown

    @classmethod
    def of(
        cls,
        options: PolygonOptions,
        detector: dict[str, Any],
        dates: tuple[str | None, str | None],
        grid: Grid,
        land: LandRules | None = None,
    ) -> PolygonRequest:
        """Polygon request from `options` for a pair of these dates.

        Parameters
        ----------
        detector
            The provenance of its scorer: name, and own threshold.
        grid
            The pixels of the raster. Their area varies, so that a minimum area of `auto` counts them.
        land
            Rules by which the kinds of change are named.
        """
        own = detector["threshold"]
        level = options.level(own)
        min_area, min_pixels = options.min_area, None
        if min_area == "auto":
            min_pixels = AUTO_MIN_PIXELS
            min_area = float(f"{min_pixels * central_pixel_m2(grid):.6g}")
        return cls(
            threshold=own if options.threshold is None else options.threshold,
            level=level,
            options=options,
            min_area=min_area,
            min_pixels=min_pixels,
            description=ChangeDescription(*dates, detector["name"], level),
            direction=Direction.of_record(detector),
            land=land,
        )

    def of_run(self, run: str, inputs: Mapping[str, Any], licence: str = "") -> PolygonRequest:
        """The same request for the metadata of a run: its fingerprint, and `inputs` as in its record."""
        before, after = (
            file_name(without_secrets(str(inputs[date]["path"]))) for date in ("before", "after")
        )
        described = replace(self.description, before=before, after=after, run=run, licence=licence)
        return replace(self, description=described)

    def as_record(self) -> dict[str, Any]:
        """Keys of the polygon request in the record of a run."""
        return {
            "threshold": self.threshold,
            "level_percent": self.level,
            **self.options.outlines,
            "min_area": self.min_area,
            "min_pixels": self.min_pixels,
        }


def polygon_options_of(record: Mapping[str, Any]) -> PolygonOptions:
    """Options of the polygons in a record of a run; those it does not know have their defaults."""
    known = {name: record[name] for name in ("threshold", *OutlineKeywords.__annotations__) if name in record}
    if record.get("min_pixels") is not None:
        known["min_area"] = "auto"
    else:
        known.setdefault("min_area", 0.0)
    return PolygonOptions(**known)


def write_polygons(
    raster_path: Path,
    path: Path,
    asked: PolygonRequest,
    pair: Pair | None,
    kept: StoredDifferences | None = None,
    *,
    scored: RasterTally | None = None,
    finish: Callable[[Path], None] | None = None,
    zones: Zones | None = None,
) -> dict[str, Any]:
    """Trace a raster and write its regions and footprint as the GeoPackage `path`.

    Parameters
    ----------
    pair
        The scenes, for the difference of each band over each region; None = unavailable, without those
        columns.
    kept
        Differences stored while the pair was scored; the scenes are read where they are missing.
    scored
        Tally of the tiles of the raster; None = it was scored by an earlier run.
    finish
        As of `write_geopackage`.
    zones
        Zones on the grid of the raster, for a layer and a table; without them the table is an empty file.

    Returns
    -------
    dict
        Counts for the record: regions, changed and observed pixels, changed area.

    Raises
    ------
    ResultMismatch
        The regions do not hold the pixels that were scored.
    """
    raster = ProbabilityRaster(raster_path)
    layer_names = () if pair is None else _layer_names(pair.bands, asked.direction)
    options = asked.options.trace(
        # Reading scenes scales with threads; tracing alone does not, because of the interpreter lock.
        workers=1 if pair is None else usable_cores(),
        difference=None if pair is None else partial(_layers, pair, kept, asked),
    )
    changes, footprint = trace_changes_and_footprint(raster, asked.level, options)
    _require_all_pixels(changes, footprint, scored)
    if pair is not None and not changes.differences:  # no region, but the same columns
        changes = replace(changes, differences={name: np.empty(0) for name in layer_names})
    changes, attributes = _with_direction(changes, asked.direction)
    if asked.options.shape_attributes:
        attributes = vars(shapes_of(changes.geometry, raster.grid)) | attributes
    kinds = kind_columns(changes.codes, changes.pixels, named=named_kinds(asked.land))
    attributes = attributes | kinds
    for leftover in path.parent.glob(path.name + "*"):  # of a killed run; layers would be appended
        leftover.unlink()
    more = _zones(zones, changes, footprint, raster.grid.crs, path.with_name(Outputs.ZONES))
    try:
        write_changes(
            path, changes, footprint, raster.grid.crs, asked.description, attributes, more=more, finish=finish
        )
    except sqlite3.Error as error:
        raise JobInterrupted(
            f"{path.name} could not be written: {one_line(error)}; fix this and run the same "
            "command to resume."
        ) from error
    area = float(changes.area_m2.sum())
    return {
        "regions": len(changes),
        "changed_pixels": int(changes.pixels.sum()),
        "changed_area_m2": None if np.isnan(area) else area,
        "observed_pixels": int(footprint.pixels.sum()),
        "kinds": kind_summary(kinds, changes.area_m2, changes.pixels),
        "polygon_steps": list(changes.steps),
    }


def _zones(
    zones: Zones | None, changes: Regions, footprint: Regions, crs: str | None, table: Path
) -> tuple[Layer, ...]:
    """The layer of zones beside the polygons, and their table."""
    if zones is None:
        table.touch()
        return ()
    layer = zones.layer(changes.geometry, footprint.geometry, crs)
    write_table(table, layer)
    return (layer,)


def _layers(pair: Pair, kept: StoredDifferences | None, asked: PolygonRequest, window: Window) -> Layers:
    """Layers that polygons average in `window`, NaN where not valid, and the codes of land classes."""
    codes = None if asked.land is None else np.zeros(window.shape, np.uint8)
    known = None if kept is None else kept.read(window, codes)
    if known is None:
        tile = read_tile(pair, TileWindow(0, 0, window, window))
        layers = tile.after - tile.before
        if asked.direction is not None:
            layers = np.concatenate([layers, asked.direction.vectors(tile.before, tile.after)])
        known = np.where(tile.valid, layers, np.float32(np.nan))
        if asked.land is not None:
            flat = (date.reshape(len(date), -1) for date in (tile.before, tile.after))
            codes = asked.land.codes(*flat).reshape(window.shape)
    return Layers(_layer_names(pair.bands, asked.direction), known, codes)


def _layer_names(bands: tuple[str, ...], direction: Direction | None) -> tuple[str, ...]:
    """Names of the layers that polygons average: bands, and the components of a direction."""
    return (
        bands
        if direction is None
        else (*bands, *(f"component {i} of the direction" for i in range(len(bands))))
    )


def _with_direction(changes: Regions, direction: Direction | None) -> tuple[Regions, Columns]:
    """Split the layers of polygons: differences of the bands, and the columns of a direction."""
    if direction is None or not changes.differences:
        return changes, {}
    names = list(changes.differences)
    bands, components = names[: len(names) // 2], names[len(names) // 2 :]
    vectors = np.stack([changes.differences[name] for name in components])
    kept = {band: changes.differences[band] for band in bands}
    return replace(changes, differences=kept), direction_columns(vectors)


def _require_all_pixels(changes: Regions, footprint: Regions, scored: RasterTally | None) -> None:
    """Compare the pixels in the regions with those of the raster, and with those that were scored."""
    inside = int(changes.pixels.sum())
    taken = -sum(step["pixels"] for step in changes.steps if step["step"] == "min_width")
    _require_equal(
        "in regions, with those under `min_area` and those that other steps took",
        inside + changes.left_out.pixels + changes.opened + taken,
        changes.counted,
    )
    if scored is None:
        return
    _require_equal("in the footprint", int(footprint.pixels.sum()), scored.observed, "were scored")
    if footprint.percent != scored.percent:
        raise ResultMismatch(
            f"polygons: the percents of the raster sum up to {footprint.percent:,}, and those that were "
            f"scored to {scored.percent:,}; run the same command again."
        )


def _require_equal(what: str, found: int, expected: int, where: str = "are in the raster") -> None:
    if found != expected:
        raise ResultMismatch(
            f"polygons: {found:,} pixels {what}, and {expected:,} {where}; run the same command again."
        )
