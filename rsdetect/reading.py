"""Files that people give, refused where reading them would not end: FIFOs, devices, sockets, endless text."""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from functools import lru_cache
from pathlib import Path

from rsdetect.errors import InputError

MOST_TEXT_BYTES = 64 * 2**20
_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def refuse_endless(path: str | os.PathLike[str], error: type[InputError] = InputError) -> None:
    """Raise `error` where `path` exists and is neither a file nor a folder."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # reported where it is opened
        return
    for is_kind, name in _KINDS:
        if is_kind(mode):
            raise error(f"{os.fspath(path)} is {name}; give a file.")


def refuse_endless_beside(path: str | os.PathLike[str], error: type[InputError] = InputError) -> None:
    """Raise `error` as `refuse_endless`, also for files that begin with the name of a file up to its suffix.

    GDAL opens some of these with the file: masks, overviews, world files, metadata. In a folder it opens any.
    """
    refuse_endless(path, error)
    try:
        file = Path(path)
        if not file.exists():
            return
        folder, start = (file, "") if file.is_dir() else (file.parent, file.stem)
        odd = _odd_names(str(folder), folder.stat().st_mtime_ns)
    except (OSError, ValueError):
        return
    for name in odd[bisect_left(odd, start) :]:
        if not name.startswith(start):
            break
        refuse_endless(folder / name, error)


@lru_cache(maxsize=64)
def _odd_names(folder: str, modified_ns: int) -> list[str]:
    """Names in a folder that are neither files nor folders but perhaps by a link, in order.

    A folder of thousands of scenes is listed once, and again after each change of its entries.
    """
    with os.scandir(folder) as entries:
        return sorted(
            each.name
            for each in entries
            if not each.is_file(follow_symlinks=False) and not each.is_dir(follow_symlinks=False)
        )


def read_text(path: Path, what: str, *, encoding: str = "utf-8", most_bytes: int = MOST_TEXT_BYTES) -> str:
    """The text of a file.

    Parameters
    ----------
    what
        What the file should be, for errors: "a job file".

    Raises
    ------
    InputError
        It is not there, no file, no text in UTF-8, or larger than `most_bytes`.
    """
    try:
        refuse_endless(path)
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # a name with a null character is a ValueError
        told = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be read as {what}: {told or error}.") from error
    if len(content) > most_bytes:
        raise InputError(f"{path} is larger than {most_bytes >> 20} MiB, and so not {what}.")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8, and so not {what}.") from error
