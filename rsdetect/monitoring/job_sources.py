"""The part of a job file that says where scenes come from."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
