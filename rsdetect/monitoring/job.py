"""What a job file says, as it is checked when it is read."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rsdetect.errors import InputError
from rsdetect.memory import parse_memory

MaskKind = Literal["auto", "plain", "sentinel2-scl", "landsat-qa"]


class Section(BaseModel):
    """A part of the job file: frozen, and no key that it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FolderSource(Section):
    """A folder of files whose names hold the date."""

    kind: Literal["folder"] = Field(
        default="folder", description="A folder of files whose names hold the date."
    )
    path: str = Field(description="The folder; a relative path counts from the job file.")
    pattern: str = Field(description="What the names of scenes look like, e.g. {date:%Y%m%d}_*.tif.")
    mask_pattern: str | None = Field(
        default=None, description="What the names of their masks look like, e.g. {date:%Y%m%d}_mask.tif."
    )
    bands: tuple[str, ...] = Field(
        default=(),
        description="One file a band: what stands at {band} in the pattern, in the order of the bands.",
    )


class ListSource(Section):
    """A table of scenes."""

    kind: Literal["list"] = Field(default="list", description="A CSV or GeoParquet table of scenes.")
    path: str = Field(description="The table; a relative path counts from the job file.")


class StacSource(Section):
    """A STAC catalogue, static or with a search."""

    kind: Literal["stac"] = Field(default="stac", description="A STAC catalogue (static) or API.")
    url: str = Field(description="The catalogue's address or file.")
    collections: tuple[str, ...] = Field(default=(), description="Collections to take; all when empty.")
    assets: tuple[str, ...] = Field(description="Keys of the assets to compare, in the order of the bands.")
    mask_asset: str | None = Field(default=None, description="Key of the asset that holds the quality mask.")
    mask_kind: MaskKind = Field(
        default="auto", description="What the mask says; auto: by its key (scl, qa_pixel); plain: by scenes."
    )
    max_cloud: float | None = Field(
        default=None, ge=0, le=100, description="Most cloud cover of a scene, percent."
    )
    since: date | None = Field(default=None, description="First day: 2024-05-03.")
    until: date | None = Field(default=None, description="Last day.")
    where: dict[str, str | int | float | bool] = Field(
        default_factory=dict,
        description="Properties that items must have, e.g. grid:code: MGRS-32UPU, where several tiles meet.",
    )


SourceSection = Annotated[FolderSource | ListSource | StacSource, Field(discriminator="kind")]


class CommandHook(Section):
    """A command to call after a run with news."""

    kind: Literal["command"] = Field(default="command", description="Call a command; no shell is involved.")
    command: tuple[str, ...] = Field(min_length=1, description="Program and arguments.")


class WebhookHook(Section):
    """An address to tell after a run with news."""

    kind: Literal["webhook"] = Field(default="webhook", description="POST the summary as JSON.")
    url: str | None = Field(default=None, description="Where to.")
    url_env: str | None = Field(
        default=None, description="Instead of url: the environment variable that holds it, key and all."
    )
    header_env: dict[str, str] = Field(
        default_factory=dict,
        description="Headers whose values stand in environment variables: name: VARIABLE.",
    )

    @model_validator(mode="after")
    def _one_address(self) -> WebhookHook:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give one of url and url_env")
        return self


class NewsSection(Section):
    """What is made after a run, and who is told."""

    hook: Annotated[CommandHook | WebhookHook, Field(discriminator="kind")] | None = Field(
        default=None, description="What to call when there is news; nothing by default."
    )


def _text_of_date(value: object) -> object:
    """YAML reads 2024-05-03 as a date; the job means the text."""
    return value.isoformat() if isinstance(value, date) else value


def _none_of_auto(value: object) -> object:
    return None if value == "auto" else value


def _size(value: str | None) -> str | None:
    """Refuse what `--memory` refuses."""
    if value is not None:
        try:
            parse_memory(value)
        except InputError as error:
            raise ValueError(str(error).removeprefix("`memory` ").removesuffix(".")) from None
    return value


class PreviousBaseline(Section):
    """Each pixel's last valid observation."""

    policy: Literal["previous"] = Field(
        default="previous",
        description="The scene before, and where that is clouded the one before it, pixel by pixel.",
    )


class FixedBaseline(Section):
    """One scene for all."""

    policy: Literal["fixed"] = Field(default="fixed", description="One scene, for all that come after it.")
    scene: Annotated[str, BeforeValidator(_text_of_date)] = Field(
        description="Its id as the source names it, or its date: 2024-05-03."
    )


class SeasonBaseline(Section):
    """The scene of an earlier year with the least days of year apart."""

    policy: Literal["season"] = Field(
        default="season",
        description="The scene of an earlier year that is the fewest days of the year apart.",
    )
    max_days: int = Field(
        default=60, ge=0, le=182, description="Farther apart is another season: no baseline."
    )


