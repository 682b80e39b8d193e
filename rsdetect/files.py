"""Files that appear under their final names only when complete, and hashes of content.

Content is written under a temporary name beside the target, synced to disk, and then renamed, so that neither
a kill nor a power cut leaves a partial file. If another program holds the target open, for which Windows
refuses the rename, it is retried for a moment and then reported.
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
from rsdetect.secrets import all_without_secrets

# Files that GDAL, SQLite and QGIS write beside a file. Beside its successor they would be wrong: statistics
# of other pixels, and a journal that SQLite would replay into the new database.
SIDECARS = {
    ".gpkg": ("-wal", "-shm", "-journal"),
    ".tif": (".aux.xml", ".ovr", ".msk"),
}
_WAITS_S = (
    0.05,
    0.1,
    0.2,
    0.4,
    0.8,
)  # between tries; virus scanners and indexers release files within a second
_HELD_OPEN = (5, 32, 33)  # Windows: access denied, sharing violation, lock violation
_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)  # some network and FUSE file systems
SCRATCH = "scratch"  # name of the folders of `scratch_folder`
_MARK_DIGITS, _HASH_DIGITS = 12, 16


@contextmanager
def atomic_path(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Temporary name beside `path` for a file or folder, which is renamed to `path` if no error is raised.

    Several processes may write the same `path`; the last one to finish replaces it. After an error no file
    remains. The file has the mode of the user's umask.

    Parameters
    ----------
    path
        Final name in an existing folder. An older file is replaced, as is an empty folder by a folder.
    sync
        Sync it to disk. False is for files with a checksum that can be written again.

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
    """Temporary folder inside `folder` for files to `move` when all are complete; removed at the end.

    Files in it have their own names, for writers that depend on a suffix.
    """
    scratch = _unfinished(folder / SCRATCH)
    scratch.mkdir()
    try:
        yield scratch
    finally:
        _discard(scratch)


def clear_unfinished(folder: Path, *names: str) -> None:
    """Remove files that a killed process was writing or removing in `folder`; no other may be writing.

    Parameters
    ----------
    names
        The final names of the files and folders; without any, all names, for folders with files of rsdetect
        only.
    """
    for what in [glob.escape(name) for name in names] or ["*"]:
        for left in folder.glob(f".{what}.{'[0-9a-f]' * _MARK_DIGITS}.part"):
            _discard(left)


def remove_folder(folder: Path) -> None:
    """Remove a folder and its files: it is renamed first, and then deleted.

    A process that is killed in between leaves files that `clear_unfinished` removes, and never a partial
    folder under the folder's own name.
    """
    going = _unfinished(folder)
    try:
        folder.rename(going)
    except FileNotFoundError:
        return
    _discard(going)


def free_bytes(folder: Path) -> int | None:
    """Free bytes on the disk of a folder, or of its first existing parent; None = unknown."""
    for each in (folder, *folder.absolute().parents):
        try:
            return shutil.disk_usage(each).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8; errors as `atomic_path`."""
    with atomic_path(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def move(source: Path, target: Path) -> None:
    """Rename a complete file or folder, replacing an older one, and sync it to disk."""
    _sync(source)
    replace(source, target)
    sync_entries(target.parent)


def replace(source: Path, target: Path) -> None:
    """Rename a file or folder on the same disk, replacing an older file with its sidecar files.

    Raises
    ------
    JobInterrupted
        The target cannot be replaced after several tries: another program holds it open.
    OSError
        Any other failure.
    """
    for suffix in SIDECARS.get(target.suffix, ()):
        sidecar = target.with_name(target.name + suffix)
        _retry_while_held_open(partial(sidecar.unlink, missing_ok=True), target)
    if source.is_dir() and target.is_dir():
        target.rmdir()  # Windows never renames over a folder, even an empty one
    _retry_while_held_open(partial(source.replace, target), target)


def append_text(path: Path, content: str) -> None:
    """Append text to a file and sync it to disk; a kill may leave a part of the text at the file's end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        _flush(file.fileno())


def hash_bytes(content: bytes) -> str:
    """Hash of a file's content for journals and fingerprints: 16 hex digits."""
    return hashlib.sha256(content).hexdigest()[:_HASH_DIGITS]


def hash_json(content: Any, *, sort_keys: bool = False) -> str:
    """Hash of a JSON value: 16 hex digits; other values count by their text."""
    return hash_bytes(json.dumps(content, sort_keys=sort_keys, default=str).encode())


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_random_mark()}.part")


def _random_mark() -> str:
    return uuid.uuid4().hex[:_MARK_DIGITS]


def _retry_while_held_open(action: Callable[[], object], target: Path) -> None:
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
    """Sync a file, or a folder with all its files, to disk."""
    if not path.is_dir():
        with path.open("r+b") as file:  # Windows cannot sync a file that is open read-only
            _flush(file.fileno())
        return
    for inner in path.iterdir():
        _sync(inner)
    sync_entries(path)


def sync_entries(folder: Path) -> None:
    """Sync the file names in a folder to disk, if folders can be opened (not on Windows)."""
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
    """Remove an unneeded file or folder; files that another program holds open stay."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def as_json(content: Any) -> str:
    """Content of a strict JSON file, indented, without secrets; numbers that are not finite become null."""
    return json.dumps(_safe(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_read_back(content: Any) -> Any:
    """Content as read back from the file of `as_json`; without indents, JSON is encoded in C."""
    return json.loads(json.dumps(_safe(content), ensure_ascii=False, allow_nan=False))


def _safe(content: Any) -> Any:
    """Content of a file without secrets, with null for numbers that are not finite."""
    return _nonfinite_as_none(all_without_secrets(content))


def _nonfinite_as_none(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _nonfinite_as_none(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_nonfinite_as_none(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
