"""Band files: a scene with one file per band, read as one raster, and its name in messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from rsdetect.paths import file_name
from rsdetect.scenes.quality import MaskMeaning
from rsdetect.scenes.validity import Nodata

# Of GDAL's virtual file systems those that read a local file: an archive, a packed file, a part of a file.
_WITHIN = re.compile(r"/vsi(?:zip|tar|gzip|7z|rar)/|/vsisubfile/[0-9_]+,", re.I)


@dataclass(frozen=True)
class BandFile:
    """Band file of a scene: one band."""

    name: str  # lower case
    path: str  # absolute, or an address as GDAL takes it
    version: tuple[int, int] | None  # (bytes, modification time in ns) of a local file
    moved: bool = False  # it comes from a coarser grid

    @property
    def shown(self) -> str:
        """Path of the band file for messages and records."""
        return without_query(self.path)


@dataclass(frozen=True)
class Known:
    """Known properties of a product's band files, which override those of the files."""

    name: str | None = None  # for messages
    date: str | None = None  # ISO date
    nodata: float | None = None  # of bands whose files declare none
    mask: tuple[str, MaskMeaning] | None = None
    linear: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # scale and offset by band
    notes: tuple[str, ...] = ()
    given: Nodata = "auto"  # nodata of the user


@dataclass(frozen=True)
class BandFiles:
    """Band files of one scene. It can be pickled, and holds no open file."""

    name: str  # for messages: the product's folder or archive, or the files
    files: tuple[BandFile, ...]
    vrt: str  # GDAL opens this text as a raster with all bands on one grid
    mask: tuple[str, MaskMeaning] | None = None  # the product's own quality mask
    notes: tuple[str, ...] = field(default=(), compare=False)  # what the user should know
    known: Known = field(default_factory=Known, compare=False, repr=False)  # as stacked

    @property
    def version(self) -> tuple[int, int] | None:
        """Version of all band files: (bytes, latest modification time in ns); None if one is not local."""
        versions = [file.version for file in self.files]
        local = [version for version in versions if version is not None]
        if len(local) < len(versions):
            return None
        return sum(size for size, _ in local), max(time for _, time in local)


def name_of_files(paths: Sequence[str]) -> str:
    """Name of a list of band files for messages: files in the folder of the first one by name only.

    >>> name_of_files(["/data/B02.tif", "/data/B03.tif", "/other/B04.tif"])
    '/data/B02.tif, B03.tif, /other/B04.tif'
    """
    first, *others = (without_query(path) for path in paths)
    folder = first.removesuffix(file_name(first))
    return ", ".join([first, *(path.removeprefix(folder) for path in others)])


def without_query(path: str) -> str:
    """Path or URL of a band file without the query after `?`, which may have a signature.

    >>> without_query("/vsicurl/https://host/B04.tif?sig=secret"), without_query("/data/B04.tif")
    ('/vsicurl/https://host/B04.tif', '/data/B04.tif')
    """
    return path.partition("?")[0] if "://" in path or path.startswith("/vsicurl") else path


def file_version(path: str) -> tuple[int, int] | None:
    """Version of a local file or its archive: (bytes, modification time in ns); None for others."""
    try:
        stat = Path(archive_of(path) or path).stat()
    except (OSError, ValueError):
        return None
    return stat.st_size, stat.st_mtime_ns


def archive_of(path: str) -> str | None:
    """Local file from which GDAL reads a path such as `/vsizip/a.zip/b.tif`; None for other paths."""
    rest = path
    while found := _WITHIN.match(rest):
        rest = rest[found.end() :]
        if rest.startswith("{"):  # around an archive whose name has no suffix of archives
            rest = rest[1:].rpartition("}")[0]
    if rest == path:
        return None
    inner = PurePath(rest)
    return next((str(each) for each in (inner, *inner.parents) if Path(each).is_file()), None)


def absolute_path(path: str) -> str:
    """Path of a local file, perhaps in an archive, from the root on."""
    archive = archive_of(path)
    if archive is None:
        return str(Path(path).absolute())
    return path.replace(archive, str(Path(archive).absolute()), 1)
