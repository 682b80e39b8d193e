"""The files behind a scene as they were when its header was read, and whether they still are."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsdetect.errors import SourceChanged
from rsdetect.scenes.band_files import archive_of

_NODE = platform.node()
_NETWORK_NS = 1000  # to which file systems of a network may round times
_MOST_LEVELS = 8  # of virtual rasters that name virtual rasters


@dataclass(frozen=True)
class WatchedFile:
    """State of a local file, by which a later file of the same name is distinguished."""

    path: str
    size: int  # bytes
    modified_ns: int
    place: tuple[str, int, int]  # machine, device and inode; compared on that device of that machine only

    @classmethod
    def of(cls, path: str) -> WatchedFile | None:
        """The file as it is now; None where there is no local file of that name."""
        try:
            found = Path(path).stat()
        except (OSError, ValueError):
            return None
        return cls(path, found.st_size, found.st_mtime_ns, (_NODE, found.st_dev, found.st_ino))

    def difference(self) -> str:
        """Difference from the file as it is now, as text; empty if there is none."""
        now = WatchedFile.of(self.path)
        if now is None:
            return "it is gone"
        if now.size != self.size:
            return f"{self.size:,} bytes before, {now.size:,} now"
        unit = 1 if now.place[0] == self.place[0] else _NETWORK_NS
        if now.modified_ns // unit != self.modified_ns // unit:
            return "it has another time of modification"
        if now.place[:2] == self.place[:2] and now.place != self.place:
            return "another file has its name"
        return ""


def watch(paths: Iterable[str]) -> tuple[WatchedFile, ...]:
    """The local ones of some files, and the archives of those that lie in one."""
    found = (WatchedFile.of(archive_of(path) or path) for path in dict.fromkeys(paths))
    return tuple(each for each in found if each is not None)


def files_of(dataset: Any) -> list[str]:
    """Every file that an open dataset is made of: itself, what lies beside it, and what a VRT names.

    Parameters
    ----------
    dataset
        An open rasterio dataset.
    """
    found: list[str] = []
    _add_files(dataset, found, _MOST_LEVELS)
    return found


def _add_files(dataset: Any, found: list[str], levels: int) -> None:
    import rasterio

    for path in dataset.files:
        if path in found:
            continue
        found.append(path)
        inner = Path(path).suffix.lower() == ".vrt" and path != dataset.name
        if inner and levels and Path(path).is_file():
            with rasterio.open(path) as below:
                _add_files(below, found, levels - 1)


def require_unchanged(watched: Iterable[WatchedFile]) -> None:
    """Raise `SourceChanged` where a file is another by now."""
    for file in watched:
        what = file.difference()
        if what:
            raise SourceChanged(
                f"{file.path} changed while the job ran ({what}); nothing was published, and the same "
                "command starts with the file as it is now."
            )
