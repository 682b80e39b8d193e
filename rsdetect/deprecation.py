"""Deprecated names of arguments: each works until the next version, with a warning that has the new name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rsdetect.errors import InputError


@dataclass(frozen=True)
class Renamed:
    """New name of an argument, and the first version without the deprecated one."""

    new: str
    removed_in: str


# Deprecated names of keywords and options. tests/test_deprecation.py fails in the version that removes one.
RENAMED = {"pseudo_labels": Renamed("unlabelled", removed_in="0.6.0")}


def replace_deprecated(given: Mapping[str, Any]) -> dict[str, Any]:
    """Replace deprecated names of arguments by the new ones, with a FutureWarning for each.

    A deprecated argument that is None counts as not given.

    Raises
    ------
    InputError
        An argument is given under both names.

    >>> replace_deprecated({"unlabelled": "pairs", "pseudo_labels": None, "seed": 1})
    {'unlabelled': 'pairs', 'seed': 1}
    """
    current = {name: value for name, value in given.items() if name not in RENAMED}
    for name in given.keys() & RENAMED:
        if given[name] is None:
            continue
        renamed = RENAMED[name]
        if current.get(renamed.new) is not None:
            raise InputError(f"`{name}` is the deprecated name of `{renamed.new}`; drop `{name}`.")
        warnings.warn(
            f"`{name}` is deprecated and will be removed in {renamed.removed_in}; use `{renamed.new}`.",
            FutureWarning,
            stacklevel=3,
        )
        current[renamed.new] = given[name]
    return current
