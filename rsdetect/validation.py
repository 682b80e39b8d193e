"""Validation of user input: sequences, and pydantic's errors as text."""

from __future__ import annotations

import difflib
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any, get_args

from rsdetect.errors import InputError

if TYPE_CHECKING:  # pydantic is imported only where it is used
    from pydantic import BaseModel, ValidationError


def text(item: Any) -> str:
    """Validate an item that is text or a path; TypeError if it is neither."""
    if not isinstance(item, str | os.PathLike):
        raise TypeError(item)
    return str(os.fspath(item))


def integer(item: Any) -> int:
    """Validate an integer item, also of NumPy; TypeError if it is none."""
    if isinstance(item, bool):
        raise TypeError(item)
    return operator.index(item)


def number(item: Any) -> float:
    """Validate a number item; TypeError if it is none."""
    if isinstance(item, bool) or not isinstance(item, Real):
        raise TypeError(item)
    return float(item)


def number_or_name(item: Any) -> int | str:
    """Validate a band: its number or its name; TypeError if it is neither."""
    return item if isinstance(item, str) else integer(item)


def require_number(option: str, given: Any, kind: Callable[[Any], float] = number) -> None:
    """Validate an option that takes one number.

    Parameters
    ----------
    kind
        `number` or `integer`.

    Raises
    ------
    InputError
        It is none, a text for example.
    """
    try:
        kind(given)
    except TypeError:
        what = "an integer" if kind is integer else "a number"
        raise InputError(f"`{option}` takes {what}, and got {given!r}.") from None


_WORDS: dict[Callable[[Any], Any], str] = {
    text: "text or paths",
    integer: "integers",
    number: "numbers",
    number_or_name: "numbers from 1 or names",
}
_OTHER = "numbers, 'auto' or 'none'"  # of `nodata`


def as_items(option: str, given: Any, kind: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Validate the items of an option that takes several; a single text, path or number is one item.

    Parameters
    ----------
    option
        Name of the option, for the error.
    kind
        One of `text`, `integer`, `number` and `number_or_name`.

    Raises
    ------
    InputError
        Not a sequence, or an item of another kind.

    >>> as_items("masks", "m.tif", text), as_items("mask_bits", [3, 4], integer)
    (('m.tif',), (3, 4))
    """
    alone = isinstance(given, str | bytes | os.PathLike | Mapping) or not isinstance(given, Iterable)
    items = (given,) if alone else tuple(given)
    try:
        return tuple(kind(item) for item in items)
    except TypeError:
        raise InputError(f"`{option}` takes {_WORDS.get(kind, _OTHER)}, and got {given!r}.") from None


def refuse_unknown(keywords: Mapping[str, object], known: type) -> None:
    """Refuse a keyword that the TypedDict `known` lacks.

    Raises
    ------
    InputError
        The message has the keyword and the closest known one.
    """
    names = sorted(known.__annotations__)
    for keyword in keywords:
        if keyword not in names:
            near = difflib.get_close_matches(keyword, names, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(names)}."
            raise InputError(f"there is no option {keyword!r}; {hint}")


def settle_sequences(options: Any, **kinds: Callable[[Any], Any]) -> None:
    """Validate fields of a frozen dataclass as tuples, in its `__post_init__`; None stays None.

    Raises
    ------
    InputError
        As `as_items`.
    """
    for name, kind in kinds.items():
        given = getattr(options, name)
        if given is not None:
            object.__setattr__(options, name, as_items(name, given, kind))


def errors_as_text(error: ValidationError, root: type[BaseModel], whole: str) -> str:
    """Text of pydantic's validation errors of a file, without a full stop: each key and its error.

    Parameters
    ----------
    root
        Model of the file.
    whole
        Name of the kind of file: "job", "recipe".
    """
    # Unknown keys first: a misspelt key also causes a missing one.
    errors = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    return "; ".join(_one_error_as_text(dict(one), root, whole) for one in errors)


def _one_error_as_text(error: dict[str, Any], root: type[BaseModel], whole: str) -> str:
    loc, models = _follow(error["loc"], root)
    place = ".".join(str(part) for part in loc)
    if error["type"] == "extra_forbidden":
        known = sorted({key for model in _follow(error["loc"][:-1], root)[1] for key in model.model_fields})
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        return f"{'.'.join(str(part) for part in loc[:-1]) or f'a {whole}'} knows no key {loc[-1]!r} ({hint})"
    if error["type"] == "missing":
        return f"the key {place!r} is missing"
    if error["type"].startswith("union_tag"):
        tags = ", ".join(str(_tag(model)) for model in models)
        key = str(error["ctx"]["discriminator"]).strip("'")
        return f"{place}.{key} must be one of {tags}"
    message = error["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(error["input"], dict | list) else f" (got {error['input']!r})"
    return f"{place or f'the {whole}'}: {message[0].lower()}{message[1:]}{shown}"


def _follow(
    loc: tuple[int | str, ...], root: type[BaseModel]
) -> tuple[list[int | str], list[type[BaseModel]]]:
    """Keys of pydantic's `loc`, without the names of union members, and the models at that place."""
    keys: list[int | str] = []
    models = [root]
    for part in loc:
        if len(models) > 1 and any(part == _tag(model) for model in models):
            models = [model for model in models if _tag(model) == part]
            continue
        keys.append(part)
        if isinstance(part, int):  # of a list, whose items have these models
            continue
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        models = [each for field in fields for each in _models(field.annotation)]
    return keys, models


def _models(annotation: Any) -> list[type[BaseModel]]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _tag(model: type[BaseModel]) -> str | None:
    """Discriminator value of a union member."""
    tags = [model.model_fields[key].default for key in ("kind", "policy") if key in model.model_fields]
    return str(tags[0]) if tags else None


def settle_case(options: object, *names: str) -> None:
    """Make the named choices of a frozen dataclass lower case, text or texts, after validation of types."""
    for name in names:
        given = getattr(options, name)
        settled = given.lower() if isinstance(given, str) else given
        if isinstance(given, tuple):
            settled = tuple(each.lower() if isinstance(each, str) else each for each in given)
        object.__setattr__(options, name, settled)
