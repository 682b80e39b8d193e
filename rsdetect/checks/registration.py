"""Registration of a pair: the measured shift between its scenes.

Phase correlation (Kuglin and Hines 1975; sub-pixel by the upsampled Fourier transform of Guizar-Sicairos,
Thurman and Fienup 2008, as in scikit-image) on tiles spread over the overlap. The result is the median over
the tiles, because tiles without texture or with much change give random shifts, and the share of tiles that
agree with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.grid import Grid, Window
from rsdetect.regions.areas import distance_m
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.tiles import Tile, TileWindow

TILE = 256  # edge of a correlated tile in pixels, at most
_MOST_TILES = 36
LEAST_TILES = 4  # fewer are not sufficient for agreement
_LEAST_EDGE = 64  # smaller tiles have no significant correlation peak
_LEAST_VALID = 0.75  # share of a tile's pixels that must be valid
_UPSAMPLING = 20  # resolution of shifts: a twentieth of a pixel
_AGREEMENT_PX = 0.5  # tiles within this distance of the median agree with it
_LEAST_AGREEMENT = 0.5  # below this share of agreeing tiles the shift is unreliable


@dataclass(frozen=True)
class Shift:
    """Measured shift of after's content relative to before's."""

    cols_px: float  # median, positive = after's content is further right
    rows_px: float  # median, positive = after's content is further down
    spread_px: float  # median distance of the tiles' shifts from the median shift
    distance_m: float | None  # length of the shift in metres; None without a CRS
    agreement: float  # share of tiles within half a pixel of the median
    tiles: int  # number of correlated tiles
    # Row and column of the middle of each tile, and rows and columns by which its content moved.
    vectors: tuple[tuple[float, float, float, float], ...] = ()

    @property
    def distance_px(self) -> float:
        """Length of the registration shift in pixels."""
        return float(np.hypot(self.cols_px, self.rows_px))

    @property
    def is_reliable(self) -> bool:
        """True if at least four tiles were correlated and half of them agree on the shift."""
        return self.tiles >= LEAST_TILES and self.agreement >= _LEAST_AGREEMENT


def measure_shift(pair: Pair, workers: int = 1) -> Shift | None:
    """Measure the registration shift of after's content; None if no tile has enough valid texture.

    Reads at most 36 tiles of 256 x 256 pixels, independent of `workers`.
    """
    places = list(_registration_tiles(pair))
    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="shift") as pool:
        measured = list(pool.map(lambda place: correlate_tile(pair, place), places))
    found = [(place, shift) for place, shift in zip(places, measured, strict=True) if shift]
    if not found:
        return None
    shifts = np.array([shift for _, shift in found])
    median = np.median(shifts, axis=0)
    distances = np.hypot(*(shifts - median).T)
    return Shift(
        cols_px=float(median[1]),
        rows_px=float(median[0]),
        spread_px=float(np.median(distances)),
        distance_m=shift_in_metres(pair.grid, float(median[1]), float(median[0])),
        agreement=float((distances <= _AGREEMENT_PX).mean()),
        tiles=len(found),
        vectors=tuple(
            (
                place.row_off + place.height / 2,
                place.col_off + place.width / 2,
                _rounded(rows),
                _rounded(cols),
            )
            for place, (rows, cols) in found
        ),
    )


def _rounded(pixels: float) -> float:
    """Shift of a tile as the record has it; they are measured to a twentieth of a pixel."""
    return round(pixels, 3)


def _registration_tiles(pair: Pair) -> Iterator[Window]:
    # A small scene still gives three tiles in each direction, if they are large enough to correlate.
    height, width = (min(TILE, max(_LEAST_EDGE, edge // 3), edge) for edge in pair.grid.shape)
    if min(height, width) < _LEAST_EDGE:
        return
    rows = min(max(1, pair.grid.height // height), int(_MOST_TILES**0.5))
    cols = min(max(1, pair.grid.width // width), int(_MOST_TILES**0.5))
    for row in _spread_tile_offsets(pair.grid.height, height, rows, pair.before.offset[0]):
        for col in _spread_tile_offsets(pair.grid.width, width, cols, pair.before.offset[1]):
            window = Window(row, col, height, width)
            if pair.intersects_aoi(window):
                yield window


def _spread_tile_offsets(edge: int, size: int, count: int, offset: int) -> list[int]:
    """Offsets of `count` registration tiles along an edge.

    Tiles that are not adjacent are aligned to the blocks of common files, because a tile across four blocks
    takes four times as long to decode.
    """
    places = np.linspace(0, edge - size, count).astype(int)
    if edge >= 2 * count * TILE:
        places = np.maximum((places + offset) // TILE * TILE - offset, 0)
    return [int(place) for place in places]


def correlate_tile(
    pair: Pair, place: Window, *, least_valid: float = _LEAST_VALID
) -> tuple[float, float] | None:
    """Registration shift (rows, cols) of after's content in one tile; None = nothing to correlate."""
    from skimage.registration import phase_cross_correlation

    tile = read_tile(pair, TileWindow(0, 0, place, place))
    if tile.valid.mean() < least_valid:
        return None
    before, after = (_texture(scene, tile) for scene in (tile.before, tile.after))
    if before is None or after is None:
        return None
    rows_cols, _, _ = phase_cross_correlation(before, after, upsample_factor=_UPSAMPLING)
    # scikit-image returns the shift from after to before; the inverse is required.
    return -float(rows_cols[0]), -float(rows_cols[1])


def _texture(scene: Float32Array, tile: Tile) -> NDArray[np.float64] | None:
    """Texture of a tile for registration: gradient magnitude of the mean band, tapered to the edge.

    Edges are less affected by season and sensor than brightness.
    """
    grey = np.zeros(tile.valid.shape)
    for band in scene.astype(np.float64):
        usable = band[tile.valid]
        spread = usable.std()
        if spread > 0:
            grey += np.clip((band - usable.mean()) / spread, -4, 4)
    grey[~tile.valid] = 0
    edges = np.hypot(*np.gradient(grey))
    # A step from nodata to ground is no edge of the ground, and is equal on both dates.
    from scipy.ndimage import binary_erosion

    edges[~binary_erosion(tile.valid, iterations=2, border_value=1)] = 0
    if not edges.any():
        return None
    edges -= edges.mean()
    tapered = edges * np.hanning(edges.shape[0])[:, None] * np.hanning(edges.shape[1])
    return np.asarray(tapered, dtype=np.float64)


def shift_in_metres(grid: Grid, cols: float, rows: float) -> float | None:
    """Length of a shift on the ground; None without a CRS."""
    col, row = grid.width / 2, grid.height / 2
    return distance_m(grid.crs, grid.transform @ (col, row), grid.transform @ (col + cols, row + rows))