class CompositeBaseline(Section):
    """The per-pixel median of the last valid observations."""

    policy: Literal["composite"] = Field(
        default="composite", description="Per pixel and band, the median of the last valid observations."
    )
    count: int = Field(default=5, ge=1, le=50, description="How many observations the median is taken of.")


BaselineSection = Annotated[
    PreviousBaseline | FixedBaseline | SeasonBaseline | CompositeBaseline, Field(discriminator="policy")
]


class DetectorSection(Section):
    """How two scenes are compared; the options of `rsdetect detect`."""

    name: str | None = Field(
        default=None,
        description="siamese, cva, FILE.py:Class, ... as of rsdetect detect; a relative path "
        "counts from the job file.",
    )
    model: str | None = Field(default=None, description="Model file or name; the detector's own by default.")
    threshold: Annotated[float | None, BeforeValidator(_none_of_auto)] = Field(
        default=None,
        gt=0,
        le=1,
        description="Change probability from which on a pixel counts as changed; auto = the detector's own.",
        json_schema_extra={"anyOf": [{"type": "number"}, {"const": "auto"}, {"type": "null"}]},
    )
    min_area: float = Field(
        default=0.0, ge=0, description="Smaller regions are left out; m², pixels without a CRS."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:i.")
    backend: Literal["auto", "torch", "openvino", "onnx"] = Field(
        default="auto", description="What runs the network; openvino and onnx do in 8 bits."
    )
    workers: int | None = Field(
        default=None, ge=1, description="Tiles in flight; default: one for each core."
    )
    scheduler: str | None = Field(
        default=None, description="Address of a running Dask scheduler; threads here by default."
    )
    memory: Annotated[str | None, AfterValidator(_size)] = Field(
        default=None, description="What the job may take, like 2GB; default: a share of what is free."
    )
    tile_size: int | None = Field(
        default=None,
        ge=64,
        le=16384,
        description="Edge of a tile in pixels, no part of the result; default: as large as memory allows.",
    )


class ConfirmSection(Section):
    """When an event is believed, and when it is over."""

    seen: int = Field(default=2, ge=1, description="k: an event is confirmed when it is seen in k ...")
    of: int = Field(default=3, ge=1, description="... of its last n valid observations.")
    resolve_after: int = Field(
        default=2, ge=1, description="Valid observations in a row without it, after which it is resolved."
    )
    follow_days: int | None = Field(
        default=730,
        ge=1,
        description="Days after its first sight after which an event is no longer looked at; null = never.",
    )

    @model_validator(mode="after")
    def _possible(self) -> ConfirmSection:
        if self.seen > self.of:
            raise ValueError(f"seen {self.seen} of {self.of} can never be; let seen be at most of")
        return self


class ScenesSection(Section):
    """How scenes are read, and which are left out."""

    bands: tuple[int | str, ...] | None = Field(
        default=None, description="Bands to compare, by number or name; default: the detector's choice."
    )
    mask_values: tuple[int, ...] = Field(default=(), description="Values of the masks that hide the ground.")
    mask_bits: tuple[int, ...] = Field(
        default=(), description="Bits of the masks that hide the ground, 0 = lowest."
    )
    nodata: float | Literal["auto", "none"] = Field(
        default="auto",
        description="Pixel value that is no data; auto: as files and catalogue declare; none: all is data.",
    )
    min_valid: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Scenes with a smaller share of valid pixels in the area are set aside.",
    )
    align: bool = Field(
        default=False, description="Warp scenes of other grids onto the job's; else they are set aside."
    )
    resampling: Literal["nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average"] = Field(
        default="bilinear", description="Resampling for align."
    )
    accept: tuple[str, ...] = Field(
        default=(),
        description="Doubts about place, validity or units with which scenes are taken all the same.",
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="Ids of scenes to leave out, as if they did not exist."
    )


class Job(Section):
    """A monitoring job: one place, one source of scenes, one output folder."""

    site: str = Field(min_length=1, description="Name of the place, for reports.")
    source: SourceSection = Field(description="Where scenes come from.")
    out: str = Field(description="Folder for the results; a relative path counts from the job file.")
    aoi: str | None = Field(default=None, description="Polygons to which the job is limited.")
    scenes: ScenesSection = Field(default=ScenesSection(), description="How scenes are read.")
    baseline: BaselineSection = Field(
        default=PreviousBaseline(), description="What a new scene is compared with."
    )
    detector: DetectorSection = Field(default=DetectorSection(), description="How it is compared.")
    confirm: ConfirmSection = Field(default=ConfirmSection(), description="When an event is believed.")
    news: NewsSection = Field(default=NewsSection(), description="Who hears of it.")

    def path(self, text: str, job_file: Path) -> Path:
        """A path of the job file: a relative one counts from the folder that the file lies in."""
        return job_file.absolute().parent / text
