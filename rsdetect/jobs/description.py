"""Description of a detection job in its record."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rsdetect.checks.report import CheckReport
from rsdetect.detectors import Detector
from rsdetect.detectors.base import State
from rsdetect.jobs.options import DetectOptions
from rsdetect.jobs.plan import Job
from rsdetect.jobs.polygons import PolygonRequest
from rsdetect.memory import MIB
from rsdetect.paths import split_layer
from rsdetect.scenes.pair import PairOptions
from rsdetect.schema import RUN


def describe_job(
    job: Job, options: DetectOptions, asked: PolygonRequest, report: CheckReport, provenance: State
) -> dict[str, Any]:
    """Options, bands, detector, polygons and check of a detect job, for its record."""
    detector = options.score.detector
    if isinstance(detector, Detector):  # what it is, `provenance` says
        options = replace(options, score=replace(options.score, detector=detector.name))
    return {
        "rsdetect": "run",
        "schema": RUN,
        "options": asdict(options) | {"pair": asdict(_with_full_paths(options.pair))},
        "bands": list(job.pair.bands),
        "normalisation": asdict(job.pair.normalisation),
        "detector": provenance,
        "land_classes": None if job.land is None else job.land.as_record(),
        **asked.as_record(),
        "check": report.as_json(),
    }


def describe_plan(job: Job) -> dict[str, Any]:
    """Tiles and memory of a detect job, for its record."""
    return {
        "tile_shape_px": list(job.plan.tile_shape),
        "halo_px": job.plan.halo,
        "workers": job.workers,
        "memory_mib": {part: round(size / MIB) for part, size in asdict(job.memory).items()},
    }


def _with_full_paths(options: PairOptions) -> PairOptions:
    """Options of a detect job with full paths, so that `vectorize` finds files from any folder."""

    def full(path: str) -> str:
        return str(Path(path).absolute()) if path and Path(path).exists() else path

    return replace(
        options,
        masks=tuple(full(path) for path in options.masks),
        aoi=_full_aoi(options.aoi) if isinstance(options.aoi, str) else options.aoi,
    )


def _full_aoi(text: str) -> str:
    """Area of interest of a detect job, FILE or FILE:LAYER, with its full path."""
    path, layer = split_layer(text)
    if not Path(path).exists():
        return text
    return str(Path(path).absolute()) + ("" if layer is None else f":{layer}")
