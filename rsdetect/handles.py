"""Open raster files, one handle a thread: GDAL's handles must not be shared between threads."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import rasterio
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT

from rsdetect.errors import SceneError
from rsdetect.grid import Grid

# A pair without georeference is told of once, in words of our own (rsdetect.pair).
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

# GDAL's own failures, which rasterio passes on under two unrelated roots.
GDAL_ERRORS: tuple[type[Exception], ...] = (RasterioError, rasterio._err.CPLE_BaseError)

_HANDLES_A_THREAD = 8  # two scenes and two masks, each perhaps under a warp
_local = threading.local()


def open_raster(path: str) -> Any:
    """Open `path` with GDAL for reading; `SceneError` names the file where that fails."""
    try:
        return rasterio.open(path)
    except GDAL_ERRORS as error:
        raise SceneError(f"{path} cannot be opened as a raster: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """What GDAL said, on one line and without a full stop."""
    cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
    text = " ".join(str(cause).split()).rstrip(".")
    return text or type(error).__name__


def warped_to(source: Any, grid: Grid, resampling: str, *, as_mask: bool = False) -> WarpedVRT:
    """A lazy view of `source` on `grid`, the same pixels whichever window of it is read.

    Two defaults of GDAL would let the window show: an approximate transformation (tolerance) and a
    resampling ratio worked out anew for each piece (XSCALE, YSCALE).

    Parameters
    ----------
    source
        An open dataset with a CRS.
    as_mask
        Take the pixel values as classes: -1 where `source` does not reach, no value means nodata.
    """
    common = {
        "crs": grid.crs,
        "transform": grid.transform,
        "height": grid.height,
        "width": grid.width,
        "resampling": Resampling[resampling],
        "tolerance": 0,
    }
    if as_mask:
        return WarpedVRT(source, src_nodata=None, nodata=-1, dtype="int32", **common)
    nodata = source.nodata
    if nodata is None and source.dtypes[0].startswith("float"):
        nodata = float("nan")
    if nodata is not None:
        return WarpedVRT(source, src_nodata=nodata, nodata=nodata, **common)
    return WarpedVRT(source, add_alpha=not has_alpha(source), **common)


def has_alpha(dataset: Any) -> bool:
    """True when one of the bands says how opaque the others are."""
    return any(band.name == "alpha" for band in dataset.colorinterp)


def thread_handle(key: Any, opener: Callable[[ExitStack], Any]) -> Any:
    """This thread's open handle for `key`, opened on first use; the least used one is closed.

    `opener` enters every dataset that it opens into the stack it is given.
    """
    handles: OrderedDict[Any, tuple[Any, ExitStack]] | None = getattr(_local, "handles", None)
    if handles is None:
        handles = _local.handles = OrderedDict()
    if key in handles:
        handles.move_to_end(key)
        return handles[key][0]
    with ExitStack() as stack:
        dataset = opener(stack)
        handles[key] = dataset, stack.pop_all()
    if len(handles) > _HANDLES_A_THREAD:
        handles.popitem(last=False)[1][1].close()
    return dataset


def close_handles() -> None:
    """Close the handles of the calling thread."""
    for _, stack in getattr(_local, "handles", {}).values():
        stack.close()
    _local.handles = OrderedDict()
