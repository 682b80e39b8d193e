"""Watched files: detect input files that changed since the header of their scene was read."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rsdetect.errors import SourceChanged
from rsdetect.scenes.band_files import archive_of
from rsdetect.scenes.named_files import is_virtual_raster
from rsdetect.scenes.remote import addresses_in
from rsdetect.scenes.remote_files import RemoteFile

_NODE = platform.node()
_NETWORK_NS = 1000  # network file systems may round times to this
_MOST_LEVELS = 8  # of virtual rasters that name virtual rasters


@dataclass(frozen=True)
class WatchedFile:
    """State of a local file when its header was read, to detect a change."""

    path: str
    size: int  # bytes
    modified_ns: int
    place: tuple[str, int, int]  # machine, device and inode; compared on that device of that machine only

    @classmethod
    def of(cls, path: str) -> WatchedFile | None:
        """The current state of the file; None if there is no local file of that name."""
        try:
            found = Path(path).stat()
        except (OSError, ValueError):
            return None
        # Absolute: workers of a cluster may have another working directory.
        return cls(
            str(Path(path).absolute()), found.st_size, found.st_mtime_ns, (_NODE, found.st_dev, found.st_ino)
        )

    def difference(self) -> str:
        """Difference from the current state of the file, as text; empty if there is none."""
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


Watched: TypeAlias = WatchedFile | RemoteFile


def watch(paths: Iterable[str], known: Iterable[Watched] = ()) -> tuple[Watched, ...]:
    """Watch files of this machine and on servers, and the archives of those inside one.

    Parameters
    ----------
    known
        Earlier states of some, which are kept; of a file on a server, another request is saved.
    """
    earlier = {each.path: each for each in known if isinstance(each, RemoteFile)}
    found: list[Watched | None] = []
    for path in dict.fromkeys(paths):
        addresses = addresses_in(path)
        found += [earlier.get(each) or RemoteFile.of(each) for each in addresses]
        if not addresses:
            found.append(WatchedFile.of(archive_of(path) or path))
    return tuple(each for each in found if each is not None)


def files_of(dataset: Any) -> list[str]:
    """Every file to watch for an open dataset: itself, its sidecar files, and the sources of a VRT.

    Parameters
    ----------
    dataset
        An open rasterio dataset.
    """
    found: list[str] = []
    if dataset.driver == "GTI":
        found += _tiles_of_index(dataset.name.removeprefix("GTI:"))
    _add_files(dataset, found, _MOST_LEVELS)
    return found


def _tiles_of_index(index: str) -> list[str]:
    """A tile index of GDAL's driver GTI, which lists none of them, and its tiles."""
    import pyogrio

    try:
        names, tiles = pyogrio.raw.read(index, read_geometry=False)[::3]
        places = tiles[list(names["fields"]).index("location")]
    except (pyogrio.errors.DataSourceError, ValueError, IndexError):  # a description in XML, say
        return [index]
    return [index, *(str(Path(index).parent / place) for place in places)]


def _add_files(dataset: Any, found: list[str], levels: int) -> None:
    import rasterio

    for path in dataset.files:
        if path in found:
            continue
        found.append(path)
        if levels and path != dataset.name and is_virtual_raster(path):
            with rasterio.open(path) as below:
                _add_files(below, found, levels - 1)


def require_unchanged(watched: Iterable[Watched]) -> None:
    """Raise `SourceChanged` if a watched file has changed, `SourceUnavailable` if its server is silent."""
    for file in watched:
        what = file.difference()
        if what:
            raise SourceChanged(
                f"{file.path} changed while the job ran ({what}); nothing was published, and the same "
                "command starts with the file as it is now."
            )
