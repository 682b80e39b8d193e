"""Versions of installed packages, each of which is read once in a process."""

from __future__ import annotations

import importlib.metadata
from functools import cache


@cache
def version(package: str) -> str:
    """Version of an installed package, from its metadata, whose parsing takes milliseconds.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        It is not installed.
    """
    return importlib.metadata.version(package)
