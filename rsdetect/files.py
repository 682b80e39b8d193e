"""Files that appear under their names only when they are whole, and names made of their content.

What is written goes under an unfinished name beside the target, to the disk, and then under its own name, so
that neither a kill nor a power cut leaves half a file where a whole one is expected. Where the name is held
open by another program, as Windows then refuses the rename, it is tried for a moment and then said.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import json
import math
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from rsdetect.errors import JobInterrupted

# What GDAL, SQLite and QGIS put beside a file. Beside its successor it would lie: statistics of other pixels,
# and a journal that SQLite would play back into the new database.
SIDECARS = {
    ".gpkg": ("-wal", "-shm", "-journal"),
    ".tif": (".aux.xml", ".ovr", ".msk"),
}
_WAITS_S = (0.05, 0.1, 0.2, 0.4, 0.8)  # between tries; virus scanners and indexers let go within a second
_HELD_OPEN = (5, 32, 33)  # Windows: access denied, sharing violation, lock violation
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # some network and FUSE file systems
_MAY_PASS = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EIO", "EMFILE", "ENFILE", "ENOMEM", "ESTALE", "ETIMEDOUT", "EINTR")
    if hasattr(errno, name)
} | {errno.EAGAIN, errno.EBUSY}
SCRATCH = "scratch"  # what folders of `scratch_folder` are called
_MARK_DIGITS, _HASH_DIGITS = 12, 16


@contextmanager
def atomic_path(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """A free name beside `path` for a file or a folder, which appears at `path` if no error is raised.

    Several processes may write the same `path`; the last one to finish replaces it. After an error nothing
    is left. The file has the mode of any that the caller makes, by the user's umask.

    Parameters
    ----------
    path
        Its folder must exist. An older file is replaced, as is an empty folder by a folder.
    sync
        Wait until the disk has it. False is for what carries a checksum and can be made again.

    Raises
    ------
    OSError
        The disk is full, or the folder cannot be written.
    JobInterrupted
        Another program holds the older file open.
    """
    unfinished = _unfinished(path)
    try:
        yield unfinished
        if sync:
            move(unfinished, path)
        else:
            replace(unfinished, path)
    finally:
        _discard(unfinished)


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """A new folder inside `folder`, for files that are moved (`move`) once all are whole; it goes afterwards.

    Files in it carry their own names, for writers that go by a suffix.
    """
    scratch = _unfinished(folder / SCRATCH)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        _discard(scratch)


def clear_unfinished(folder: Path, *names: str) -> None:
    """Remove what a killed process was writing or removing in `folder`; no other may be writing.

    Parameters
    ----------
    names
        The final names of the files and folders; without any, those of every name, for folders that hold
        nothing but what rsdetect writes.
    """
    for what in [glob.escape(name) for name in names] or ["*"]:
        for left in folder.glob(f".{what}.{'[0-9a-f]' * _MARK_DIGITS}.part"):
            _discard(left)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that it holds: it goes from its name at once, and then from the disk.

    A process that is killed on the way leaves what `clear_unfinished` removes, and never half a folder under
    the folder's own name.
    """
    going = _unfinished(folder)
    try:
        folder.rename(going)
    except FileNotFoundError:
        return
    _discard(going)


def free_bytes(folder: Path) -> int | None:
    """Free bytes on the disk of a folder, or of the first one above it that is there; None = unknown."""
    for each in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(each).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def is_passing(error: OSError) -> bool:
    """Whether what went wrong may be gone next time: a full or failing disk, and not a missing right."""
    return error.errno in _MAY_PASS


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8; errors as `atomic_path`."""
    with atomic_path(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def move(source: Path, target: Path) -> None:
    """Rename what is whole, in the place of an older file, and wait until the disk has it."""
    _sync(source)
    replace(source, target)
    sync_entries(target.parent)


def replace(source: Path, target: Path) -> None:
    """Rename a file or folder on the same disk, in the place of an older file and what lies beside it.

    Raises
    ------
    JobInterrupted
        The target still cannot be replaced after a moment: another program holds it open.
    OSError
        Any other failure.
    """
    for suffix in SIDECARS.get(target.suffix, ()):
        sidecar = target.with_name(target.name + suffix)
        _patiently(partial(sidecar.unlink, missing_ok=True), target)
    if source.is_dir() and target.is_dir():
        target.rmdir()  # Windows renames over no folder, not even an empty one
    _patiently(partial(source.replace, target), target)


def hash_bytes(content: bytes) -> str:
    """16 hexadecimal digits that name content in journals and fingerprints."""
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


def hash_json(content: Any, *, sort_keys: bool = False) -> str:
    """16 hexadecimal digits of what JSON can hold; anything else counts by its text."""
    return hash_bytes(json.dumps(content, sort_keys=sort_keys, default=str).encode())


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_mark()}.part")


def _mark() -> str:
    return uuid.uuid4().hex[:_MARK_DIGITS]


def _patiently(action: Callable[[], object], target: Path) -> None:
    for wait in (*_WAITS_S, None):
        try:
            action()
            return
        except OSError as error:
            if not isinstance(error, PermissionError) and getattr(error, "winerror", None) not in _HELD_OPEN:
                raise
            if wait is None:
                raise JobInterrupted(
                    f"{target} cannot be replaced ({error.strerror or error}): another program probably "
                    "holds it open; close it there and run the same command again."
                ) from error
            time.sleep(wait)


def _sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder with all that it holds."""
    if not path.is_dir():
        with path.open("r+b") as file:  # Windows syncs no file that is open for reading only
            _flush(file.fileno())
        return
    for inner in path.iterdir():
        _sync(inner)
    sync_entries(path)


def sync_entries(folder: Path) -> None:
    """Wait until the disk has the names in a folder, where a folder can be opened (not on Windows)."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _flush(descriptor)
        finally:
            os.close(descriptor)


def _flush(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _discard(path: Path) -> None:
    """Remove a file or folder that is of no use; what another program holds open stays."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def as_json(content: Any) -> str:
    """Strict JSON for people: a number that is not finite, which JSON has no word for, becomes null."""
    return json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
