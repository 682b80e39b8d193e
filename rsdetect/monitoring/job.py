"""Schema of a monitoring job: the sections of a job file as pydantic models."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rsdetect.errors import InputError
from rsdetect.jobs.options import MOST_OPENING_PX
from rsdetect.memory import parse_memory
from rsdetect.paths import layer_from_folder
from rsdetect.scenes.quality import MaskKind


class Section(BaseModel):
    """Base of the sections of a job file: frozen, and without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FolderSource(Section):
    """Job section for a folder of scenes whose file names contain the date."""

    kind: Literal["folder"] = Field(
        default="folder", description="A folder of files whose names contain the date."
    )
    path: str = Field(description="The folder; relative paths start at the job file.")
    pattern: str = Field(description="Pattern of the scenes' file names, e.g. {date:%Y%m%d}_*.tif.")
    mask_pattern: str | None = Field(
        default=None, description="Pattern of the masks' file names, e.g. {date:%Y%m%d}_mask.tif."
    )
    bands: tuple[str, ...] = Field(
        default=(),
        description="One file per band: the values of {band} in the pattern, in the order of the bands.",
    )


class ListSource(Section):
    """Job section for a table of scenes."""

    kind: Literal["list"] = Field(default="list", description="A CSV or GeoParquet table of scenes.")
    path: str = Field(description="The table; relative paths start at the job file.")


class StacSource(Section):
    """Job section for a STAC catalogue: static, or an API with search."""

    kind: Literal["stac"] = Field(default="stac", description="A STAC catalogue (static) or API.")
    url: str = Field(description="URL or path of the catalogue.")
    collections: tuple[str, ...] = Field(default=(), description="Collections to take; all when empty.")
    assets: tuple[str, ...] = Field(
        description="Keys of the assets with the bands, in the order of the bands."
    )
    mask_asset: str | None = Field(default=None, description="Key of the asset with the quality mask.")
    mask_kind: MaskKind = Field(
        default="auto",
        description="Encoding of the mask; auto: by its key or classes; plain: as in scenes.",
    )
    max_cloud: float | None = Field(
        default=None, ge=0, le=100, description="Maximum cloud cover of a scene in percent."
    )
    since: date | None = Field(default=None, description="First day: 2024-05-03.")
    until: date | None = Field(default=None, description="Last day.")
    where: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Required item properties, e.g. grid:code: MGRS-32UPU, where several tiles meet.",
    )


SourceSection = Annotated[FolderSource | ListSource | StacSource, Field(discriminator="kind")]


class CommandHook(Section):
    """Job section for a command that is called after a run with news."""

    kind: Literal["command"] = Field(default="command", description="Call a command; no shell is involved.")
    command: tuple[str, ...] = Field(min_length=1, description="Program and arguments.")


class WebhookHook(Section):
    """Job section for a webhook that receives the summary of a run with news."""

    kind: Literal["webhook"] = Field(default="webhook", description="POST the summary as JSON.")
    url: str | None = Field(default=None, description="URL of the webhook.")
    url_env: str | None = Field(
        default=None, description="Instead of url: the environment variable that contains it, with any key."
    )
    header_env: dict[str, str] = Field(
        default_factory=dict,
        description="Headers whose values come from environment variables: name: VARIABLE.",
    )

    @model_validator(mode="after")
    def _one_webhook_address(self) -> WebhookHook:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give one of url and url_env")
        return self


class NewsSection(Section):
    """Job section on the delivery of news."""

    hook: Annotated[CommandHook | WebhookHook, Field(discriminator="kind")] | None = Field(
        default=None, description="Command or webhook to call when there is news; none by default."
    )


def _baseline_date_as_text(value: object) -> object:
    """Text of a baseline's date: YAML reads 2024-05-03 as a date, and the job means the text."""
    return value.isoformat() if isinstance(value, date) else value


def _auto_threshold_as_none(value: object) -> object:
    """Replace the threshold `auto` of a job file by None."""
    return None if value == "auto" else value


