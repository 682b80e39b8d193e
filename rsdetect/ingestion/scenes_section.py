"""Section of a job file on reading and selecting scenes, as a pydantic model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rsdetect.feeds.sections import Section
from rsdetect.scenes.quality import MaskKind


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
