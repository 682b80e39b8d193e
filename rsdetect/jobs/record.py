"""Record of a run, and the fingerprint that identifies an interrupted one."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, TypedDict

from rsdetect.errors import InputError
from rsdetect.files import as_json, as_read_back, hash_json, write_text
from rsdetect.grid import Window
from rsdetect.installed import version
from rsdetect.kinds.columns import KindCounts
from rsdetect.memory import peak_memory
from rsdetect.progress import show_stage
from rsdetect.reading import refuse_endless
from rsdetect.regions.generalise import PolygonStep
from rsdetect.scenes.band_files import BandFiles, absolute_path, archive_of, without_query
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import MaskFile, Scene, read_scene
from rsdetect.schema import RUN, require_known
from rsdetect.secrets import without_signatures
from rsdetect.tiles import TilePlan

_PACKAGES = ("rsdetect", "numpy", "scipy", "dask", "rasterio", "torch", "shapely", "geopandas")
_MISSING = object()
_NUMBER = (int, float)
# What other commands read of a record: types, or what is inside.
_SHAPE: dict[str, Any] = {
    "rsdetect": str,
    "inputs": {date: {"path": str} for date in ("before", "after")},
    "options": {"pair": {}},
    "detector": {"threshold": _NUMBER},
    "threshold": _NUMBER,
    "min_area": _NUMBER,
    "simplify": _NUMBER,
    "check": {date: {"date": (str, type(None))} for date in ("before", "after")},
    "counts": {},
}
_HEADER_BYTES = 65_536
_STAGES = {  # as shown to people
    "check": "1/5 checking the pair",
    "fit": "2/5 fitting the detector",
    "raster": "4/5 writing the raster",
    "polygons": "5/5 tracing polygons",
    "report": "5/5 writing the report page",
}
_SAMPLE_EDGE = 64  # pixels
_SAMPLES = 3  # in each direction


class Counts(TypedDict):
    """`counts` of a record."""

    tiles: int  # with pixels to score
    tiles_scored_in_this_run: int
    pixels: int  # of the grid that both scenes cover
    regions: int
    changed_pixels: int  # in these regions
    changed_area_m2: float | None  # None = the scenes have no CRS
    observed_pixels: int
    kinds: dict[str, KindCounts]  # changes by kind, those with most pixels first
    polygon_steps: list[PolygonStep]  # from the pixels above the threshold to the regions, in order


class CheckRecord(TypedDict):
    """`check` of a record: the check report."""

    before: dict[str, object]
    after: dict[str, object]
    overlap: dict[str, object]
    valid_share: float
    before_valid_share: float
    after_valid_share: float
    statistics_cover: float
    bands: list[dict[str, object]]
    shift: dict[str, object] | None
    warnings: list[str]
    doubts: list[str]  # names of those that were accepted; `warnings` has their sentences


class Record(TypedDict):
    """The content of a run.json; docs/outputs.md describes it."""

    rsdetect: str
    schema: int
    inputs: dict[str, dict[str, object]]  # "before" and "after"
    periods: dict[str, object] | None  # sources of composed scenes; None = the scenes were given
    options: dict[str, dict[str, object]]  # by group
    bands: list[str]
    registration: dict[str, object] | None  # the displacement of after; None = not requested
    normalisation: dict[str, object]  # method, and the map of the values of after
    detector: dict[str, object]
    land_classes: dict[str, object] | None  # rules of land classes; None = the bands give none
    threshold: float
    level_percent: int
    opening: int
    min_area: float
    min_pixels: int | None  # of a region, where min_area is auto; missing before 0.5.0
    fill_holes: float
    min_width: float
    merge_gap: float
    simplify: float
    shape_attributes: bool
    check: CheckRecord
    fingerprint: str
    zones_sha256: str | None  # of their polygons and columns; None = without zones
    plan: dict[str, object]
    counts: Counts
    warnings: list[str]  # of the check, and of what came out
    seconds: dict[str, float]  # by stage
    machine: dict[str, object]
    finished: str  # ISO time


class Stopwatch:
    """Seconds spent in each stage of a job."""

    def __init__(self, *, quiet: bool = True) -> None:
        """Start without any stage; if not `quiet`, stages are shown on the terminal."""
        self.seconds: dict[str, float] = {}
        self._quiet = quiet

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure the time of a stage of the job for the record."""
        started = time.perf_counter()
        # Scoring has a bar of its own.
        shown = nullcontext() if name == "score" else show_stage(_STAGES[name], quiet=self._quiet)
        try:
            with shown:
                yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)


