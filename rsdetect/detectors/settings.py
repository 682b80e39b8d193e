"""Parameters of a detector as the user gives them: NAME=VALUE, typed by the fields of its dataclass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

from rsdetect.detectors.base import Detector
from rsdetect.errors import InputError
from rsdetect.jsontypes import JsonValue

_OF_OTHER_OPTIONS = ("model", "device", "backend")  # which have options of their own
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def require_detector(given: object) -> None:
    """Require what `detector` takes: a name, a file as FILE.py:Class, or an object; None = the default.

    Raises
    ------
    InputError
        Something else, such as a class.
    """
    if given is None or isinstance(given, str | Detector):
        return
    if isinstance(given, type) and issubclass(given, Detector):
        hint = f"is the class {given.__name__}; give an object of it, `detector={given.__name__}()`."
    else:
        hint = f"is {given!r}; give a name, a file as 'path/to/file.py:Class', or a Detector object."
    raise InputError(f"`detector` {hint}")


def as_settings(given: Mapping[str, JsonValue] | Iterable[str] | str) -> tuple[str, ...]:
    """What `detector_options` takes, as texts NAME=VALUE.

    >>> as_settings("index=ndvi, sign=loss"), as_settings({"level": 0.2})
    (('index=ndvi', 'sign=loss'), ('level=0.2',))

    Raises
    ------
    InputError
        A text without a name or a value.
    """
    if isinstance(given, Mapping):
        texts = [f"{name}={value}" for name, value in given.items()]
    else:
        texts = [str(part) for part in (given.split(",") if isinstance(given, str) else given)]
    settled = []
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not (name and value):
            raise InputError(f"`detector_options` {text!r} sets nothing; write NAME=VALUE.")
        settled.append(f"{name}={value}")
    return tuple(settled)


def with_settings(detector: Detector, settings: Iterable[str]) -> Detector:
    """The detector with other parameters, whose names are taken in any case.

    So are the texts that a detector of rsdetect itself takes; those of others may be names of files.

    Parameters
    ----------
    settings
        As `as_settings` gives them.

    Raises
    ------
    InputError
        It has no such parameter, or the value is no number where one is needed.
    """
    written = dict(setting.split("=", 1) for setting in settings)
    if not written or not is_dataclass(detector):
        known: tuple[str, ...] = ()
    else:
        known = tuple(field.name for field in fields(detector) if field.name not in _OF_OTHER_OPTIONS)
    in_any_case = {name.lower(): name for name in known}
    given = {
        name if name in known else in_any_case.get(name.lower(), name): text for name, text in written.items()
    }
    for name in given:
        if name not in known:
            there = f"it has {', '.join(known)}" if known else "it has none"
            raise InputError(f"`detector_options`: {detector.name} has no parameter {name!r}; {there}.")
    if not given:
        return detector
    hints = get_type_hints(type(detector))
    if type(detector).__module__.partition(".")[0] == __name__.partition(".")[0]:
        given = {name: text.lower() for name, text in given.items()}
    values = {name: _typed(name, text, hints[name]) for name, text in given.items()}
    changed: Detector = replace(detector, **values)  # type: ignore[type-var]  # a dataclass, as asked above
    return changed


def _typed(name: str, text: str, kind: Any) -> Any:
    """A text as a value of the first of the types that it can be."""
    kinds = get_args(kind) or (kind,)
    if type(None) in kinds and text.lower() == "none":
        return None
    if bool in kinds and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    for number in (int, float):
        if number in kinds:
            try:
                return number(text)
            except ValueError:
                continue
    if str in kinds:
        return text
    raise InputError(f"`detector_options`: {name} cannot be {text!r}; it is {_words_of(kinds)}.")


def _words_of(kinds: Iterable[Any]) -> str:
    """Types of a parameter as the user knows them."""
    words = {int: "an integer", float: "a number", bool: "true or false", type(None): "none"}
    return " or ".join(words.get(kind, getattr(kind, "__name__", str(kind))) for kind in kinds)
