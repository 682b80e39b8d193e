"""Where a path or an address leads that stands in a file or on the command line.

A colon may belong to a Windows drive, a URL, a driver of GDAL or what comes after the path; which of these is
read from the text alone, so that a list means the same on every system.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

_VIRTUAL = {
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "az": "/vsiaz/",
}
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
# Two letters at least: one is a drive, if anything. `NETCDF:"a.nc":band`, `https://host/a.tif`.
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]+:")


def from_folder(text: str, folder: PurePath) -> str:
    r"""A path that stands in a file of `folder`, as GDAL takes it.

    Addresses, virtual files, names of drivers and absolute paths (of Windows, too) stay as they are; any
    other path counts from the folder.

    >>> from_folder("a.tif", PurePath("/lists")), from_folder("https://host/a.tif", PurePath("/lists"))
    ('/lists/a.tif', 'https://host/a.tif')
    >>> from_folder("C:/a.tif", PurePath("/lists")), from_folder(r"\\server\share\a.tif", PurePath("/lists"))
    ('C:/a.tif', '\\\\server\\share\\a.tif')
    """
    if text.startswith(("/", "\\\\")) or _DRIVE.match(text) or _PREFIX.match(text):
        return text
    return str(folder / text)


def as_gdal_path(address: str) -> str:
    """An address as GDAL itself takes it, inside a VRT too, where nobody translates it.

    >>> as_gdal_path("s3://bucket/a.tif"), as_gdal_path("file:///data/a%20b.tif"), as_gdal_path("/a.tif")
    ('/vsis3/bucket/a.tif', '/data/a b.tif', '/a.tif')
    >>> as_gdal_path("file:///C:/a.tif"), as_gdal_path("file://server/share/a.tif")
    ('C:/a.tif', '//server/share/a.tif')
    """
    scheme, _, rest = address.partition("://")
    if scheme == "file":
        parts = urlsplit(address)
        path = unquote(parts.path)
        if parts.netloc not in ("", "localhost"):
            return f"//{parts.netloc}{path}"
        return path[1:] if _DRIVE.match(path[1:]) else path
    return _VIRTUAL[scheme] + rest if rest and scheme in _VIRTUAL else address


def split_path(text: str) -> tuple[str, str | None]:
    r"""A path and what follows it after a colon; None where nothing does.

    >>> split_path("pairs:red,green"), split_path("pairs")
    (('pairs', 'red,green'), ('pairs', None))
    >>> split_path(r"C:\pairs"), split_path("C:/pairs:1,2,3")
    (('C:\\pairs', None), ('C:/pairs', '1,2,3'))
    """
    drive = 2 if _DRIVE.match(text) else 0
    path, colon, rest = text[drive:].rpartition(":")
    return (text[:drive] + path, rest) if colon else (text, None)


def file_name(path: str) -> str:
    r"""The name of a file without its folders, of a path or an address.

    >>> file_name("/data/a.tif"), file_name(r"C:\data\a.tif"), file_name("a.tif")
    ('a.tif', 'a.tif', 'a.tif')
    """
    return re.split(r"[/\\]", path)[-1]