def _checked_memory_size(value: str | None) -> str | None:
    """Check the `memory` of a job file as `--memory` is checked."""
    if value is not None:
        try:
            parse_memory(value)
        except InputError as error:
            raise ValueError(str(error).removeprefix("`memory` ").removesuffix(".")) from None
    return value


class PreviousBaseline(Section):
    """Baseline policy `previous`: the last valid observation of each pixel."""

    policy: Literal["previous"] = Field(
        default="previous",
        description="The previous scene; where it is clouded, the one before it, pixel by pixel.",
    )


class FixedBaseline(Section):
    """Baseline policy `fixed`: one scene for all comparisons."""

    policy: Literal["fixed"] = Field(default="fixed", description="One scene, for all later ones.")
    scene: Annotated[str, BeforeValidator(_baseline_date_as_text)] = Field(
        description="Its id in the source, or its date: 2024-05-03."
    )


class SeasonBaseline(Section):
    """Baseline policy `season`: the scene of an earlier year that is nearest in day of year."""

    policy: Literal["season"] = Field(
        default="season",
        description="The scene of an earlier year that is nearest in day of year.",
    )
    max_days: int = Field(
        default=60, ge=0, le=182, description="Maximum distance in days of the year; farther is no baseline."
    )


class CompositeBaseline(Section):
    """Baseline policy `composite`: the per-pixel median of the last valid observations."""

    policy: Literal["composite"] = Field(
        default="composite", description="Per pixel and band, the median of the last valid observations."
    )
    count: int = Field(default=5, ge=1, le=50, description="Number of observations in the median.")


BaselineSection = Annotated[
    PreviousBaseline | FixedBaseline | SeasonBaseline | CompositeBaseline, Field(discriminator="policy")
]


