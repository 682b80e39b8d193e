"""Scenes in memory: a `Source` of NumPy arrays, and DataArrays as the libraries make them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import xarray as xr
from rasterio.crs import CRS

from rsdetect.grid import Grid
from rsdetect.scenes.header import Header
from support.scenes import TEN_METRES, UTM


@dataclass(frozen=True, eq=False)
class MemorySource:
    """An array (bands, height, width) on a grid, as anybody may write a source."""

    name: str
    array: np.ndarray
    grid: Grid
    nodata: float | None = None
    names: tuple[str, ...] = ()
    in_process: bool = True

    def header(self):
        bands = len(self.array)
        return Header(
            path=self.name,
            grid=self.grid,
            georeferenced=True,
            dtypes=(str(self.array.dtype),) * bands,
            names=self.names or ("",) * bands,
            alpha=None,
            has_palette=False,
            nodata=self.nodata,
            has_mask=self.nodata is not None,
            tags={},
            block_shape=(64, 64),
        )

    def read(self, window, bands):
        values = self.array[(np.array(bands) - 1, *window.slices_in(self.grid.window))]
        return values, (values != self.nodata).all(axis=0)

    def token(self):
        return hashlib.sha256(self.array.tobytes()).hexdigest()


def memory_scene(array, *, name="memory", transform=TEN_METRES, crs=UTM, nodata=None, names=()):
    """`array` as a source; what `write_scene` writes to a file."""
    grid = Grid(crs and CRS.from_user_input(crs).to_wkt(), transform, *array.shape[-2:])
    return MemorySource(name, array, grid, nodata, names)


def data_array(array, *, crs=UTM, transform=TEN_METRES, nodata=None, names=None, **about):
    """`array` (bands, height, width) as a DataArray with coordinates of centres and a `spatial_ref`."""
    _, height, width = array.shape
    x = transform.c + transform.a * (np.arange(width) + 0.5)
    y = transform.f + transform.e * (np.arange(height) + 0.5)
    coords = {"y": y, "x": x, "band": names or np.arange(1, len(array) + 1)}
    attrs = {} if nodata is None else {"_FillValue": nodata}
    made = xr.DataArray(array, dims=("band", "y", "x"), coords=coords, attrs=attrs, **about)
    if crs is None:
        return made
    reference = {"crs_wkt": CRS.from_user_input(crs).to_wkt()}
    return made.assign_coords(spatial_ref=xr.Variable((), 0, attrs=reference))
