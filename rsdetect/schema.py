"""Versions of what result files hold.

Every result carries the number `schema`, which grows when a key or a column changes its name, type, unit or
meaning, not when one is added. Files of rsdetect 0.1.0 carry none and count as 0. A reader takes every number
up to its own and refuses higher ones. docs/outputs.md lists what each number means.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsdetect.errors import InputError

RUN = 1  # run.json
BATCH = 1  # batch.json
EVALUATION = 1  # evaluation.json
COMPARISON = 1  # what `compare --json` prints
GEOPACKAGE = 1  # changes.gpkg and events.gpkg; of the columns, not of the format


class NewerSchema(InputError):
    """A file was written by a newer rsdetect, so that this one could misread it."""


def require_known(content: Mapping[str, Any], newest: int, path: Path) -> None:
    """Refuse content of a newer schema than this version knows.

    Parameters
    ----------
    content
        What a file holds; without `schema` it counts as 0.
    newest
        The highest number that the caller reads.
    path
        The file, for the message.

    Raises
    ------
    NewerSchema
        The number is higher.
    ValueError
        It is no whole number.
    """
    found = content.get("schema", 0)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ValueError(f"schema is {found!r} and no whole number")
    if found > newest:
        raise NewerSchema(
            f"{path} was written by a newer rsdetect (schema {found}, this one knows up to {newest}); it was "
            "left as it is: update rsdetect or name another folder."
        )
