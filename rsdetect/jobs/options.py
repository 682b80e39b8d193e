"""Options of a job, validated on creation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, TypedDict, TypeVar, Unpack

from rsdetect.backends.select import require_known
from rsdetect.detectors.base import Detector
from rsdetect.detectors.settings import as_settings, require_detector
from rsdetect.devices import require_device_name
from rsdetect.errors import InputError
from rsdetect.jsontypes import JsonValue
from rsdetect.memory import parse_memory
from rsdetect.paths import layer_from_folder
from rsdetect.percent import level_of
from rsdetect.regions.collected import TraceOptions
from rsdetect.regions.pieces import Difference
from rsdetect.scenes.pair import PairKeywords, PairOptions
from rsdetect.validation import integer, refuse_unknown, require_number, settle_case

MOST_OPENING_PX = 256
MinArea = float | Literal["auto"]
AUTO_MIN_PIXELS = 9  # of a region, with `min_area="auto"`
_MEASURES = {
    "min_area": "an area in m²",
    "fill_holes": "an area in m²",
    "min_width": "a distance in m",
    "merge_gap": "a distance in m",
    "simplify": "a distance in m",
}


class OutlineKeywords(TypedDict, total=False):
    """Keywords of `PolygonOptions` without the threshold, for typed calls."""

    min_area: MinArea
    opening: int
    fill_holes: float
    min_width: float
    merge_gap: float
    simplify: float
    shape_attributes: bool


class PolygonKeywords(OutlineKeywords, total=False):
    """Keywords of `PolygonOptions`, for typed calls."""

    threshold: float | None


@dataclass(frozen=True, kw_only=True)
class PolygonOptions:
    """Options of polygonizing the change raster, in metres and m2, or pixels if the pair has no CRS.

    They apply in the order of their fields, after the regions were joined across all tiles.
    """

    threshold: float | None = None  # change probability in (0, 1]; None = the detector's own
    opening: int = 0  # parts narrower than 2 opening + 1 pixels are taken off; 0 = none
    min_area: MinArea = "auto"  # smaller regions are dropped; auto = nine pixels
    fill_holes: float = 0.0  # holes of a smaller area are filled
    min_width: float = 0.0  # regions in which no circle of this diameter fits are dropped
    merge_gap: float = 0.0  # regions nearer than this are one feature
    simplify: float = 0.0  # tolerance; 0 = pixel outlines
    shape_attributes: bool = False  # columns on the shape of each region

    def __post_init__(self) -> None:
        measures = {name: what for name, what in _MEASURES.items() if getattr(self, name) != "auto"}
        for name in ("threshold", *measures):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name))
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InputError(f"`threshold` {self.threshold} is not a probability above 0 and up to 1.")
        for name, what in measures.items():
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"`{name}` {getattr(self, name)} is not {what}; give 0 or more.")
        if not isinstance(self.opening, int) or not 0 <= self.opening <= MOST_OPENING_PX:
            raise InputError(
                f"`opening` {self.opening} is not a number of pixels; give an integer from 0 to "
                f"{MOST_OPENING_PX}."
            )

    @property
    def outlines(self) -> OutlineKeywords:
        """Options of polygons without the threshold."""
        return OutlineKeywords(
            opening=self.opening,
            min_area=self.min_area,
            fill_holes=self.fill_holes,
            min_width=self.min_width,
            merge_gap=self.merge_gap,
            simplify=self.simplify,
            shape_attributes=self.shape_attributes,
        )

    @property
    def least(self) -> tuple[float, int]:
        """Minimum area and minimum pixels of polygons, of which one decides.

        >>> PolygonOptions().least, PolygonOptions(min_area=400.0).least
        ((0.0, 9), (400.0, 1))
        """
        return (0.0, AUTO_MIN_PIXELS) if self.min_area == "auto" else (self.min_area, 1)

    def trace(self, *, workers: int, difference: Difference | None = None) -> TraceOptions:
        """Options of tracing these polygons in `workers` threads, with the means of `difference`."""
        min_area, min_pixels = self.least
        return TraceOptions(
            opening=self.opening,
            min_area=min_area,
            min_pixels=min_pixels,
            fill_holes=self.fill_holes,
            min_width=self.min_width,
            merge_gap=self.merge_gap,
            simplify=self.simplify,
            workers=workers,
            difference=difference,
        )

    def level(self, own_threshold: float) -> int:
        """Lowest percent value that is change; the raster has integer percent.

        >>> PolygonOptions(threshold=0.3).level(0.5), PolygonOptions().level(0.425)
        (30, 43)
        """
        threshold = own_threshold if self.threshold is None else self.threshold
        return level_of(threshold)


class ScoreKeywords(TypedDict, total=False):
    """Keywords of `ScoreOptions`, for typed calls."""

    detector: str | Detector | None
    model: str | None
    detector_options: Mapping[str, JsonValue] | Sequence[str] | str
    tile_size: int | None
    device: str
    workers: int | None
    scheduler: str | None
    backend: str
    memory: str | None


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Options of scoring: the detector, and the division of the work."""

    # A name, a file as FILE.py:Class, or an object; None = the default, or the one that runs `model`.
    detector: str | Detector | None = None
    model: str | None = None  # path or name of a model file; None = the detector's default
    # Parameters of the detector as NAME=VALUE; a mapping or a text with commas is accepted.
    detector_options: tuple[str, ...] = ()
    tile_size: int | None = None  # edge of a tile in pixels, does not affect the result; None = by memory
    device: str = "auto"  # auto, cpu, cuda, cuda:i
    workers: int | None = None  # tiles in flight; None = one per core
    scheduler: str | None = None  # address of a running Dask scheduler; None = threads here
    backend: str = "auto"  # runtime of a network: auto, torch, openvino, onnx
    memory: str | None = None  # memory of the job, like "2GB"; None = a share of free memory

    def __post_init__(self) -> None:
        settle_case(self, "backend", "device")
        require_known(self.backend)
        require_detector(self.detector)
        for name in ("tile_size", "workers"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name), integer)
        require_device_name(self.device)  # unused too
        object.__setattr__(self, "detector_options", as_settings(self.detector_options))
        if self.memory is not None:
            parse_memory(self.memory)
        if self.tile_size is not None and not 64 <= self.tile_size <= 16384:
            raise InputError(f"`tile_size` {self.tile_size} is out of range; choose 64 to 16384 pixels.")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"`workers` {self.workers} is less than 1; give 1 or more.")


