"""Probability raster: writing tiles as one Cloud-Optimized GeoTIFF, and reading it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.shutil import copy as copy_raster

from rsdetect.errors import JobInterrupted, ResultMismatch
from rsdetect.geopackage.styles.raster_style import raster_style
from rsdetect.grid import Grid, Window
from rsdetect.percent import NOT_OBSERVED
from rsdetect.scenes.band_files import file_version
from rsdetect.scenes.geotiff import QUICK, checked_writing, geotiff_profile
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
from rsdetect.scenes.watched import Watched
from rsdetect.scoring.overviews import CELL, CellSums
from rsdetect.scoring.store import WorkStore
from rsdetect.scoring.tally import RasterTally, TileTally, checksum_of, place
from rsdetect.tiles import TileWindow

# rasterio raises SystemError where a call of GDAL failed and left no message, as on a full disk.
_WRITE_ERRORS: tuple[type[Exception], ...] = (*GDAL_ERRORS, OSError, SystemError)
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
        return _percent(dataset, self.path, gdal_window(window))


@with_gdal_environment
def read_whole_raster(path: Path) -> NDArray[np.uint8]:
    """Percent values of a small finished probability raster, (height, width); 255 = not observed."""
    with open_raster(str(path)) as dataset:
        return _percent(dataset, path, None)


def _percent(
    dataset: Any, path: Path, window: tuple[tuple[int, int], tuple[int, int]] | None
) -> NDArray[np.uint8]:
    try:
        percent: NDArray[np.uint8] = dataset.read(1, window=window)
    except GDAL_ERRORS as error:
        what = f"{path} is damaged, run detect again"
        raise read_failure(what, error, is_local=file_version(str(path)) is not None) from error
    return percent


def finish_raster(
    store: WorkStore,
    grid: Grid,
    tiles: Iterable[TileWindow],
    path: Path,
    tags: Mapping[str, str] | None = None,
) -> RasterTally:
    """Write finished tiles as one Cloud-Optimized GeoTIFF at `path`, and verify it.

    Pixels without a tile are nodata. Memory does not grow with the raster: the tiles are first written in
    order to a plain tiled file, which GDAL copies into the final layout with overviews.

    Parameters
    ----------
    tags
        Metadata of the file.

    Returns
    -------
    RasterTally
        Sums of the tiles, as they were scored.

    Raises
    ------
    JobInterrupted
        A tile is missing or damaged, or the disk is full; the same command resumes the job.
    ResultMismatch
        The finished file differs from the tiles.
    """
    plain = path.with_name(path.stem + ".plain.tif")
    written = _Written()
    try:
        with checked_writing(plain):
            _write_plain(plain, grid, written.pieces(store, tiles), tags or {})
        with checked_writing(path):
            copy_raster(
                plain,
                path,
                driver="COG",
                COMPRESS="DEFLATE",
                LEVEL=3,  # twice as fast as the usual 6, and a tenth larger
                BLOCKSIZE=_BLOCK,
                BIGTIFF="IF_SAFER",
                # The mean keeps what an overview says a probability; nodata does not enter it.
                OVERVIEW_RESAMPLING="AVERAGE",
                NUM_THREADS="ALL_CPUS",
            )
        _require_same(path, written.tallies)
    except ResultMismatch:
        path.unlink(missing_ok=True)
        raise
    except _WRITE_ERRORS as error:
        path.unlink(missing_ok=True)
        raise JobInterrupted(
            f"{path.name} could not be written: {one_line(error)}; fix this and run the same "
            "command to resume."
        ) from error
    finally:
        with suppress(OSError):
            plain.unlink(missing_ok=True)
    return written.total()


def require_kept(finished: Iterable[Watched]) -> None:
    """Raise `ResultMismatch` if the raster file changed after it was finished and verified."""
    for file in finished:
        what = file.difference()
        if what:
            raise ResultMismatch(
                f"raster: {file.path} changed after it was finished ({what}); run the same command again."
            )


def write_raster_style(path: Path, level: int) -> None:
    """Write the style of a probability raster for a threshold of `level` percent.

    QGIS applies a `.qml` next to its `.tif`.
    """
    path.write_text(raster_style(level), encoding="utf-8")


def _write_plain(
    path: Path, grid: Grid, pieces: Iterable[tuple[Window, NDArray[np.uint8]]], tags: Mapping[str, str]
) -> None:
    profile = geotiff_profile(grid, "uint8", nodata=NOT_OBSERVED, block=_BLOCK)
    with rasterio.open(path, "w", **profile, **QUICK) as mosaic:
        _describe(mosaic, tags)
        for core, percent in pieces:
            mosaic.write(percent, 1, window=gdal_window(core))


class _Written:
    """Tiles on their way into the raster, each of which must be what was scored and come once."""

    def __init__(self) -> None:
        self.tallies: dict[TileWindow, TileTally] = {}

    def pieces(
        self, store: WorkStore, tiles: Iterable[TileWindow]
    ) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
        for tile in tiles:
            found = store.read(tile)
            if found is None:
                raise JobInterrupted(
                    f"the finished tile at row {tile.row}, column {tile.col} is missing from {store.folder} "
                    "or damaged; run the same command again to score it again (the workers of a cluster must "
                    "share that folder)."
                )
            percent, tally = found
            if tile in self.tallies:
                raise ResultMismatch(f"raster, {place(tile)}: it is written twice.")
            self.tallies[tile] = tally
            yield tile.core, percent

    def total(self) -> RasterTally:
        every = self.tallies.values()
        return RasterTally(sum(tally.observed for tally in every), sum(tally.percent for tally in every))


def _require_same(path: Path, tallies: dict[TileWindow, TileTally]) -> None:
    """Read the finished raster once, and compare it with the tiles, and each overview with its level.

    GDAL does not always say that a disk filled up, or failed, when it closed a file.
    """
    with rasterio.open(path) as raster:
        levels = len(raster.overviews(1))
        above = CellSums(raster.shape, 2 * CELL)
        for tile, tally in tallies.items():
            values = raster.read(1, window=gdal_window(tile.core))
            if checksum_of(values) != tally.checksum:
                raise ResultMismatch(
                    f"raster, {place(tile)} (rows from {tile.core.row_off}, columns from "
                    f"{tile.core.col_off}): {path.name} does not hold what was scored; run the "
                    "same command to write it again."
                )
            above.add(tile.core, values)
    _require_same_overviews(path, levels, above)


def _require_same_overviews(path: Path, levels: int, above: CellSums) -> None:
    """Compare each overview of the raster with the level below it, of which the first is `above`."""
    for level in range(levels):
        with rasterio.open(path, overview_level=level) as raster:
            sums, below = CellSums(raster.shape, CELL), CellSums(raster.shape, 2 * CELL)
            for rows in Window(0, 0, *raster.shape).blocks(CELL, raster.width):
                values = raster.read(1, window=gdal_window(rows))
                sums.add(rows, values)
                below.add(rows, values)
        cell = above.first_mismatch(sums)
        if cell is not None:
            raise ResultMismatch(
                f"raster, overview {level + 1}, rows from {cell[0] * CELL}, columns from {cell[1] * CELL}: "
                f"{path.name} does not show what lies below; run the same command to write it again."
            )
        above = below


def _describe(mosaic: Any, tags: Mapping[str, str]) -> None:
    mosaic.scales = (0.01,)
    mosaic.offsets = (0.0,)
    mosaic.set_band_description(1, "change probability")
    mosaic.update_tags(AREA_OR_POINT="Area", **tags)
