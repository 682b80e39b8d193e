"""The truth as polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from rsdetect.grid import Grid, Window
from rsdetect.regions import TraceOptions, trace_regions
from rsdetect.simulate.spec import ChangeKind

_KINDS = [kind for kind in ChangeKind if kind is not ChangeKind.NONE]


class _OpenRaster:
    """An open one-band file, as `trace_regions` wants it; for one thread."""

    def __init__(self, dataset: Any, grid: Grid) -> None:
        self.grid = grid
        self._dataset = dataset

    def read(self, window: Window) -> NDArray[np.uint8]:
        place = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        values: NDArray[np.uint8] = self._dataset.read(1, window=place)
        return values


def write_truth_polygons(truth: Path, kinds: Path, grid: Grid, target: Path) -> int:
    """Write the changed regions of the raster `truth` to the layer `truth` of a new GeoPackage.

    Parameters
    ----------
    kinds
        A raster of `ChangeKind` on the same grid; a region's `kind` is the one that most of it is.

    Returns
    -------
    int
        The number of regions.
    """
    with rasterio.open(truth) as truth_file, rasterio.open(kinds) as kinds_file:
        codes = _OpenRaster(kinds_file, grid)

        def shares(window: Window) -> tuple[tuple[str, ...], NDArray[np.float32]]:
            code = codes.read(window)
            layers = np.stack([code == kind for kind in _KINDS]).astype(np.float32)
            return tuple(kind.name.lower() for kind in _KINDS), layers

        options = TraceOptions(block_size=512, difference=shares)
        regions = trace_regions(_OpenRaster(truth_file, grid), 1, options=options)
    if len(regions):
        table = np.stack(list(regions.differences.values()))
        most = np.array(list(regions.differences), dtype=object)[table.argmax(axis=0)]
    else:
        most = np.array([], dtype=object)
    pyogrio.raw.write(
        target,
        geometry=shapely.to_wkb(regions.geometry),
        field_data=[most, regions.pixels, regions.area_m2],
        fields=["kind", "pixels", "area_m2"],
        layer="truth",
        driver="GPKG",
        geometry_type="Polygon",
        crs=grid.crs,
        dataset_options={"VERSION": "1.2"},
    )
    return len(regions)
