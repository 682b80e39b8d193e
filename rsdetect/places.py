"""Where a path or an address that stands in a file leads."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

_VIRTUAL = {
    "http": "/vsicurl/http://",
    "https": "/vsicurl/https://",
    "s3": "/vsis3/",
    "gs": "/vsigs/",
    "az": "/vsiaz/",
}


def from_folder(text: str, folder: Path) -> str:
    """A path that stands in a file of `folder`, as GDAL takes it.

    Addresses, virtual files and names of drivers stay as they are; any other relative path counts from the
    folder.

    >>> from_folder("a.tif", Path("/lists")), from_folder("https://host/a.tif", Path("/lists"))
    ('/lists/a.tif', 'https://host/a.tif')
    """
    if ":" in text or text.startswith("/"):
        return text
    return str(folder / text)


def as_gdal_path(address: str) -> str:
    """An address as GDAL itself takes it, inside a VRT too, where nobody translates it.

    >>> as_gdal_path("s3://bucket/a.tif"), as_gdal_path("file:///data/a%20b.tif"), as_gdal_path("/a.tif")
    ('/vsis3/bucket/a.tif', '/data/a b.tif', '/a.tif')
    """
    scheme, _, rest = address.partition("://")
    if scheme == "file":
        return unquote(urlsplit(address).path)
    return _VIRTUAL[scheme] + rest if rest and scheme in _VIRTUAL else address
