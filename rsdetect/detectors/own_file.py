"""Detectors in own files of users: `path/to/file.py:Class`.

The file is run once per process, under a module name derived from its path and content. Instances of its
classes are pickled by the path and hash of the file: a worker runs its copy of the file, and refuses one that
is missing or differs.
"""

from __future__ import annotations

import copyreg
import hashlib
import importlib.util
import socket
import sys
import threading
from dataclasses import dataclass, is_dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from rsdetect.detectors.base import Detector, Scorer
from rsdetect.errors import DetectorError, JobInterrupted, RsdetectError
from rsdetect.reading import refuse_endless

_loading = threading.RLock()  # a file may load another


def is_own_file(name: str) -> bool:
    """True if `--detector` is the user's own file and not a registered detector."""
    return name.endswith(".py") or ".py:" in name


def own_path(name: str) -> tuple[Path, str]:
    """File and class of an own detector `FILE.py:Class`; the class is empty if only a file is given."""
    file, _, kind = name.rpartition(":") if not name.endswith(".py") else (name, "", "")
    return Path(file), kind


def full_name(name: str, folder: Path) -> str:
    """Resolve the own file in `FILE.py:Class` relative to `folder`; other names are unchanged.

    >>> full_name("cva", Path("/lists"))
    'cva'
    """
    if not is_own_file(name):
        return name
    file, kind = own_path(name)
    return f"{(folder / file).absolute()}{kind and ':'}{kind}"


def load_own(name: str) -> type[Detector]:
    """Load the class of an own file `FILE.py:Class`; without a class, the only `Detector` of the file.

    Raises
    ------
    DetectorError
        The file cannot be read or run, or has no such detector.
    """
    path, kind = own_path(name)
    module = _load(path.absolute(), _read(path))
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Detector) and value.__module__ == module.__name__
    }
    if kind in found:
        return found[kind]
    if not kind and len(found) == 1:
        return next(iter(found.values()))
    there = f"it holds {', '.join(found)}" if found else "it holds no subclass of rsdetect's Detector"
    raise DetectorError(
        f"`detector`: {path}{kind and ':'}{kind} names no detector; {there}; write FILE.py:Class."
    )


def _read(path: Path) -> bytes:
    refuse_endless(path, DetectorError)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DetectorError(
            f"`detector`: {path} cannot be read ({error.strerror}); name a file as path/to/file.py:Class."
        ) from error


def _load(path: Path, source: bytes) -> ModuleType:
    """Load the module of an own file with this content."""
    sha256 = hashlib.sha256(source).hexdigest()
    # Including the path: equal files in two folders are two modules with different `__file__`.
    where = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"rsdetect_own_{where}_{sha256[:16]}"
    with _loading:
        if name in sys.modules:
            return sys.modules[name]
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # required by dataclasses
        try:
            exec(compile(source, str(path), "exec"), vars(module))  # noqa: S102, the user's own file
        except Exception as error:
            del sys.modules[name]
            raise DetectorError(
                f"`detector`: {path} cannot be run ({type(error).__name__}: {error}); fix this first."
            ) from error
    for kind in vars(module).values():
        if not (isinstance(kind, type) and kind.__module__ == name):
            continue
        if is_dataclass(kind) or issubclass(kind, Detector | Scorer):
            copyreg.pickle(kind, partial(_reduce, str(path), sha256))
    return module


def _reduce(path: str, sha256: str, instance: Any) -> tuple[Any, ...]:
    return _rebuild, (path, sha256, type(instance).__qualname__, instance.__getstate__())


@dataclass(frozen=True)
class Unloaded(Scorer):
    """Placeholder for an instance whose own file cannot be loaded, for example on a cluster's scheduler.

    It is pickled like the instance, so that the next process tries again.
    """

    reason: str  # error message
    pickled: tuple[str, str, str, Any]  # arguments of `_rebuild`

    name = "unloaded"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self.pickled


def _rebuild(path: str, sha256: str, kind: str, state: Any) -> Any:
    """Rebuild an instance of a class of an own file; `state` as of `object.__getstate__`."""
    try:
        made: Any = vars(_load(Path(path), _same_content(path, sha256)))[kind]
    except RsdetectError as error:
        return Unloaded(str(error), (path, sha256, kind, state))
    instance = made.__new__(made)
    plain, slots = state if isinstance(state, tuple) else (state, None)
    for attributes in (plain or {}, slots or {}):
        for key, value in attributes.items():
            object.__setattr__(instance, key, value)  # of a frozen instance, too
    return instance


def _same_content(path: str, sha256: str) -> bytes:
    try:
        source = Path(path).read_bytes()
    except OSError:
        source = None
    if source is not None and hashlib.sha256(source).hexdigest() == sha256:
        return source
    seen = "does not see" if source is None else "sees another file under"
    raise JobInterrupted(
        f"the worker on {socket.gethostname()} {seen} the detector's {path}; it must lie on storage that "
        "all workers see under the same path; fix this and run the same command to resume."
    )
