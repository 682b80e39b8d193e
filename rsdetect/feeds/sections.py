"""Sections of a job file on its source of scenes, as pydantic models: folder, table, STAC catalogue."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
        default=(),
        description="Keys of the assets with the bands, in the order of the bands; default: by their "
        "common names, red, green, blue, nir, swir16, swir22 as far as there are, with the quality mask.",
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
