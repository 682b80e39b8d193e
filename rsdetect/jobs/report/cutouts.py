"""Cut-outs of the report page: which part of the scenes shows a change, and its pixels on both dates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.features import rasterize
from shapely import transform

from rsdetect.grid import Window
from rsdetect.jobs.report.scene_pictures import Stretch
from rsdetect.jobs.report.space import PageSpace
from rsdetect.pages.outlines import clipped, simplified, svg_path
from rsdetect.pages.pictures import Rgb
from rsdetect.percent import NOT_OBSERVED
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.tiles import TileWindow

MOST_PX = 512  # edge of a cut-out that is shown pixel by pixel
_LEAST_PX = 64
_MARGIN = 0.25  # share of the change's size, on each side
_MOST_CORNERS = 5  # of an outline, by pixel along the edge of the picture that shows it
_COARSE_CELLS = 2048  # along an edge of the probability, where the surest part is looked up
_COARSE_PX = 8  # at least, along an edge of such a cell


@dataclass(frozen=True)
class Cutout:
    """Cut-out of a change in pixels of the page; of each `step` pixels one is shown."""

    window: Window
    step: int = 1
    is_whole: bool = True  # False: a part of a change that is too large

    @classmethod
    def around(cls, box: Sequence[float], shape: tuple[int, int], most_px: int = MOST_PX) -> Cutout:
        """Square cut-out with a margin around a box (west, north, east, south), inside the page's `shape`.

        The margin shrinks before the pixels do.
        """
        size = math.ceil(max(box[2] - box[0], box[3] - box[1]))
        edge = max(_LEAST_PX, math.ceil(size * (1 + 2 * _MARGIN)))
        if size <= most_px < edge:
            edge = most_px
        window = _square((box[1] + box[3]) / 2, (box[0] + box[2]) / 2, edge, shape)
        return cls(window, -(-edge // most_px))

    def outline(self, area: Any, shape: tuple[int, int]) -> str:
        """SVG path of an outline, given in pixels of the page, in pixels of a picture of this shape."""
        window = self.window
        inside = clipped(area, (window.col_off, window.row_off, window.col_end, window.row_end))
        origin = np.array([window.col_off, window.row_off])
        scale = np.array([shape[1] / window.width, shape[0] / window.height])
        placed = transform(np.array([inside], dtype=object), lambda xy: (xy - origin) * scale)
        return svg_path(simplified(placed, _MOST_CORNERS * max(shape), 0.5)[0])


def _square(row: float, col: float, edge: int, shape: tuple[int, int]) -> Window:
    """Square around a place, moved inside the page, and cropped where the page is smaller."""
    height, width = min(edge, shape[0]), min(edge, shape[1])
    top = min(max(round(row - height / 2), 0), shape[0] - height)
    left = min(max(round(col - width / 2), 0), shape[1] - width)
    return Window(top, left, height, width)


class CoarseProbability:
    """Probability of the whole raster in cells, from its overviews: where a large change is surest."""

    def __init__(self, raster: Path, space: PageSpace) -> None:
        height, width = space.grid.shape
        self._cell = max(_COARSE_PX, -(-max(height, width) // _COARSE_CELLS))
        self._shape = height, width
        cells = -(-height // self._cell), -(-width // self._cell)
        with rasterio.open(raster) as dataset:
            percent = dataset.read(1, out_shape=cells, resampling=Resampling.average)
        percent[percent == NOT_OBSERVED] = 0
        self._percent = space.turned(percent)

    def surest(self, area: Any) -> Cutout:
        """Cut-out of at most 512 pixels over the part of a change with the highest sum of probability."""
        cells = self._percent.shape
        scale = Affine.scale(self._shape[1] / cells[1], self._shape[0] / cells[0])
        inside = rasterize([area], out_shape=cells, transform=scale, all_touched=True).astype(bool)
        sums = np.zeros((cells[0] + 1, cells[1] + 1))
        sums[1:, 1:] = np.where(inside, self._percent, 0).cumsum(0).cumsum(1)
        edge = max(1, min(MOST_PX // self._cell, *cells))
        found = sums[edge:, edge:] - sums[:-edge, edge:] - sums[edge:, :-edge] + sums[:-edge, :-edge]
        row, col = np.unravel_index(int(found.argmax()), found.shape)
        centre = (float(row) + edge / 2) * scale.e, (float(col) + edge / 2) * scale.a
        return Cutout(_square(*centre, MOST_PX, self._shape), is_whole=False)


def read_cutouts(
    pair: Pair, cutouts: Sequence[Cutout], space: PageSpace, stretch: Stretch, workers: int
) -> list[list[Rgb]]:
    """Pictures of cut-outs before and after, from a pair that has the bands of a picture only.

    Raises
    ------
    ReadError, SourceUnavailable
        A scene is damaged, or its server went away.
    """

    def read(number: int) -> list[Rgb]:
        window, step = space.grid_window(cutouts[number].window), cutouts[number].step
        tile = read_tile(pair, TileWindow(0, 0, window, window))
        dates = ((tile.before, tile.before_valid), (tile.after, tile.after_valid))
        shown = [[space.turned(part)[..., ::step, ::step] for part in date] for date in dates]
        return [stretch.picture(date, *parts) for date, parts in enumerate(shown)]

    # Neighbours one after another share the blocks that GDAL has decoded.
    order = sorted(range(len(cutouts)), key=lambda i: (cutouts[i].window.row_off // MOST_PX, i))
    with ThreadPoolExecutor(workers, thread_name_prefix="cutout") as pool:
        found = dict(zip(order, pool.map(read, order), strict=True))
    return [found[number] for number in range(len(cutouts))]
