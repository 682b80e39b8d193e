"""Files that people give, refused where reading them would not end: FIFOs, devices, sockets, endless text."""

from __future__ import annotations

import os
import stat
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
        with os.scandir(folder) as entries:
            odd = [
                each.path
                for each in entries
                if each.name.startswith(start) and not each.is_file() and not each.is_dir()
            ]
    except (OSError, ValueError):
        return
    for each in odd:
        refuse_endless(each, error)


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
