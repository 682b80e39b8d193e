"""GeoTIFF profiles of files that are written by windows."""

from __future__ import annotations

from typing import Any

from numpy.typing import DTypeLike

from rsdetect.grid import Grid

# For files that this program alone reads, and soon: fast, and what was not written takes no room.
QUICK = {"compress": "zstd", "zstd_level": 1, "sparse_ok": True}


def geotiff_profile(
    grid: Grid, dtype: DTypeLike, *, count: int = 1, nodata: float | None = None, block: int | None = None
) -> dict[str, Any]:
    """GeoTIFF profile for `rasterio.open` of a new file on `grid`, without compression.

    Parameters
    ----------
    nodata
        None = every value counts.
    block
        Edge of the file's blocks in pixels; None = strips of rows, for files that are written at once.
    """
    tiles = {} if block is None else {"tiled": True, "blockxsize": block, "blockysize": block}
    return {
        "driver": "GTiff",
        "dtype": dtype,
        "count": count,
        "height": grid.height,
        "width": grid.width,
        "crs": grid.crs,
        "transform": grid.transform,
        "nodata": nodata,
        "bigtiff": "IF_SAFER",
        **tiles,
    }