class DetectorSection(Section):
    """Job section on the detector: the options of `rsdetect detect`."""

    name: str | None = Field(
        default=None,
        description="siamese, cva, FILE.py:Class, ... as in rsdetect detect; relative paths start at the "
        "job file.",
    )
    model: str | None = Field(
        default=None,
        description="Model file or name; the detector's own by default. "
        "Relative paths start at the job file.",
    )
    detector_options: dict[str, str | float | bool] = Field(
        default={}, description="Parameters of the detector, by name."
    )
    threshold: Annotated[float | None, BeforeValidator(_auto_threshold_as_none)] = Field(
        default=None,
        gt=0,
        le=1,
        description="Minimum change probability of a changed pixel; auto = the detector's own.",
        json_schema_extra={"anyOf": [{"type": "number"}, {"const": "auto"}, {"type": "null"}]},
    )
    min_area: float = Field(
        default=0.0, ge=0, description="Minimum area of a region in m², or in pixels without a CRS."
    )
    opening: int = Field(
        default=0,
        ge=0,
        le=MOST_OPENING_PX,
        description="First take off what is narrower than 2 opening + 1 px.",
    )
    fill_holes: float = Field(
        default=0.0, ge=0, description="Fill smaller holes of regions, in m², or in pixels without a CRS."
    )
    min_width: float = Field(
        default=0.0,
        ge=0,
        description="Drop regions that hold no circle of this diameter, in m (pixels without a CRS).",
    )
    merge_gap: float = Field(
        default=0.0,
        ge=0,
        description="Make regions nearer than this one event, in m, or in pixels without a CRS.",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:i.")
    backend: Literal["auto", "torch", "openvino", "onnx"] = Field(
        default="auto", description="Runtime of the network; openvino and onnx run int8."
    )
    workers: int | None = Field(default=None, ge=1, description="Tiles in flight; default: one per core.")
    scheduler: str | None = Field(
        default=None, description="Address of a running Dask scheduler; local threads by default."
    )
    memory: Annotated[str | None, AfterValidator(_checked_memory_size)] = Field(
        default=None, description="Memory limit of the job, e.g. 2GB; default: a share of the free memory."
    )
    tile_size: int | None = Field(
        default=None,
        ge=64,
        le=16384,
        description="Tile edge in pixels; does not change the result; default: as large as memory allows.",
    )


class ConfirmSection(Section):
    """Job section on the rules by which an event is confirmed and resolved."""

    seen: int = Field(default=2, ge=1, description="k: an event is confirmed when it is seen in k ...")
    of: int = Field(default=3, ge=1, description="... of its last n valid observations.")
    resolve_after: int = Field(
        default=2,
        ge=1,
        description="Consecutive valid observations without the event after which it is resolved.",
    )
    follow_days: int | None = Field(
        default=730,
        ge=1,
        description="Days after its first observation for which an event is followed; null = unlimited.",
    )

    @model_validator(mode="after")
    def _confirmable(self) -> ConfirmSection:
        if self.seen > self.of:
            raise ValueError(f"seen {self.seen} of {self.of} is impossible; seen must be at most of")
        return self


class ScenesSection(Section):
    """Job section on reading and selecting scenes."""

    bands: tuple[int | str, ...] | None = Field(
        default=None, description="Bands to compare, by number or name; default: those of the detector."
    )
    mask_values: tuple[int, ...] = Field(default=(), description="Mask values of unusable pixels.")
    mask_bits: tuple[int, ...] = Field(default=(), description="Mask bits of unusable pixels, 0 = lowest.")
    mask_kind: MaskKind = Field(
        default="auto",
        description="Encoding of the masks; auto: by names, values and bands; plain: all but 0 hides.",
    )
    nodata: float | Literal["auto", "none"] = Field(
        default="auto",
        description="Nodata value; auto: as declared by files and catalogue; none: all pixels are data.",
    )
    min_valid: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Minimum share of valid pixels in the area; scenes with less count as clouded.",
    )
    align: bool = Field(
        default=False,
        description="Warp scenes on other grids to the job's grid; otherwise they are set aside.",
    )
    resampling: Literal["nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average"] = Field(
        default="bilinear", description="Resampling method for align."
    )
    registered: bool = Field(  # `register` is a method of every class of pydantic's
        default=False,
        alias="register",
        description="Measure and undo the displacement of each scene from its baseline.",
    )
    normalise: Literal["percentile", "none", "robust", "irmad", "histogram"] = Field(
        default="percentile", description="How the values of both dates are made comparable."
    )
    accept: tuple[str, ...] = Field(
        default=(), description="Doubts about place, validity or units with which scenes are accepted."
    )
    exclude: tuple[str, ...] = Field(default=(), description="Ids of scenes to ignore.")


class Job(Section):
    """Monitoring job: one site, one source of scenes, one output folder."""

    site: str = Field(min_length=1, description="Name of the site in reports.")
    source: SourceSection = Field(description="Source of the scenes.")
    out: str = Field(description="Output folder; relative paths start at the job file.")
    aoi: str | None = Field(
        default=None,
        description="File with polygons of the area of interest, or one of its layers as FILE:LAYER. "
        "Relative paths start at the job file.",
    )
    scenes: ScenesSection = Field(default=ScenesSection(), description="Reading and selection of scenes.")
    baseline: BaselineSection = Field(default=PreviousBaseline(), description="Baseline of the comparisons.")
    detector: DetectorSection = Field(default=DetectorSection(), description="Detector and its options.")
    confirm: ConfirmSection = Field(default=ConfirmSection(), description="Rules of confirmation.")
    news: NewsSection = Field(default=NewsSection(), description="Delivery of news.")

    def resolve_path(self, text: str, job_file: Path) -> Path:
        """Resolve a path of the job file: relative paths start at the job file's folder."""
        return job_file.absolute().parent / text

    def aoi_path(self, job_file: Path) -> str | None:
        """The area of interest of the job file, FILE or FILE:LAYER, from its folder; None without one."""
        return None if self.aoi is None else layer_from_folder(self.aoi, job_file.absolute().parent)
