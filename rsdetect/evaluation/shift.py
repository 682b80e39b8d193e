"""A planted shift: the same pair with its after scene moved by a part of a pixel or more."""

from __future__ import annotations

from dataclasses import replace

from affine import Affine

from rsdetect.grid import Grid
from rsdetect.scenes.handles import open_raster
from rsdetect.scenes.pair import Pair

_RESAMPLING = "cubic"  # blurs less than bilinear, so that what is measured is the shift


def with_shift(pair: Pair, cols_px: float) -> Pair:
    """The pair with what its after scene shows moved to the right by `cols_px` pixels (cubic resampling).

    It is read lazily, like any pair; where the moved scene does not reach, nothing is valid.
    """
    after = pair.after
    grid = after.grid
    if after.warp is None:  # GDAL resamples from the file's own transform, also where it has no georeference
        with open_raster(after.path) as dataset:
            grid = Grid(grid.crs, dataset.transform, grid.height, grid.width)
    moved = replace(grid, transform=grid.transform @ Affine.translation(-cols_px, 0))
    return replace(pair, after=replace(after, grid=moved, warp=after.warp or _RESAMPLING))
