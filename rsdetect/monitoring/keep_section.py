"""Section of a job file on what a monitoring job keeps on disk, as a pydantic model."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from rsdetect.errors import InputError
from rsdetect.feeds.sections import Section
from rsdetect.memory import parse_size


def _checked_size(value: str) -> str:
    try:
        parse_size("free_space", value)
    except InputError as error:
        raise ValueError(str(error).removeprefix("free_space ").removesuffix(".")) from None
    return value


class KeepSection(Section):
    """Job section on what is kept on disk; ages count back from the latest scene."""

    copies: int | None = Field(
        default=None, ge=1, description="Number of copies of scenes, the latest; default: all."
    )
    copies_days: int | None = Field(
        default=None, ge=1, description="Age in days up to which copies of scenes are kept; default: any."
    )
    thumbnails_days: int | None = Field(
        default=None,
        ge=1,
        description="Age in days up to which earlier reports and timelines, with their pictures, are kept.",
    )
    history_days: int | None = Field(
        default=None,
        ge=1,
        description="Age in days up to which files of comparisons and entries of runs are kept. "
        "Events and observations are always kept.",
    )
    free_space: Annotated[str, AfterValidator(_checked_size)] = Field(
        default="100MB",
        description="Space that a run leaves free on the disk; it stops before it takes more.",
    )
