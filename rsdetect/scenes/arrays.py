"""xarray DataArrays as scenes, in memory or lazy; a lazy one is computed window by window."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import BoolArray
from rsdetect.errors import SceneError
from rsdetect.grid import Grid, Window
from rsdetect.scenes.array_grid import grid_of_array, north_up, spatial_dims
from rsdetect.scenes.header import Header
from rsdetect.scenes.warping import BLOCK

if TYPE_CHECKING:
    from xarray import DataArray

_FILLS = ("_FillValue", "missing_value", "nodata")
_STRIP = 4 * 2**20  # pixels that are hashed at a time


@dataclass(frozen=True, eq=False)
class DataArraySource:
    """Source of an xarray DataArray on a regular grid.

    It pickles, with all its pixels where they are in memory.
    """

    array: DataArray  # (band, y, x) or (y, x), north up
    dims: tuple[str | None, str, str]  # names of these dimensions; None = it has no bands
    grid: Grid
    label: str

    @classmethod
    def of(cls, array: DataArray, role: str) -> DataArraySource:
        """Source of a DataArray, with its dimensions and grid.

        Raises
        ------
        SceneError
            The array has no CRS or transform, other dimensions, or values that are no real numbers; or its
            grid is rotated or irregular.
        """
        name = _name(array, role)
        if array.dtype.kind == "c":
            raise SceneError(
                f"{name} holds complex numbers; give amplitude or intensity instead: abs(array)."
            )
        if array.dtype.kind not in "buif":
            raise SceneError(
                f"{name} holds values of dtype {array.dtype}; give numbers: array.astype('float32')."
            )
        y, x = spatial_dims(array, name)
        single = [dim for dim in array.dims if dim not in (y, x, "band") and array.sizes[dim] == 1]
        left = [dim for dim in array.dims if dim not in (y, x, *single)]
        if not left and single and "time" not in single:
            left, single = single[:1], single[1:]
        if len(left) > 1 or "time" in left:
            raise SceneError(
                f"{name} has the dimensions {', '.join(map(str, array.dims))}; choose one place along "
                f"{' and '.join(str(dim) for dim in left if dim != 'band')}, so that y, x and perhaps band "
                f"are left: array.isel({next(str(dim) for dim in left if dim != 'band')}=0)."
            )
        band = str(left[0]) if left else None
        array = north_up(array.isel(dict.fromkeys(single, 0)), y, x)
        array = array.transpose(*([band] if band else []), y, x)
        return cls(array, (band, y, x), grid_of_array(array, y, x, name), name)

    @property
    def name(self) -> str:
        """Name of the array: the file it was opened from, or its role in the call and its name."""
        return self.label

    @property
    def in_process(self) -> bool:
        """True: the array is in this process."""
        return True

    def header(self) -> Header:
        """Header of the array, from its coordinates and attributes."""
        names, nodata = self._band_names(), self._nodata()
        scales, offsets = self._linear(len(names))
        time = self.array.coords.get("time")
        return Header(
            path=self.name,
            grid=self.grid,
            georeferenced=True,
            dtypes=(str(self.array.dtype),) * len(names),
            names=names,
            alpha=None,
            has_palette=False,
            nodata=nodata,
            has_mask=nodata is not None,
            tags={str(key): value for key, value in self.array.attrs.items() if isinstance(value, str)},
            block_shape=self._block_shape(),
            nodatas=(nodata,) * len(names),
            scales=scales,
            offsets=offsets,
            date=None if time is None or time.ndim or time.dtype.kind != "M" else _iso(time.values),
        )

    def read(self, window: Window, bands: tuple[int, ...]) -> tuple[NDArray[np.generic], BoolArray]:
        """Compute a window of the array in this thread; the caller controls the chunks in memory."""
        band, y, x = self.dims
        rows, cols = window.slices_in(self.grid.window)
        part = self.array.isel({y: rows, x: cols})
        if band is not None:
            part = part.isel({band: [number - 1 for number in bands]})
        values = part.compute(scheduler="synchronous").values
        if band is None:
            values = values[[0] * len(bands)] if values.ndim == 3 else np.stack([values] * len(bands))
        return values, np.ones(window.shape, dtype=bool)  # nodata is in the header

    def token(self) -> str:
        """Token of the array: the name of a Dask array, made from its graph, else a hash of every pixel.

        A graph's name covers what it computes from: of files read through rioxarray their path and time
        stamp, of an array in memory its values; a graph whose origin Dask cannot hash has another name in
        each process, so that no job is resumed by mistake.
        """
        digest = hashlib.sha256(repr((self.header(), self.array.shape)).encode())
        if self.array.chunks is not None:
            digest.update(str(self.array.data.name).encode())
            return digest.hexdigest()
        bands = tuple(range(1, len(self._band_names()) + 1))
        rows = max(1, _STRIP // (self.grid.width * len(bands)))
        for strip in self.grid.window.blocks(rows, self.grid.width):
            digest.update(self.read(strip, bands)[0].tobytes())
        return digest.hexdigest()

    def _linear(self, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Scales and offsets that are not applied yet: what applies them moves them to the encoding."""
        attrs = self.array.attrs
        told = attrs.get("scale_factor", 1.0), attrs.get("add_offset", 0.0)
        scale, offset = (np.broadcast_to(np.ravel(each), count).astype(np.float64) for each in told)
        if (scale == 1).all() and (offset == 0).all():
            return (), ()
        return tuple(scale.tolist()), tuple(offset.tolist())

    def _band_names(self) -> tuple[str, ...]:
        band = self.dims[0]
        described = self.array.attrs.get("long_name")
        if band is None:
            return (str(described or self.array.name or "").strip().lower(),)
        count = self.array.sizes[band]
        coordinate = self.array.coords.get(band)
        if coordinate is not None and coordinate.dtype.kind in "UOT":
            return tuple(str(name).strip().lower() for name in coordinate.values)
        given = (described,) if isinstance(described, str) else tuple(described or ())
        return (
            tuple(str(name or "").strip().lower() for name in given) if len(given) == count else ("",) * count
        )

    def _nodata(self) -> float | None:
        for about in (self.array.attrs, self.array.encoding):
            for key in _FILLS:
                if about.get(key) is not None:
                    return float(np.asarray(about[key]).ravel()[0])
        return None

    def _block_shape(self) -> tuple[int, int]:
        """Block shape of an array: the largest chunk of a lazy one."""
        chunks = self.array.chunksizes
        _, y, x = self.dims
        high, wide = chunks.get(y, (BLOCK,)), chunks.get(x, (BLOCK,))
        return min(max(high), self.grid.height), min(max(wide), self.grid.width)


def _name(array: DataArray, role: str) -> str:
    if source := array.encoding.get("source"):
        return str(source)
    return f"{role} (DataArray {array.name!r})" if array.name else f"{role} (DataArray)"


def _iso(moment: NDArray[Any]) -> str | None:
    day = moment.astype("datetime64[D]").item()
    return day.isoformat() if isinstance(day, date) else None
