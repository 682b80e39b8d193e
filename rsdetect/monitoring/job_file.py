"""Job files: reading, validation, and the example that `monitor init` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rsdetect.errors import InputError, OutputError
from rsdetect.monitoring.job import Job
from rsdetect.reading import read_text
from rsdetect.statuses import write_error
from rsdetect.validation import errors_as_text

EXAMPLE = Path(__file__).with_name("example_job.yaml")
_MERGE = "tag:yaml.org,2002:merge"
_MOST_BYTES, _MOST_VALUES = 2**20, 20_000
SCHEMA = Path(__file__).with_name("job.schema.json")


class _JobFileLoader(yaml.SafeLoader):
    """YAML loader of job files: plain values only, and an error where YAML would drop a duplicate key."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._checked: set[int] = set()  # nodes, which live as long as the text is read

    def flatten_mapping(self, node: Any) -> None:
        if len(node.value) > _MOST_VALUES:
            raise yaml.constructor.ConstructorError(None, None, "it is too long", node.start_mark)
        super().flatten_mapping(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        if isinstance(node, yaml.MappingNode) and id(node) not in self._checked:
            self._checked.add(id(node))  # before `<<` brings in keys that its own may replace
            self._refuse_twice([key for key, _ in node.value if key.tag != _MERGE])
        return super().construct_mapping(node, deep)

    def _refuse_twice(self, nodes: list[Any]) -> None:
        keys = [self.construct_object(key, deep=True) for key in nodes]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", nodes[i].start_mark
                )

    def construct_or_text(self, node: Any) -> Any:
        """What YAML makes of a value; the text itself where it only looks like a date or a number."""
        construct = yaml.SafeLoader.yaml_constructors[node.tag]
        try:
            return construct(self, node)
        except (ValueError, OverflowError):
            if (
                self.resolve(  # type: ignore[no-untyped-call]
                    yaml.ScalarNode, node.value, (True, False)
                )
                != node.tag
            ):
                raise  # the file says !!int
            return node.value


for _kind in ("timestamp", "int", "float"):
    _JobFileLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _JobFileLoader.construct_or_text)


def read_job(path: Path) -> Job:
    """Read and validate a job file.

    Raises
    ------
    InputError
        The file is missing, is not YAML, or is not a valid job; the message names the key.
    """
    content = read_content(path)
    try:
        return Job.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {errors_as_text(error, Job, 'job')}.") from error


def read_content(path: Path) -> dict[str, Any]:
    """Read the content of a job file, whose keys may be wrong; its texts can be names of files.

    Raises
    ------
    InputError
        The file is missing, or is not YAML of a mapping.
    """
    text = read_text(path, "a job file", most_bytes=_MOST_BYTES)
    try:
        content = yaml.load(text, _JobFileLoader)  # noqa: S506  (a SafeLoader)
        _refuse_boundless(content)
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {_yaml_error_position(error)}.") from error
    except RecursionError:
        raise InputError(f"{path} is not a job file: it is nested too deeply.") from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(f"{path} is not a job file: {' '.join(str(error).split())[:200]}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} contains no job; rsdetect monitor init writes an example.")
    return content


def _refuse_boundless(content: Any) -> None:
    """ValueError for what aliases multiply without end, and for text that no path or table can hold."""
    waiting, seen = [content], 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > _MOST_VALUES:
            raise ValueError(f"it holds more than {_MOST_VALUES} values")
        if isinstance(value, dict):
            waiting.extend([*value, *value.values()])
        elif isinstance(value, list | tuple | set):
            waiting.extend(value)
        elif isinstance(value, str) and ("\0" in value or not _is_text(value)):
            raise ValueError(f"the text {value[:40]!r} holds a character that no name can have")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_example(path: Path) -> None:
    """Write a commented example job file; existing files are not overwritten."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(EXAMPLE.read_text(encoding="utf-8"))
    except FileExistsError:
        raise OutputError(f"{path} exists; choose another name for the example.") from None
    except OSError as error:
        raise write_error(str(path), error) from error


def schema_text() -> str:
    """The JSON schema of a job file, for editors."""
    return json.dumps(Job.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _yaml_error_position(error: yaml.YAMLError) -> str:
    """Describe an error in a job file's YAML, with its line where that is known."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{problem} (line {mark.line + 1})" if mark is not None else str(problem)
