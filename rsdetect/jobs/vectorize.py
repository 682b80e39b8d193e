"""Polygons again, from the raster of a finished run, without scoring."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Unpack

import rasterio

from rsdetect.checks.register import Registration
from rsdetect.checks.settle import open_settled
from rsdetect.errors import InputError, ReadError, SourceUnavailable
from rsdetect.files import remove_folder
from rsdetect.grid import Grid
from rsdetect.jobs.inputs import refuse_inputs
from rsdetect.jobs.kinds_band import add_kinds, covered_pixels, has_kinds
from rsdetect.jobs.options import OutlineKeywords, RunOptions
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.polygons import PolygonRequest, polygon_options_of, write_polygons
from rsdetect.jobs.qgis_project import write_qgis_project
from rsdetect.jobs.record import describe_input, read_record, reading_record, write_record
from rsdetect.jobs.report.write import report_of_scenes, try_report
from rsdetect.jobs.zones import Zones, digest_of, zones_of
from rsdetect.kinds.rules import LandRules
from rsdetect.scenes.band_files import Known
from rsdetect.scenes.bands import WantedBands
from rsdetect.scenes.handles import with_gdal_environment
from rsdetect.scenes.licences import licence_of
from rsdetect.scenes.normalisation import PairNormalisation
from rsdetect.scenes.pair import Pair, PairOptions
from rsdetect.scenes.quality import MaskMeaning
from rsdetect.scenes.source import SceneLike
from rsdetect.scenes.stacking import stack_files
from rsdetect.schema import RUN
from rsdetect.scoring.raster import ProbabilityRaster, write_raster_style
from rsdetect.validation import refuse_unknown

_log = logging.getLogger(__name__)

# A block of the raster is unpacked once. Strips of the scenes are shared by all that changed along them.
_CACHE_BYTES, _CACHE_BYTES_WITH_SCENES = 16 * 2**20, 256 * 2**20

_REPLACED = (
    Outputs.RASTER,
    Outputs.RASTER_NAMES,
    Outputs.RASTER_STYLE,
    Outputs.POLYGONS,
    Outputs.PROJECT,
    Outputs.ZONES,
    Outputs.PAGE,
    Outputs.RECORD,
)
_WITHOUT_DIFFERENCES = "the polygons have no columns for the difference of the bands"


def read_run(folder: Path) -> dict[str, Any]:
    """Read the record of a finished run to vectorize.

    Raises
    ------
    InputError
        The folder has none, or one of a newer version.
    JobInterrupted
        A run was stopped while it published its results here, and this cannot be completed.
    """
    Outputs.settle(folder)
    try:
        return read_record(folder / Outputs.RECORD)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{folder} holds no finished run ({Outputs.RECORD}: {why}).") from error


def vectorize_run(
    folder: Path,
    *,
    threshold: float | Literal["auto"] | None = None,
    **outlines: Unpack[OutlineKeywords],
) -> dict[str, Any]:
    """Vectorize a finished run again: replace `changes.gpkg` and update the record.

    The differences of the bands are read from the scenes; if these are missing or have changed, the columns
    are omitted.

    Parameters
    ----------
    threshold
        "auto" = the detector's own; None = as in the record.
    **outlines
        The other fields of `PolygonOptions`; those that are not given stay as in the record.

    Returns
    -------
    dict
        The new record.
    """
    record = read_run(folder)
    detector, check = record["detector"], record["check"]
    refuse_unknown(outlines, OutlineKeywords)
    with reading_record(folder):
        options = polygon_options_of(record)
        land = LandRules.of_record(record.get("land_classes"))
    options = replace(options, **outlines)
    if threshold is not None:
        options = replace(options, threshold=detector["threshold"] if threshold == "auto" else threshold)
    if not (folder / Outputs.RASTER).exists():
        raise InputError(f"{folder} holds no {Outputs.RASTER}; run detect again.")
    dates = check["before"]["date"], check["after"]["date"]
    grid = ProbabilityRaster(folder / Outputs.RASTER).grid
    asked = PolygonRequest.of(options, detector, dates, grid, land)
    with Outputs.hold(folder) as outputs:
        work = outputs.work_folder("vectorize", resume=False, alone=False)
        try:
            results = outputs.results_folder(work)
            with reading_record(folder):
                pair, missing = open_scored(record)
                licence = "" if pair is None else licence_of(pair)
                asked = asked.of_run(record["fingerprint"], record["inputs"], licence)
            if missing:
                _log.warning(f"{_WITHOUT_DIFFERENCES}: {missing}")
            if pair is not None:
                aoi = record["options"]["pair"]["aoi"]
                read = (*pair.local_files, *([aoi] if isinstance(aoi, str) else []))
                refuse_inputs(folder, read, _REPLACED)
            wanted = record["options"].get("run", {}).get("qgis_project", True)
            write_raster_style(results / Outputs.RASTER_STYLE, asked.level)
            raster, polygons = folder / Outputs.RASTER, results / Outputs.POLYGONS
            kinds = has_kinds(raster)
            project = partial(
                write_qgis_project,
                out=folder,
                pair=pair,
                described=asked.description,
                wanted=wanted,
                kinds=kinds,
            )
            with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES if pair is None else _CACHE_BYTES_WITH_SCENES):
                zones = _zones(record, grid)
                counts = write_polygons(raster, polygons, asked, pair, finish=project, zones=zones)
                if kinds:
                    target = results / Outputs.RASTER
                    add_kinds(raster, target, polygons, covered_pixels(options, counts))
            if pair is not None:
                pair.require_unchanged()
            record |= {"schema": RUN, **asked.as_record(), **digest_of(zones)}
            record["counts"] |= counts
            if (folder / Outputs.PAGE).exists():
                _write_report(folder, results, record, pair, missing)
            write_record(results / Outputs.RECORD, record)
            outputs.publish(work)
        finally:
            remove_folder(work)
    return record


def _write_report(
    folder: Path, results: Path, record: dict[str, Any], pair: Pair | None, missing: str
) -> None:
    """Write the report page of a run that is vectorized again into `results`."""
    raster, polygons = folder / Outputs.RASTER, results / Outputs.POLYGONS
    try_report(results / Outputs.PAGE, lambda: report_of_scenes(raster, polygons, record, pair, missing))


def _zones(record: dict[str, Any], grid: Grid) -> Zones | None:
    """The zones of a run to vectorize; none, with a warning, if their file is gone."""
    try:
        return zones_of(RunOptions(zones=record["options"].get("run", {}).get("zones")), grid)
    except (InputError, SourceUnavailable) as error:
        _log.warning(f"the zones are left out: {error}")
        return None


def _scene(described: dict[str, Any]) -> SceneLike:
    """Scene of a run to vectorize, from its description in the record."""
    if "bands" not in described:
        return str(described["path"])
    mask = described["mask"]
    meaning = mask and MaskMeaning(tuple(mask["values"]), tuple(mask["bits"]))
    known = Known(name=described["path"], mask=(mask["path"], meaning) if mask else None)
    return stack_files({name: file["path"] for name, file in described["bands"].items()}, known)


@with_gdal_environment
def open_scored(record: dict[str, Any]) -> tuple[Pair | None, str]:
    """Open the scored pair of a finished run again; None, and why, if a scene is missing or has changed."""
    detector = record["detector"]
    wanted = detector.get("bands")
    inputs = record["inputs"]
    arrays = [one["path"] for one in inputs.values() if "token" in one]
    if arrays:
        return None, f"{' and '.join(arrays)} came from memory, not from a file, and cannot be read again."
    try:
        pair = open_settled(
            _scene(inputs["before"]),
            _scene(inputs["after"]),
            PairOptions(**record["options"]["pair"]),
            wanted=WantedBands(tuple(wanted), detector["bands_required"]) if wanted else None,
        )
        found = {date: describe_input(getattr(pair, date), pair) for date in ("before", "after")}
    except (InputError, ReadError, SourceUnavailable) as error:
        return None, str(error)
    if found != inputs:
        other = next(date for date in found if found[date] != inputs[date])
        return None, f"{inputs[other]['path']} has changed since it was scored."
    pair = replace(pair, normalisation=PairNormalisation.of_record(record.get("normalisation")))
    registration = record.get("registration")
    return (pair if registration is None else Registration.of_record(registration).apply(pair)), ""
