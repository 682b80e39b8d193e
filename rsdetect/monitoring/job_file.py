"""Job files: reading, validation, and the example that `monitor init` writes."""

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


class _JobFileLoader(yaml.SafeLoader):
    """YAML loader of job files: plain values only, and an error where YAML would drop a duplicate key."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", node.value[i][0].start_mark
                )
        return super().construct_mapping(node, deep)


def read_job(path: Path) -> Job:
    """Read and validate a job file.

    Raises
    ------
    InputError
        The file is missing, is not YAML, or is not a valid job; the message names the key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text, and so not a job file.") from error
    try:
        content = yaml.load(text, _JobFileLoader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {_yaml_error_position(error)}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} contains no job; rsdetect monitor init writes an example.")
    try:
        return Job.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {errors_as_text(error, Job, 'job')}.") from error


def write_example(path: Path) -> None:
    """Write a commented example job file; existing files are not overwritten."""
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


def _yaml_error_position(error: yaml.YAMLError) -> str:
    """Describe an error in a job file's YAML, with its line where that is known."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{problem} (line {mark.line + 1})" if mark is not None else str(problem)
