"""What users give, checked where it enters: sequences, and pydantic's errors in words."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

from rsdetect.errors import InputError


def text(item: Any) -> str:
    """An item that is text or a path; TypeError where it is neither."""
    if not isinstance(item, str | os.PathLike):
        raise TypeError(item)
    return str(os.fspath(item))


def whole_number(item: Any) -> int:
    """An item that is a whole number, NumPy's too; TypeError where it is none."""
    if isinstance(item, bool):
        raise TypeError(item)
    return operator.index(item)


def number(item: Any) -> float:
    """An item that is a number; TypeError where it is none."""
    if isinstance(item, bool) or not isinstance(item, Real):
        raise TypeError(item)
    return float(item)


def number_or_name(item: Any) -> int | str:
    """A band: its number or its name; TypeError where it is neither."""
    return item if isinstance(item, str) else whole_number(item)


_WORDS: dict[Callable[[Any], Any], str] = {
    text: "text or paths",
    whole_number: "whole numbers",
    number: "numbers",
    number_or_name: "numbers from 1 or names",
}


def as_items(option: str, given: Any, kind: Callable[[Any], Any]) -> tuple[Any, ...]:
    """The items of an option that takes several; a single text, path or number is one item.

    Parameters
    ----------
    option
        Its name, for the error.
    kind
        One of `text`, `whole_number`, `number` and `number_or_name`.

    Raises
    ------
    InputError
        No sequence, or an item of another kind.

    >>> as_items("masks", "m.tif", text), as_items("mask_bits", [3, 4], whole_number)
    (('m.tif',), (3, 4))
    """
    alone = isinstance(given, str | bytes | os.PathLike | Mapping) or not isinstance(given, Iterable)
    items = (given,) if alone else tuple(given)
    try:
        return tuple(kind(item) for item in items)
    except TypeError:
        raise InputError(f"{option} takes {_WORDS[kind]}, and got {given!r}.") from None


def settle_sequences(options: Any, **kinds: Callable[[Any], Any]) -> None:
    """Bring the named fields of a frozen dataclass into tuples, in its `__post_init__`; None stays None.

    Raises
    ------
    InputError
        As `as_items`.
    """
    for name, kind in kinds.items():
        given = getattr(options, name)
        if given is not None:
            object.__setattr__(options, name, as_items(name, given, kind))
