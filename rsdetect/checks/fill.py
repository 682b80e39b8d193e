"""Fill that no file declares: one exact value in all bands along the border of the data.

Outside a swath and around a rotated image, files contain one value, often without declaring it as nodata. It
counts as fill if it extends from the border in one piece, is the lowest or highest value of every band, and
the rest of the scene looks like an image.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import shapely

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.grid import Grid, Window
from rsdetect.scenes.alignment import window_of
from rsdetect.scenes.handles import open_raster
from rsdetect.scenes.header import PIXEL_GRID, read_header
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import Scene, read_scene
from rsdetect.scenes.stacking import with_nodata

_BLOCK = 256  # edge of a block along the border, in pixels
_MOST_BLOCKS = 48
_LEAST_AREA = 64  # pixels in one piece with the border
_LEAST_BORDER = 16  # pixels on the border itself
_MOST_EDGE = 0.25  # pixels at the edge of a piece per pixel of it; clouds and shadows are more ragged
_LEAST_JOINED = 0.9  # share of the pixels of this value that are connected with the border
_LEAST_REST = 0.02  # share of pixels that are something else
_LEAST_VALUES = 16  # different numbers that the rest holds, in its richest band; classes have fewer


def settle_fill(pair: Pair) -> Pair:
    """Pair without the fill along the border of a scene, and a note on each.

    Scenes with a mask, and those with a nodata value of the user, are not changed.
    """
    notes, settled = [], []
    for scene in (pair.before, pair.after):
        value = _fill_of(scene, pair)
        settled.append(scene if value is None else without_fill(scene, value))
        if value is not None:
            notes.append(
                f"{scene.path} holds {value:g} in all bands along its border: probably fill, and not "
                f"compared where all bands hold it (`nodata={value:g}` confirms this, `nodata='none'` keeps "
                "it as data)."
            )
    return replace(pair, before=settled[0], after=settled[1], notes=(*pair.notes, *notes))


def without_fill(scene: Scene, fill: float) -> Scene:
    """Scene with a fill value as its nodata, which its file does not declare.

    Bands of coarser grids are warped without it, and do not decide where it is.
    """
    if scene.files is None:
        return replace(scene, validity=scene.validity.with_fill(fill, scene.bands))
    own = [band for band in scene.bands if not scene.files.files[band - 1].moved]
    files = with_nodata(scene.files, fill)
    return replace(scene, files=files, validity=scene.validity.with_fill(fill, own or scene.bands))


def _fill_of(scene: Scene, pair: Pair) -> float | None:
    """Undeclared fill of one scene of a pair; None for one with a mask, or with a nodata that may be data.

    Files that declare -9999 or 65535 may yet hold 0 beyond their swath.
    """
    rule = scene.validity
    if rule.masked or rule.in_all or rule.origin != "file" or (scene.nodata is not None and not rule.in_one):
        return None
    whole = pair.grid.window
    asked = whole if pair.aoi is None else _around(pair.aoi).intersection(whole)
    windows = [asked] if asked == whole else [asked, whole]
    if scene.control is not None:
        with open_raster(scene.path) as dataset:
            own = Grid(None, PIXEL_GRID, *dataset.shape)
        windows, scene = [own.window], replace(scene, warp=None, grid=own, offset=(0, 0), control=None)
    elif scene.warp:  # which blends fill with ground
        own = read_header(scene.files or scene.path).grid
        windows = [window_of(pair.grid.crop(window), own) for window in windows]
        scene = replace(scene, warp=None, grid=own, offset=(0, 0))
    scene = replace(scene, mask=None, scales=(), offsets=())  # nodata rules hold for stored values
    # What crosses the border of an area of interest may be a cloud; fill reaches the border of the scene.
    found = {probable_fill(scene, windows[0])}
    if len(windows) > 1 and found != {None}:
        found.add(probable_fill(scene, windows[1]))
    return found.pop() if len(found) == 1 else None


def _around(aoi: bytes) -> Window:
    left, top, right, bottom = (float(edge) for edge in shapely.from_wkb(aoi).bounds)
    row, col = math.floor(top), math.floor(left)
    return Window(row, col, math.ceil(bottom) - row, math.ceil(right) - col)


def probable_fill(scene: Scene, window: Window) -> float | None:
    """Fill value outside the edge of the data; None if there is none.

    Parameters
    ----------
    scene
        Read without a warp.
    window
        Window on the pair's grid; fill extends from its border. At most 48 blocks along it are read.
    """
    if window.is_empty:
        return None
    blocks = list(_along_border(window))
    read = [(block, *read_scene(scene, block)) for block in blocks]
    borders = [_border(block, window) for block in blocks]
    counts: Counter[float] = Counter()
    for (_, values, valid), border in zip(read, borders, strict=True):
        same = border & valid & (values == values[0]).all(axis=0)
        numbers, each = np.unique(values[0][same], return_counts=True)
        counts.update(dict(zip(numbers.tolist(), each.tolist(), strict=True)))
    if not counts:
        return None
    fill, on_border = counts.most_common(1)[0]
    if on_border < _LEAST_BORDER or not _is_extreme(fill, [(values, valid) for _, values, valid in read]):
        return None
    area = joined = edge = rest = seen = 0
    different: set[float] = set()
    for (_, values, valid), border in zip(read, borders, strict=True):
        holds = valid & (values == fill).all(axis=0)
        piece = _joined_to(border | _outline(border.shape), holds)
        area += int(holds.sum())
        joined += int(piece.sum())
        edge += int((piece & _beside(~holds)).sum())
        rest += int((valid & ~holds).sum())
        seen += int(valid.sum())
        if len(different) < _LEAST_VALUES:
            for band in values:
                different |= set(np.unique(band[valid & ~holds])[: 4 * _LEAST_VALUES].tolist())
    looks_filled = joined >= max(_LEAST_AREA, _LEAST_JOINED * area) and edge <= _MOST_EDGE * joined
    is_picture = rest >= _LEAST_REST * seen and len(different) >= _LEAST_VALUES
    return fill if looks_filled and is_picture else None


def _along_border(window: Window) -> Iterator[Window]:
    """Blocks at the border to search for fill; of a large window an even sample."""
    found = [block for block in window.blocks(_BLOCK) if _border(block, window).any()]
    chosen = np.linspace(0, len(found) - 1, min(len(found), _MOST_BLOCKS)).round().astype(int)
    return (found[i] for i in dict.fromkeys(chosen.tolist()))


def _border(block: Window, window: Window) -> BoolArray:
    """Mask of a block's pixels in the first or last row or column of the window, where fill begins."""
    found = np.zeros(block.shape, dtype=bool)
    found[0] |= block.row_off == window.row_off
    found[-1] |= block.row_end == window.row_end
    found[:, 0] |= block.col_off == window.col_off
    found[:, -1] |= block.col_end == window.col_end
    return found


