"""Probability raster: writing tiles as one Cloud-Optimized GeoTIFF, and reading it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.shutil import copy as copy_raster

from rsdetect.errors import JobInterrupted
from rsdetect.geopackage.styles import read_style
from rsdetect.grid import Grid, Window
from rsdetect.percent import NOT_OBSERVED
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.geotiff import QUICK, geotiff_profile
from rsdetect.scenes.handles import (
    GDAL_ERRORS,
    gdal_window,
    keep_open,
    one_line,
    open_raster,
    read_failure,
    thread_handle,
    with_gdal_environment,
)
from rsdetect.scenes.header import read_header
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import TileWindow

_BLOCK = 512  # edge of the file's blocks in pixels


class ProbabilityRaster:
    """Finished probability raster `change_probability.tif`, read by windows from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.grid: Grid = read_header(str(path)).grid
        self._version = file_version(str(path))

    @with_gdal_environment
    def read(self, window: Window) -> NDArray[np.uint8]:
        """Percent values of the raster in `window` (inside the grid), (height, width); 255 = not observed."""

        def opener(stack: ExitStack) -> Any:
            return keep_open(open_raster(str(self.path)), stack)

        dataset = thread_handle((str(self.path), self._version), opener)
        try:
            percent: NDArray[np.uint8] = dataset.read(1, window=gdal_window(window))
        except GDAL_ERRORS as error:
            what = f"{self.path} is damaged, run detect again"
            raise read_failure(what, error, is_local=self._version is not None) from error
        return percent


def finish_raster(store: WorkStore, grid: Grid, tiles: Iterable[TileWindow], path: Path) -> None:
    """Write finished tiles as one Cloud-Optimized GeoTIFF at `path`, with its style next to it.

    Pixels without a tile are nodata. Memory does not grow with the raster: the tiles are first written in
    order to a plain tiled file, which GDAL copies into the final layout with overviews.

    Raises
    ------
    JobInterrupted
        A tile is missing or damaged, or the disk is full; the same command resumes the job.
    """
    plain = path.with_name(path.stem + ".plain.tif")
    try:
        _write_plain(plain, grid, _pieces(store, tiles))
        copy_raster(
            plain,
            path,
            driver="COG",
            COMPRESS="DEFLATE",
            LEVEL=3,  # twice as fast as the default 6, and a tenth larger
            BLOCKSIZE=_BLOCK,
            BIGTIFF="IF_SAFER",
            # The mean of probabilities is a probability; nodata is ignored.
            OVERVIEW_RESAMPLING="AVERAGE",
            NUM_THREADS="ALL_CPUS",
        )
        _require_readable(path)
    except GDAL_ERRORS as error:
        path.unlink(missing_ok=True)
        raise JobInterrupted(
            f"{path.name} could not be written: {one_line(error)}; fix this and run the same "
            "command to resume."
        ) from error
    finally:
        plain.unlink(missing_ok=True)
    write_raster_style(path.with_suffix(".qml"))


def write_raster_style(path: Path) -> None:
    """Write the style of a probability raster; QGIS applies a `.qml` next to its `.tif`."""
    path.write_text(read_style("change_probability.qml"), encoding="utf-8")


def _write_plain(path: Path, grid: Grid, pieces: Iterable[tuple[Window, NDArray[np.uint8]]]) -> None:
    profile = geotiff_profile(grid, "uint8", nodata=NOT_OBSERVED, block=_BLOCK)
    with rasterio.open(path, "w", **profile, **QUICK) as mosaic:
        _describe(mosaic)
        for core, percent in pieces:
            mosaic.write(percent, 1, window=gdal_window(core))


def _pieces(store: WorkStore, tiles: Iterable[TileWindow]) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
    for tile in tiles:
        percent = store.get(tile)
        if percent is None:
            raise JobInterrupted(
                f"the finished tile at row {tile.row}, column {tile.col} is missing from {store.folder} "
                "or damaged; run the same command again to score it again (the workers of a cluster must "
                "share that folder)."
            )
        yield tile.core, percent


def _require_readable(path: Path) -> None:
    """Verify a raster by reading it with its overviews: GDAL does not report a full disk on closing."""
    with rasterio.open(path) as raster:
        levels = len(raster.overviews(1))
    for level in (None, *range(levels)):
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(path, **options) as raster:
            for rows in Window(0, 0, *raster.shape).blocks(_BLOCK, raster.width):
                raster.read(1, window=gdal_window(rows))


def _describe(mosaic: Any) -> None:
    mosaic.scales = (0.01,)
    mosaic.offsets = (0.0,)
    mosaic.set_band_description(1, "change probability")
    mosaic.update_tags(AREA_OR_POINT="Area")
