"""Named files: the local files that a name for GDAL leads to, refused where opening one would not end.

A name may be a path, a path into an archive, a driver with a file, or a virtual raster, as a file or as text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePath

from rsdetect.errors import InputError
from rsdetect.reading import MOST_TEXT_BYTES, refuse_endless, refuse_endless_beside

VIRTUAL_RASTER = "<VRTDataset"
_HEAD = 1024  # bytes within which a file says that it is a virtual raster
_MOST_LEVELS = 8  # of virtual rasters that name virtual rasters
_SOURCE = re.compile(r"<Source(?:Filename|Dataset)\b[^>]*>([^<]+)<")
_PARTS = re.compile(r'[:"?,{}&=]')  # between a driver, a file, and what is taken of it
_VIRTUAL_SYSTEM = re.compile(r"(?:/vsi\w+/)+")


def refuse_endless_named(name: str, error: type[InputError] = InputError, levels: int = _MOST_LEVELS) -> None:
    """Raise `error` where a name for GDAL leads to a FIFO, device or socket, or one lies beside the file."""
    refuse_endless_beside(name, error)
    if name.lstrip().startswith(VIRTUAL_RASTER):
        sources = _sources(name)
    elif is_virtual_raster(name):
        sources = _sources_of_file(name, *_state(name))
    else:
        for path in _paths_in(name):
            refuse_endless(path, error)
        return
    for source in sources if levels else ():
        refuse_endless_named(source, error, levels - 1)


def is_virtual_raster(path: str) -> bool:
    """True for a local file that holds a virtual raster."""
    if Path(path).suffix.lower() not in (".vrt", ".xml"):
        return False
    try:
        if not Path(path).is_file():
            return False
        with Path(path).open("rb") as file:
            return VIRTUAL_RASTER.encode() in file.read(_HEAD)
    except (OSError, ValueError):
        return False


def _paths_in(name: str) -> Iterator[str]:
    """Paths that a name may hold.

    >>> list(_paths_in('HDF5:"a.h5"://red')), list(_paths_in("/vsizip/a.zip/b.tif"))
    (['HDF5', 'a.h5', 'red'], ['a.zip/b.tif', 'a.zip'])
    """
    for part in dict.fromkeys((name, *_PARTS.split(name))):
        system = _VIRTUAL_SYSTEM.match(part)
        if system is not None:
            inner = PurePath(part[system.end() :])
            yield from (str(each) for each in (inner, *inner.parents) if each.name)
        elif part and not _PARTS.search(part):
            yield part.removeprefix("//")  # of `vrt://a.tif`


def _state(path: str) -> tuple[int, int]:
    found = Path(path).stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=64)  # a mosaic has thousands of sources, and is opened by every thread
def _sources_of_file(path: str, size: int, modified_ns: int) -> tuple[str, ...]:
    with Path(path).open(encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(MOST_TEXT_BYTES)
    folder = Path(path).parent
    return tuple(str(folder / source) for source in _sources(text))  # an absolute one stays as it is


def _sources(text: str) -> tuple[str, ...]:
    """Names of the sources in the text of a virtual raster."""
    return tuple(dict.fromkeys(html.unescape(name).strip() for name in _SOURCE.findall(text)))
