"""Paths and URLs in files and on the command line.

A colon may belong to a Windows drive, a URL, a GDAL driver or a suffix of the path; it is interpreted by the
text only, so that a list has the same meaning on every system.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

_VIRTUAL = {
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "az": "/vsiaz/",
}
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
# At least two letters, because one is a drive. `NETCDF:"a.nc":band`, `https://host/a.tif`.
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]+:")


_HERE = PurePath()
# `NETCDF:"a.nc":band`: a driver in capitals, the file, perhaps in quotes, and what is taken of it.
_DRIVER = re.compile(r'(?P<driver>[A-Z][A-Z0-9_]+:)(?P<quote>"?)(?P<file>[^"]+?)(?P=quote)(?P<rest>:[^:"]*)?')


def from_folder(text: str, folder: PurePath) -> str:
    r"""Resolve a path given in a file in `folder`, for GDAL.

    URLs, virtual files, driver prefixes and absolute paths (also of Windows) are unchanged; other paths are
    relative to the folder.

    >>> from_folder("a.tif", PurePath("/lists")), from_folder("https://host/a.tif", PurePath("/lists"))
    ('/lists/a.tif', 'https://host/a.tif')
    >>> from_folder("C:/a.tif", PurePath("/lists")), from_folder(r"\\server\share\a.tif", PurePath("/lists"))
    ('C:/a.tif', '\\\\server\\share\\a.tif')
    """
    if not text.startswith("/") and _exists(folder / text):  # a time with colons in its name, say
        return str(folder / text)
    if (found := _DRIVER.fullmatch(text)) and _exists(folder / found["file"]):
        quote = found["quote"]
        return f"{found['driver']}{quote}{folder / found['file']}{quote}{found['rest'] or ''}"
    if text.startswith(("/", "\\\\")) or _DRIVE.match(text) or _PREFIX.match(text):
        return text
    return str(folder / text)


def named_or_from_folder(text: str, folder: PurePath) -> str:
    """Resolve a name (of a model) or path given in a file in `folder`; a path has a slash, or exists.

    >>> named_or_from_folder("siamese-0.5.0", PurePath("/lists"))
    'siamese-0.5.0'
    >>> named_or_from_folder("models/a.safetensors", PurePath("/lists"))
    '/lists/models/a.safetensors'
    """
    is_path = "/" in text or "\\" in text or _exists(folder / text)
    return from_folder(text, folder) if is_path else text


def layer_from_folder(text: str, folder: PurePath) -> str:
    """Resolve a vector file given in a file in `folder`, perhaps with a layer, as FILE:LAYER.

    >>> layer_from_folder("sites.gpkg:north", PurePath("/lists"))
    '/lists/sites.gpkg:north'
    >>> layer_from_folder("https://host/a.gpkg:north", PurePath("/lists"))
    'https://host/a.gpkg:north'
    """
    path, layer = split_layer(text, folder)
    return from_folder(path, folder) + ("" if layer is None else f":{layer}")


def split_layer(text: str, folder: PurePath = _HERE) -> tuple[str, str | None]:
    r"""Split a vector file and its layer, written as FILE:LAYER; a text that names a file is that file.

    >>> split_layer("sites.gpkg:north"), split_layer("sites.gpkg")
    (('sites.gpkg', 'north'), ('sites.gpkg', None))
    >>> split_layer(r"C:\sites.gpkg"), split_layer("https://host:80/sites.gpkg")
    (('C:\\sites.gpkg', None), ('https://host:80/sites.gpkg', None))
    """
    path, colon, layer = text.rpartition(":")
    if _exists(folder / text) or not colon or not layer:
        return text, None
    if ("/" in layer or "\\" in layer) and not _exists(folder / path):  # a layer's name may hold a slash
        return text, None
    return path, layer


def split_paths(text: str, folder: PurePath = _HERE) -> tuple[str, ...]:
    """Paths separated by a comma; a text that names a file is one path, whatever commas it holds.

    Parameters
    ----------
    folder
        From where relative paths count.

    >>> split_paths("a.tif,b.tif"), split_paths("a.tif"), split_paths(",b.tif")
    (('a.tif', 'b.tif'), ('a.tif',), ('', 'b.tif'))
    """
    if _exists(folder / text):
        return (text,)
    for place in (found.start() for found in re.finditer(",", text)):
        parts = text[:place], text[place + 1 :]
        if all(not part.strip() or _exists(folder / part.strip()) for part in parts):
            return parts
    return tuple(text.split(","))


def _exists(path: PurePath) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a text too long for a path, or with a zero byte in it
        return False


def as_gdal_path(address: str) -> str:
    """Convert a URL to a GDAL path, which is also valid inside a VRT.

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
    r"""Split a path and its suffix after a colon; None without a suffix.

    >>> split_path("pairs:red,green"), split_path("pairs")
    (('pairs', 'red,green'), ('pairs', None))
    >>> split_path(r"C:\pairs"), split_path("C:/pairs:1,2,3")
    (('C:\\pairs', None), ('C:/pairs', '1,2,3'))
    """
    if _exists(Path(text)):
        return text, None
    drive = 2 if _DRIVE.match(text) else 0
    path, colon, rest = text[drive:].rpartition(":")
    return (text[:drive] + path, rest) if colon else (text, None)


def file_name(path: str) -> str:
    r"""File name of a path or URL, without its folders.

    >>> file_name("/data/a.tif"), file_name(r"C:\data\a.tif"), file_name("a.tif")
    ('a.tif', 'a.tif', 'a.tif')
    """
    return re.split(r"[/\\]", path)[-1]
