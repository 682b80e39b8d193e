"""Schema versions of result files.

Every result has the number `schema`, which is raised when a key or column changes its name, type, unit or
meaning, not when one is added. Files of rsdetect 0.1.0 have none, which is read as 0. A reader accepts every
number up to its own and refuses higher ones. docs/outputs.md lists the versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsdetect.errors import InputError

RUN = 1  # run.json
BATCH = 1  # batch.json
EVALUATION = 1  # evaluation.json
COMPARISON = 1  # output of `compare --json`
GEOPACKAGE = 1  # columns of changes.gpkg and events.gpkg


class NewerSchema(InputError):
    """A file has a newer schema than this version of rsdetect supports."""


def require_known(content: Mapping[str, Any], newest: int, path: Path) -> None:
    """Refuse content with a newer schema than this version supports.

    Parameters
    ----------
    content
        Content of a file; without `schema` it is version 0.
    newest
        Highest version that the caller supports.
    path
        The file, for the message.

    Raises
    ------
    NewerSchema
        The version is higher.
    ValueError
        It is not an integer.
    """
    found = content.get("schema", 0)
    if not isinstance(found, int) or isinstance(found, bool):
        raise ValueError(f"schema is {found!r}, not an integer")
    if found > newest:
        raise NewerSchema(
            f"{path} was written by a newer rsdetect (schema {found}, this one knows up to {newest}); it was "
            "left as it is: update rsdetect or name another folder."
        )
