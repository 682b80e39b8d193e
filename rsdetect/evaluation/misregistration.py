"""Synthetic misregistration: a pair with its after scene shifted by a fraction of a pixel or more."""

from __future__ import annotations

from dataclasses import replace

from affine import Affine

from rsdetect.grid import Grid
from rsdetect.scenes.handles import open_raster
from rsdetect.scenes.pair import Pair

_RESAMPLING = "cubic"  # blurs less than bilinear, so that the effect is that of the shift


def misregister(pair: Pair, cols_px: float) -> Pair:
    """Pair with a synthetic misregistration: its after scene shifted right by `cols_px` pixels.

    It is read lazily, like any pair, with cubic resampling; pixels without data after the shift are invalid.
    """
    after = pair.after
    grid = after.grid
    if after.warp is None:  # GDAL resamples from the file's own transform, even without georeference
        with open_raster(after.path) as dataset:
            grid = Grid(grid.crs, dataset.transform, grid.height, grid.width)
    moved = replace(grid, transform=grid.transform @ Affine.translation(-cols_px, 0))
    return replace(pair, after=replace(after, grid=moved, warp=after.warp or _RESAMPLING))
