"""Lazy xarray arrays of change probability: scored on demand, or read from a finished raster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rsdetect.arraytypes import Float32Array
from rsdetect.detectors.base import Scorer
from rsdetect.grid import Grid
from rsdetect.percent import from_percent
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.raster import ProbabilityRaster
from rsdetect.scoring.windows import score_windows
from rsdetect.tiles import TilePlan, TileWindow, plan_tiles

if TYPE_CHECKING:
    from xarray import DataArray

_RASTER_CHUNK = 1024  # pixels; two blocks of the file


def lazy_scores(pair: Pair, scorer: Scorer, plan: TilePlan) -> DataArray:
    """Lazy change probability of a pair, scored on demand: DataArray (y, x) float32, NaN where not observed.

    One chunk is one tile; computing a chunk runs what `run_tiles` runs for it.
    """

    def block(tile: TileWindow) -> Float32Array:
        ((_, probability),) = score_windows(pair, scorer, (tile,))
        return probability

    return _lazy_array(plan, block)


def lazy_raster(raster: ProbabilityRaster) -> DataArray:
    """Lazy DataArray (y, x) of a finished raster, float32 in [0, 1], NaN where not observed."""

    def block(tile: TileWindow) -> Float32Array:
        return from_percent(raster.read(tile.core))

    return _lazy_array(plan_tiles(raster.grid, _RASTER_CHUNK, 0, 1), block)


def _lazy_array(plan: TilePlan, block_of: Callable[[TileWindow], Float32Array]) -> DataArray:
    """Lazy DataArray with one chunk per tile.

    CRS and transform are in the coordinate `spatial_ref` by the CF convention, as rioxarray and odc-geo read
    it.
    """
    import dask.array as da
    import xarray as xr

    grid = plan.grid
    rows, cols = plan.shape
    chunks = (
        tuple(plan.tile(row, 0).core.height for row in range(rows)),
        tuple(plan.tile(0, col).core.width for col in range(cols)),
    )

    def block(block_id: tuple[int, int]) -> Float32Array:
        return block_of(plan.tile(*block_id))

    data = da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32))
    coords = {"y": ("y", _centres(grid)[1]), "x": ("x", _centres(grid)[0])}
    array = xr.DataArray(data, dims=("y", "x"), coords=coords, name="change_probability")
    array.attrs = {"long_name": "change probability", "units": "1", "grid_mapping": "spatial_ref"}
    geotransform = " ".join(repr(float(number)) for number in grid.transform.to_gdal())
    reference = {"GeoTransform": geotransform}
    if grid.crs is not None:
        reference |= {"crs_wkt": grid.crs, "spatial_ref": grid.crs}
    return array.assign_coords(spatial_ref=xr.Variable((), 0, attrs=reference))


def _centres(grid: Grid) -> tuple[Any, Any]:
    t = grid.transform
    if t.b or t.d:  # a rotated grid has no x per column and no y per row; pixel positions replace them
        return np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5
    return t.c + t.a * (np.arange(grid.width) + 0.5), t.f + t.e * (np.arange(grid.height) + 0.5)