def describe_input(scene: Scene, pair: Pair) -> dict[str, Any]:
    """Record of an input scene: path, size, time stamp, and checksums of its header and of some pixels.

    The sample is 3 x 3 windows of 64 x 64 pixels spread over the pair's grid. A scene that is no file has the
    token of its source instead of size and time stamp.
    """
    size, modified_ns = scene.version or (None, None)
    modified = datetime.fromtimestamp(modified_ns / 1e9, UTC).isoformat() if modified_ns else None
    is_file = scene.version is not None and scene.files is None
    return {
        "path": absolute_path(scene.path) if is_file else scene.path,
        "bytes": size,
        "modified": modified,
        "header_sha256": _header_hash(scene.path) if is_file else None,
        **({"bands": _describe_files(scene.files)} if scene.files else {}),
        "sample_sha256": _sample_hash(scene, pair),
        "mask": _describe_mask(scene.mask),
        **({} if scene.source is None else {"token": scene.source.token()}),
    }


def fingerprint(inputs: dict[str, Any], pair: Pair, scorer: dict[str, Any], plan: TilePlan | None) -> str:
    """Fingerprint of a run's record: 16 hexadecimal digits that change whenever the stored tiles could.

    Without a `plan`, which is then in the work store, the tiles may have any size.
    """
    inputs = json.loads(without_signatures(json.dumps(inputs)))
    return hash_json(
        {
            "version": version("rsdetect"),
            "inputs": inputs,
            "pair": without_signatures(repr(pair)),
            "scorer": scorer,
            "plan": plan and [plan.tile_shape, plan.halo, plan.shape, plan.lead],
            **({"remote": pair.remote_states} if pair.remote_states else {}),
        },
        sort_keys=True,
    )


def describe_machine(device: str) -> dict[str, Any]:
    """Record of the machine: device, versions, peak memory of this process and finished children."""
    return {
        "device": device,
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in _PACKAGES},
        "peak_memory_mib": round(peak_memory() / 2**20, 1),
    }


def read_record(path: Path) -> dict[str, Any]:
    """Read a record `run.json`; ValueError if it is none, `NewerSchema` if a newer version wrote it."""
    refuse_endless(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    require_known(content, RUN, path)
    wrong = next(_misfits(content, _SHAPE), None)
    if wrong is not None:
        raise ValueError(f"{wrong} is missing or of another type")
    return content


@contextmanager
def reading_record(folder: Path) -> Iterator[None]:
    """Convert errors of a record's content, which people may have edited, to an `InputError`."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"the record in {folder} is damaged ({error!r}); run detect again.") from error


def _misfits(content: Any, shape: Any, place: str = "") -> Iterator[str]:
    """Places of a record whose type is not that of the shape."""
    if not isinstance(shape, dict):
        if not isinstance(content, shape) or isinstance(content, bool):
            yield place
        return
    if not isinstance(content, dict):
        yield place
        return
    for key, inner in shape.items():
        yield from _misfits(content.get(key, _MISSING), inner, f"{place}.{key}" if place else key)


def write_record(path: Path, content: dict[str, Any]) -> None:
    """Write a record as indented JSON."""
    write_text(path, as_json(content))


@cache
def _version(package: str) -> str | None:
    """Version of a package for the record; None if not installed, as torch may be for int8 jobs."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _header_hash(path: str) -> str:
    with Path(archive_of(path) or path).open("rb") as file:
        return hashlib.sha256(file.read(_HEADER_BYTES)).hexdigest()


def _sample_hash(scene: Scene, pair: Pair) -> str:
    digest = hashlib.sha256()
    height, width = pair.grid.shape
    for i in range(_SAMPLES):
        for j in range(_SAMPLES):
            row = i * max(height - _SAMPLE_EDGE, 0) // (_SAMPLES - 1)
            col = j * max(width - _SAMPLE_EDGE, 0) // (_SAMPLES - 1)
            window = Window(row, col, _SAMPLE_EDGE, _SAMPLE_EDGE)
            if not pair.intersects_aoi(window):
                continue  # nothing outside the area of interest is read
            values, valid = read_scene(scene, window)
            digest.update(values.tobytes())
            digest.update(valid.tobytes())
    return digest.hexdigest()


def _describe_files(files: BandFiles) -> dict[str, dict[str, Any]]:
    """Record of band files by band, in order."""
    found = {}
    for file in files.files:
        size, modified_ns = file.version or (None, None)
        found[file.name] = {"path": file.shown, "bytes": size, "modified_ns": modified_ns}
    return found


def _describe_mask(mask: MaskFile | None) -> dict[str, Any] | None:
    if mask is None:
        return None
    size, modified_ns = mask.version or (None, None)
    return {
        "path": _mask_path(mask),
        "bytes": size,
        "modified_ns": modified_ns,
        "values": list(mask.values),
        "bits": list(mask.bits),
        "kind": mask.kind,
    }


def _mask_path(mask: MaskFile) -> str:
    path = Path(mask.path)
    return str(path.absolute()) if path.exists() else without_query(mask.path)


def plain(content: dict[str, Any]) -> dict[str, Any]:
    """Record as read back from its file."""
    back: dict[str, Any] = as_read_back(content)
    return back
