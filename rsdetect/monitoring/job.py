"""Schema of a monitoring job: the sections of a job file as pydantic models."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rsdetect.errors import InputError
from rsdetect.feeds.sections import Section, SourceSection
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.jobs.options import MOST_OPENING_PX
from rsdetect.memory import parse_memory
from rsdetect.monitoring.keep_section import KeepSection
from rsdetect.paths import layer_from_folder


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


class FailureSection(Section):
    """Job section on the report of failures."""

    hook: Annotated[CommandHook | WebhookHook, Field(discriminator="kind")] | None = Field(
        default=None, description="Command or webhook to call when a run ends without success."
    )


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
    min_area: Literal["auto"] | Annotated[float, Field(ge=0)] = Field(
        default="auto",
        description="Minimum area of a region in m², or in pixels without a CRS; auto = nine pixels.",
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
    keep: KeepSection = Field(default=KeepSection(), description="What is kept on disk.")
    on_failure: FailureSection = Field(default=FailureSection(), description="Report of failures.")

    def resolve_path(self, text: str, job_file: Path) -> Path:
        """Resolve a path of the job file: relative paths start at the job file's folder."""
        return job_file.absolute().parent / text

    def aoi_path(self, job_file: Path) -> str | None:
        """The area of interest of the job file, FILE or FILE:LAYER, from its folder; None without one."""
        return None if self.aoi is None else layer_from_folder(self.aoi, job_file.absolute().parent)
