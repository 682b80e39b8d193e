"""Rasters of a monitoring job: GeoTIFFs derived from its scenes, written by windows and then renamed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rasterio

from rsdetect.arraytypes import Float32Array
from rsdetect.errors import JobInterrupted
from rsdetect.files import atomic_path
from rsdetect.grid import Grid, Window
from rsdetect.scenes.geotiff import QUICK, geotiff_profile
from rsdetect.scenes.handles import GDAL_ERRORS, gdal_window, one_line

_BLOCK = 256  # block edge in pixels
_DIGITS = 16
_WRITE_ERRORS: tuple[type[Exception], ...] = (*GDAL_ERRORS, OSError)


def write_raster(
    path: Path, grid: Grid, names: tuple[str, ...], pieces: Iterable[tuple[Window, Float32Array]]
) -> str:
    """Write (bands, height, width) float32 blocks, NaN where invalid, as one GeoTIFF of the job.

    Pixels outside all blocks are invalid. Equal blocks in equal order give equal hashes.

    Returns
    -------
    str
        Hash of all values.

    Raises
    ------
    JobInterrupted
        The disk is full, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    profile = geotiff_profile(grid, "float32", count=len(names), nodata=np.nan, block=_BLOCK)
    profile |= {**QUICK, "predictor": 3}
    try:
        with atomic_path(path) as unfinished, rasterio.open(unfinished, "w", **profile) as raster:
            raster.descriptions = [name or None for name in names]
            for window, values in pieces:
                digest.update(repr(window).encode())
                digest.update(np.ascontiguousarray(values).tobytes())
                raster.write(values, window=gdal_window(window))
    except _WRITE_ERRORS as error:
        raise JobInterrupted(
            f"{path} could not be written: {one_line(error)}; fix that and run the job again to resume."
        ) from error
    return digest.hexdigest()[:_DIGITS]
