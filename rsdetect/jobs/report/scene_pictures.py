"""Pictures of the report page: both scenes as a whole, with one stretch, and the probability over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.grid import Window
from rsdetect.jobs.report.space import PageSpace
from rsdetect.pages.pictures import Rgb, palette_uri, stretch_limits, stretched
from rsdetect.percent import NOT_OBSERVED
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.scoring.scene_overview import Lattice, SceneOverview
from rsdetect.tiles import TileWindow

_STEPS = (5, 10, 20)  # percent that one colour of the probability stands for
_MOST_BYTES = 500_000  # of the picture of the probability
_MOST_SPREAD = 3.0
_OPACITY = 230  # of 255, of the highest probability
# As the style of the raster in QGIS: from yellow to purple.
_LOW, _MIDDLE, _HIGH = (247, 228, 37), (237, 118, 83), (126, 3, 168)


@dataclass(frozen=True)
class Stretch:
    """Stretch of the pictures of both dates: one for both if they have the same data type and scale."""

    limits: tuple[tuple[Float32Array, Float32Array], ...]  # lowest and highest value per band, of each date

    @classmethod
    def of(cls, pair: Pair, overview: SceneOverview) -> Stretch:
        """Stretch by the percentiles of an overview."""
        means, known = overview.means(), overview.known
        values = [date[:, valid] for date, valid in zip(means, known, strict=True)]
        before, after = pair.before, pair.after
        kinds = [(each.dtype, each.scales, each.offsets) for each in (before, after)]
        if kinds[0] == kinds[1] or pair.normalisation.is_shared:
            values = [np.concatenate(values, axis=1)] * 2
        empty = np.zeros((means.shape[1], 1), np.float32)
        return cls(tuple(stretch_limits(each if each.size else empty) for each in values))

    def widened(self, spread: Float32Array) -> Stretch:
        """Stretch whose ranges are wider by a factor per band, about their middles."""
        return Stretch(tuple(_widened(low, high, spread) for low, high in self.limits))

    def picture(self, date: int, values: Float32Array, valid: BoolArray) -> Rgb:
        """Picture of a date (0 = before) from values (bands, height, width), grey where not valid."""
        return stretched(np.broadcast_to(values, (3, *valid.shape)), self.limits[date], valid)


def _widened(
    low: Float32Array, high: Float32Array, spread: Float32Array
) -> tuple[Float32Array, Float32Array]:
    two = np.float32(2)
    middle, half = (low + high) / two, (high - low) / two * spread
    return middle - half, middle + half


def pixel_spread(pair: Pair, lattice: Lattice, windows: Sequence[Window]) -> Float32Array:
    """Range of the pixels of each band, by that of their means over the cells of an overview: 1 or more.

    Roofs and roads are lost in means. A stretch by means alone cuts them off.

    Parameters
    ----------
    pair
        In the bands of a picture only.
    windows
        Of the grid, from which the pixels are taken.
    """
    spread = np.ones(len(lattice.bands), np.float32)
    if lattice.cell == 1 or not windows:
        return spread
    pixels, means = [], []
    own = Lattice(lattice.shape, tuple(range(len(lattice.bands))))
    for window in windows:
        tile = read_tile(pair, TileWindow(0, 0, window, window))
        coarse = SceneOverview(own, own.cells_under(window))
        coarse.add(tile, window)
        pixels += [tile.before[:, tile.before_valid], tile.after[:, tile.after_valid]]
        means += [date[:, known] for date, known in zip(coarse.means(), coarse.known, strict=True)]
    sharp, blurred = np.concatenate(pixels, axis=1), np.concatenate(means, axis=1)
    if not sharp.size or not blurred.size:
        return spread
    (low, high), (least, most) = stretch_limits(sharp), stretch_limits(blurred)
    narrow = most > least
    spread[narrow] = np.clip((high - low)[narrow] / (most - least)[narrow], 1, _MOST_SPREAD)
    return spread


def scene_pictures(overview: SceneOverview, stretch: Stretch, space: PageSpace) -> list[Rgb]:
    """Pictures of both dates as a whole, cropped to the cells of the grid."""
    means, known = overview.means(), overview.known
    return [space.turned(stretch.picture(date, means[date], known[date])) for date in range(2)]


def crop(picture: Rgb, window: Window, cell: float) -> Rgb:
    """The part of a picture of the whole page that shows a window, given in pixels of the page."""
    top, left = int(window.row_off // cell), int(window.col_off // cell)
    bottom, right = (-int(-end // cell) for end in (window.row_end, window.col_end))
    return picture[:, top:bottom, left:right]


def probability_uri(raster: Path, space: PageSpace, shape: tuple[int, int]) -> str:
    """Picture of the probability as a data URI, transparent where it is near 0 or not observed."""
    with rasterio.open(raster) as dataset:
        percent = space.turned(dataset.read(1, out_shape=shape, resampling=Resampling.average))
    for step in _STEPS:
        uri = _coloured(percent, step)
        if len(uri) <= _MOST_BYTES:
            return uri
    return _coloured(percent[::2, ::2], _STEPS[-1])


def _coloured(percent: NDArray[np.uint8], step: int) -> str:
    levels = (percent // step * step).astype(np.uint8)
    levels[percent == NOT_OBSERVED] = 0
    stops = np.array([_LOW, _MIDDLE, _HIGH], np.float64)
    colours = {0: (0, 0, 0, 0)}
    for level in range(step, 101, step):
        red, green, blue = (int(np.interp(level, (0, 50, 100), stops[:, i])) for i in range(3))
        colours[level] = (red, green, blue, int(min(1.0, 0.25 + level / 100) * _OPACITY))
    return palette_uri(levels, colours)
