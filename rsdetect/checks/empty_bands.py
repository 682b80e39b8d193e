"""Empty bands, with nodata only: hyperspectral products have them where water vapour absorbs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rsdetect.arraytypes import BoolArray
from rsdetect.errors import NothingToCompare
from rsdetect.grid import Window
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.scene import Scene, read_scene
from rsdetect.scenes.validity import Validity

_EDGE = 128  # of the windows that are read first, in pixels
_PLACES = 3  # in each direction
_BLOCK = 512  # edge of the windows in which a band is read completely


def leave_out_empty_bands(pair: Pair, required: int) -> Pair:
    """Pair without bands that are empty on either date, and a note that names them.

    Bands are read completely only if none of nine windows has a valid pixel.

    Parameters
    ----------
    required
        Number of first bands that must not be empty.

    Raises
    ------
    NothingToCompare
        One of these is empty; the message names it.
    """
    windows = [window for window in _spread(pair.grid.window) if pair.intersects_aoi(window)]
    empty = np.zeros(len(pair.bands), dtype=bool)
    said: dict[str, list[str]] = {}
    for scene in (pair.before, pair.after):
        found = _empty(scene, windows, pair.grid.window)
        if found.any() and not found.all():
            empty |= found
            said.setdefault(_listed(pair, found), []).append(scene.path)
    if not empty.any():
        return pair
    what = "; ".join(f"{bands} of {' and '.join(paths)}" for bands, paths in said.items())
    if empty[:required].any() or empty.all():
        raise NothingToCompare(
            f"{what}: only nodata, and cannot be left out; choose other bands with `bands`."
        )
    note = f"{what}: only nodata, and left out."
    return replace(_with_bands(pair, ~empty), notes=(*pair.notes, note))


def _empty(scene: Scene, windows: list[Window], whole: Window) -> BoolArray:
    """Mask (bands,) of empty bands, without any valid pixel."""
    if not scene.validity.in_one and "float" not in scene.dtype:
        return np.zeros(len(scene.bands), dtype=bool)
    scene = replace(scene, mask=None, scales=(), offsets=())
    if any(read_scene(scene, window)[1].any() for window in windows):
        return np.zeros(len(scene.bands), dtype=bool)
    alone = [_alone(scene, band) for band in scene.bands]
    return np.array(
        [not any(read_scene(each, window)[1].any() for window in whole.blocks(_BLOCK)) for each in alone]
    )


def _alone(scene: Scene, band: int) -> Scene:
    return replace(scene, bands=(band,), validity=_of_bands(scene.validity, {band}))


def _of_bands(rule: Validity, bands: set[int]) -> Validity:
    in_one = tuple(each for each in rule.in_one if each[0] in bands)
    return replace(rule, in_one=in_one, in_all=tuple(each for each in rule.in_all if each[0] in bands))


def _with_bands(pair: Pair, kept: BoolArray) -> Pair:
    def thin(scene: Scene) -> Scene:
        bands = tuple(band for band, keep in zip(scene.bands, kept, strict=True) if keep)
        return replace(
            scene,
            bands=bands,
            validity=_of_bands(scene.validity, set(bands)),
            scales=_kept(scene.scales, kept),
            offsets=_kept(scene.offsets, kept),
        )

    names = tuple(name for name, keep in zip(pair.bands, kept, strict=True) if keep)
    slots = tuple(slot for slot, keep in zip(pair.slots, kept, strict=True) if keep) if pair.slots else ()
    return replace(pair, before=thin(pair.before), after=thin(pair.after), bands=names, slots=slots)


def _kept(numbers: tuple[float, ...], kept: BoolArray) -> tuple[float, ...]:
    """Numbers of the bands that are not empty; () where no band has one."""
    return tuple(number for number, keep in zip(numbers, kept, strict=False) if keep)


def _spread(window: Window) -> list[Window]:
    """Windows spread over a scene to find empty bands."""
    height, width = min(_EDGE, window.height), min(_EDGE, window.width)
    rows = np.linspace(window.row_off, window.row_end - height, _PLACES).astype(int)
    cols = np.linspace(window.col_off, window.col_end - width, _PLACES).astype(int)
    places = dict.fromkeys((int(row), int(col)) for row in rows for col in cols)
    return [Window(row, col, height, width) for row, col in places]


def _listed(pair: Pair, which: BoolArray) -> str:
    names = [
        f"{name} (band {number})" if name != f"band{number}" else f"band {number}"
        for name, number, chosen in zip(pair.bands, pair.before.bands, which, strict=True)
        if chosen
    ]
    return ", ".join(names)
