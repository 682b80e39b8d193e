"""Read a job file, or say in one sentence what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rsdetect.errors import InputError, OutputError
from rsdetect.monitoring.job import Job
from rsdetect.validation import errors_as_text

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
        raise InputError(f"{path}: {errors_as_text(error, Job, 'job')}.") from error


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
