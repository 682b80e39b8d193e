"""Tile pieces to one Cloud-Optimized GeoTIFF, and that file read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.shutil import copy as copy_raster
from rasterio.windows import Window as RasterioWindow

from rsdetect.errors import JobInterrupted
from rsdetect.grid import Grid, Window
from rsdetect.handles import GDAL_ERRORS, one_line, open_raster, thread_handle
from rsdetect.scene import file_version, read_header
from rsdetect.scoring import NOT_OBSERVED
from rsdetect.store import WorkStore
from rsdetect.tiles import TilePlan, TileWindow

_BLOCK = 512  # edge of the file's blocks in pixels


class ProbabilityRaster:
    """A finished `change_probability.tif`, read by windows from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.grid: Grid = read_header(str(path)).grid
        self._version = file_version(str(path))

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Percent values under `window` (inside the grid), (height, width); 255 = not observed."""

        def opener(stack: ExitStack) -> Any:
            return stack.enter_context(open_raster(str(self.path)))

        dataset = thread_handle((str(self.path), self._version), opener)
        place = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        percent: NDArray[np.uint8] = dataset.read(1, window=place)
        return percent


def finish_raster(store: WorkStore, plan: TilePlan, path: Path) -> None:
    """Write the tiles of a finished plan as one Cloud-Optimized GeoTIFF at `path`.

    Memory does not grow with the raster: the tiles go into a plain tiled file first, in order, and GDAL
    copies that one into the final layout with its overviews.

    Raises
    ------
    JobInterrupted
        A tile is missing or damaged, or the disk is full; the same command carries on.
    """
    plain = path.with_name(path.stem + ".plain.tif")
    try:
        with rasterio.open(plain, "w", **_profile(plan.grid)) as mosaic:
            _describe(mosaic)
            for tile, percent in _pieces(store, plan):
                core = tile.core
                mosaic.write(
                    percent, 1, window=RasterioWindow(core.col_off, core.row_off, core.width, core.height)
                )
        copy_raster(
            plain,
            path,
            driver="COG",
            COMPRESS="DEFLATE",
            BLOCKSIZE=_BLOCK,
            BIGTIFF="IF_SAFER",
            # The mean keeps what an overview says a probability; nodata does not enter it.
            OVERVIEW_RESAMPLING="AVERAGE",
            NUM_THREADS="ALL_CPUS",
        )
    except GDAL_ERRORS as error:
        path.unlink(missing_ok=True)
        raise JobInterrupted(f"{path.name} could not be written: {one_line(error)}.") from error
    finally:
        plain.unlink(missing_ok=True)


def _pieces(store: WorkStore, plan: TilePlan) -> Iterator[tuple[TileWindow, NDArray[np.uint8]]]:
    finished = store.finished()
    for tile in plan:
        if (tile.row, tile.col) not in finished:
            continue  # outside the area of interest: the file's blocks stay empty and read as nodata
        percent = store.get(tile)
        if percent is None:
            raise JobInterrupted(
                f"the stored tile at row {tile.row}, column {tile.col} was damaged and is gone; run the same "
                "command again to score it anew."
            )
        yield tile, percent


def _profile(grid: Grid) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": NOT_OBSERVED,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "zstd",
        "zstd_level": 1,
        "sparse_ok": True,
        "bigtiff": "IF_SAFER",
    }


def _describe(mosaic: Any) -> None:
    mosaic.scales = (0.01,)
    mosaic.offsets = (0.0,)
    mosaic.set_band_description(1, "change probability")
    mosaic.update_tags(AREA_OR_POINT="Area")