class RunKeywords(TypedDict, total=False):
    """Keywords of `RunOptions`, for typed calls."""

    overwrite: bool
    resume: bool
    quiet: bool
    verify: bool
    qgis_project: bool
    report: bool
    kinds: bool
    zones: str | Path | None


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run: existing results, and progress."""

    overwrite: bool = False  # replace the outputs of an earlier run
    resume: bool = True  # resume from the tiles of an interrupted run
    quiet: bool = False  # no progress
    verify: bool = False  # verify the checksums or lengths of all blocks of the scenes first
    qgis_project: bool = True  # a QGIS project beside the results and in the GeoPackage
    report: bool = True  # a report page beside the results
    kinds: bool = False  # the kinds of change as second band of the raster
    zones: str | Path | None = None  # vector file whose polygons get the change in each, or FILE:LAYER

    def __post_init__(self) -> None:
        if self.zones is None:
            return
        if not isinstance(self.zones, str | Path):
            raise InputError(f"`zones` takes a path, and got {type(self.zones).__name__}.")
        object.__setattr__(self, "zones", layer_from_folder(str(self.zones), Path.cwd()))


class ScoringKeywords(PairKeywords, ScoreKeywords, total=False):
    """Keywords of `score`."""


class DetectKeywords(ScoringKeywords, PolygonKeywords, RunKeywords, total=False):
    """Keywords of `detect`."""


_Group = TypeVar("_Group")


@dataclass(frozen=True, kw_only=True)
class DetectOptions:
    """All options of `detect`."""

    pair: PairOptions = field(default_factory=PairOptions)
    score: ScoreOptions = field(default_factory=ScoreOptions)
    polygons: PolygonOptions = field(default_factory=PolygonOptions)
    run: RunOptions = field(default_factory=RunOptions)

    @classmethod
    def from_keywords(cls, **keywords: Unpack[DetectKeywords]) -> DetectOptions:
        """Group flat keywords into options.

        >>> DetectOptions.from_keywords(min_area=100, detector="cva").polygons.min_area
        100
        """
        refuse_unknown(keywords, DetectKeywords)

        def group(kind: Callable[..., _Group]) -> _Group:
            names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
            return kind(**{name: value for name, value in keywords.items() if name in names})

        return cls(
            pair=group(PairOptions),
            score=group(ScoreOptions),
            polygons=group(PolygonOptions),
            run=group(RunOptions),
        )
