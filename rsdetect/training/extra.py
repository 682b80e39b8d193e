"""What training needs beyond the rest of rsdetect."""

from __future__ import annotations

from importlib.util import find_spec

from rsdetect.errors import InputError


def require_lightning() -> None:
    """Say how to install Lightning where it is missing.

    Raises
    ------
    InputError
        It is.
    """
    if find_spec("lightning") is None:
        raise InputError("rsdetect train needs Lightning: pip install 'rsdetect[train]'.")
