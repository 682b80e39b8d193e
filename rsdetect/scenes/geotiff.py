"""GeoTIFF profiles of files that are written by windows."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import DTypeLike

from rsdetect.grid import Grid

# For files that this program alone reads, and soon: fast, and what was not written takes no room.
QUICK = {"compress": "zstd", "zstd_level": 1, "sparse_ok": True}


def geotiff_profile(
    grid: Grid, dtype: DTypeLike, *, count: int = 1, nodata: float | None = None, block: int | None = None
) -> dict[str, Any]:
    """GeoTIFF profile for `rasterio.open` of a new file on `grid`, without compression.

    Parameters
    ----------
    nodata
        None = every value counts.
    block
        Edge of the file's blocks in pixels; None = strips of rows, for files that are written at once.
    """
    tiles = {} if block is None else {"tiled": True, "blockxsize": block, "blockysize": block}
    return {
        "driver": "GTiff",
        "dtype": dtype,
        "count": count,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
        "bigtiff": "IF_SAFER",
        **tiles,
    }


@contextmanager
def checked_writing(path: Path) -> Iterator[None]:
    """Raise what GDAL only logs while a raster is written and closed.

    A block that cannot be written when GDAL empties its cache, or a close that fails, ends in a message and
    not in an error; the block is then missing, and reads as nodata.

    Raises
    ------
    OSError
        GDAL logged an error in this thread.
    """
    heard = _Heard()
    log = logging.getLogger("rasterio")
    log.addHandler(heard)
    try:
        yield
    finally:
        log.removeHandler(heard)
    if heard.errors:
        raise OSError(errno.EIO, heard.errors[0], str(path))


class _Heard(logging.Handler):
    """Keeps the errors that GDAL logs in the thread that made it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        if record.thread == self._thread:
            self.errors.append(record.getMessage())
