"""Rasters of a monitoring job: GeoTIFFs derived from its scenes, written by windows and then renamed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from rsdetect.arraytypes import Float32Array
from rsdetect.errors import JobInterrupted, ResultMismatch
from rsdetect.files import atomic_path
from rsdetect.grid import Grid, Window
from rsdetect.scenes.geotiff import QUICK, checked_writing, geotiff_profile
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
    ResultMismatch
        What is read from the finished file is not what was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    windows = []
    profile = geotiff_profile(grid, "float32", count=len(names), nodata=np.nan, block=_BLOCK)
    profile |= {**QUICK, "predictor": 3}
    try:
        with atomic_path(path) as unfinished:
            with checked_writing(path), rasterio.open(unfinished, "w", **profile) as raster:
                raster.descriptions = [name or None for name in names]
                for window, values in pieces:
                    _add(digest, window, values)
                    windows.append(window)
                    raster.write(values, window=gdal_window(window))
            _require_same(unfinished, path, windows, digest.hexdigest())
    except _WRITE_ERRORS as error:
        raise JobInterrupted(
            f"{path} could not be written: {one_line(error)}; fix that and run the job again to resume."
        ) from error
    return digest.hexdigest()[:_DIGITS]


def _add(digest: Any, window: Window, values: Float32Array) -> None:
    digest.update(repr(window).encode())
    digest.update(np.ascontiguousarray(values).tobytes())


def _require_same(unfinished: Path, path: Path, windows: list[Window], expected: str) -> None:
    """Read the written raster again, and compare it with the values."""
    digest = hashlib.sha256()
    with rasterio.open(unfinished) as raster:
        for window in windows:
            _add(digest, window, raster.read(window=gdal_window(window)))
    if digest.hexdigest() != expected:
        raise ResultMismatch(
            f"scenes: {path} does not hold the pixels that were written; run the job again to make it again."
        )
