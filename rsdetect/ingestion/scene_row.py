"""Scene row: the outcome of a scene's ingestion, as a journal stores it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class SceneRow:
    """Scene row: state, reason and content of one ingested scene."""

    id: str
    taken: datetime
    fingerprint: str  # hash of the files and of the options they are read with
    state: str  # "usable", "clouded", "set aside" or "failed"
    reason: str  # why it is not usable
    content: dict[str, Any]  # results of its ingestion: path, mask, valid share, ...
    attempts: int  # number of failed attempts
    listed: bool  # the source listed it in the last run


def current_rows(rows: Sequence[SceneRow]) -> list[SceneRow]:
    """Rows of the journal without tiles that joined a pass later, and without older processings."""
    replaced = {each for row in rows for each in row.content.get("replaces", ())}
    return [row for row in rows if row.id not in replaced]
