"""The part of a job file that says who hears of news."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rsdetect.monitoring.job_sources import Section


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