def _outline(shape: tuple[int, ...]) -> BoolArray:
    """Mask of the first and last rows and columns of a block, where fill may continue in the next one."""
    found = np.ones(shape, dtype=bool)
    found[1:-1, 1:-1] = False
    return found


def _is_extreme(fill: float, read: list[tuple[Float32Array, BoolArray]]) -> bool:
    """True if a value is the lowest or the highest in every band, as fill is."""
    lows = [values[:, valid].min(axis=1) for values, valid in read if valid.any()]
    highs = [values[:, valid].max(axis=1) for values, valid in read if valid.any()]
    return bool((np.min(lows, axis=0) == fill).all() or (np.max(highs, axis=0) == fill).all())


def _joined_to(border: BoolArray, holds: BoolArray) -> BoolArray:
    """Mask of fill pixels: those with the value that are connected with the border."""
    from scipy.ndimage import label

    labels, _ = label(holds)
    touching = np.unique(labels[border & holds])
    return np.asarray(np.isin(labels, touching[touching > 0]))


def _beside(other: BoolArray) -> BoolArray:
    """Mask of pixels with one of `other` among their four neighbours, to find the edge of fill."""
    found = np.zeros(other.shape, dtype=bool)
    found[1:] |= other[:-1]
    found[:-1] |= other[1:]
    found[:, 1:] |= other[:, :-1]
    found[:, :-1] |= other[:, 1:]
    return found
