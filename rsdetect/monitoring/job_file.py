"""Read a job file, or say in one sentence what is wrong with it."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from rsdetect.errors import InputError, OutputError
from rsdetect.monitoring.job import Job

EXAMPLE = Path(__file__).with_name("example_job.yaml")
SCHEMA = Path(__file__).with_name("job.schema.json")


class _Loader(yaml.SafeLoader):
    """YAML's plain values, and no key twice: of two, YAML would silently take the last."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", node.value[i][0].start_mark
                )
        return super().construct_mapping(node, deep)


def read_job(path: Path) -> Job:
    """Read and check a job file.

    Raises
    ------
    InputError
        It is not there, no YAML, or says what no job can say; the message names the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8, and so no job file.") from error
    try:
        content = yaml.load(text, _Loader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is no YAML: {_where(error)}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no job; rsdetect monitor init writes an example.")
    try:
        return Job.model_validate(content)
    except ValidationError as error:
        # A misspelt key is said before the one that is missing for it.
        errors = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        raise InputError(f"{path}: {'; '.join(_in_words(dict(one)) for one in errors)}.") from error


def write_example(path: Path) -> None:
    """Write a commented job file; never over another one."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(EXAMPLE.read_text(encoding="utf-8"))
    except FileExistsError:
        raise OutputError(f"{path} exists; choose another name for the example.") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error


def schema_text() -> str:
    """The JSON schema of a job file, for editors."""
    return json.dumps(Job.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{problem} (line {mark.line + 1})" if mark is not None else str(problem)


def _in_words(error: dict[str, Any]) -> str:
    """One of pydantic's errors: where, and what to do about it."""
    loc, models = _follow(error["loc"])
    place = ".".join(str(part) for part in loc)
    if error["type"] == "extra_forbidden":
        known = sorted({key for model in _follow(error["loc"][:-1])[1] for key in model.model_fields})
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        return f"{'.'.join(str(part) for part in loc[:-1]) or 'a job'} knows no key {loc[-1]!r} ({hint})"
    if error["type"] == "missing":
        return f"the key {place!r} is missing"
    if error["type"].startswith("union_tag"):
        tags = ", ".join(str(_tag(model)) for model in models)
        key = str(error["ctx"]["discriminator"]).strip("'")
        return f"{place}.{key} must be one of {tags}"
    message = error["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(error["input"], dict | list) else f" (it says {error['input']!r})"
    return f"{place or 'the job'}: {message[0].lower()}{message[1:]}{shown}"


def _follow(loc: tuple[int | str, ...]) -> tuple[list[int | str], list[type[BaseModel]]]:
    """The keys of pydantic's `loc`, without the alternatives' names between them, and the sections there."""
    keys: list[int | str] = []
    models: list[type[BaseModel]] = [Job]
    for part in loc:
        if len(models) > 1 and any(part == _tag(model) for model in models):
            models = [model for model in models if _tag(model) == part]
            continue
        keys.append(part)
        fields = [model.model_fields[str(part)] for model in models if str(part) in model.model_fields]
        models = [each for field in fields for each in _models(field.annotation)]
    return keys, models


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _tag(model: type[BaseModel]) -> str | None:
    """What tells a section from its alternatives."""
    tags = [model.model_fields[key].default for key in ("kind", "policy") if key in model.model_fields]
    return str(tags[0]) if tags else None
