"""Warnings about quality masks: what they hide, and values that their kind does not know."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rsdetect.grid import Window
from rsdetect.scenes.handles import with_gdal_environment
from rsdetect.scenes.pair import Pair
from rsdetect.scenes.quality import kind_by_name
from rsdetect.scenes.scene import MaskFile, Scene, read_mask

_EDGE = 256  # of a window, in pixels
_PLACES = 5  # in each direction
_NEARLY_ALL = 0.95
_PLAIN = {0, 1, 255}  # values of masks that need no kind
_MOST_NAMED = 6


@with_gdal_environment
def mask_warnings(pair: Pair) -> tuple[str, ...]:
    """Warnings about the masks of a pair, from at most 25 windows of each."""
    found: list[str] = []
    for scene in (pair.before, pair.after):
        if scene.mask is not None:
            found.extend(_of_mask(scene.mask, scene, pair))
    return tuple(dict.fromkeys(found))


def _of_mask(mask: MaskFile, scene: Scene, pair: Pair) -> Iterator[str]:
    values, counts = _values(mask, scene, pair)
    inside = values != -1
    values, counts = values[inside], counts[inside]
    if not values.size:
        return
    hidden = float(counts[mask.hides(values)].sum() / counts.sum())
    meaning, name = mask.meaning, f"the mask {mask.path}"
    if mask.by_content:
        yield f"{name} is taken as {mask.kind}, by its values and bands; `mask_kind` names another kind."
    if hidden >= _NEARLY_ALL:
        yield f"{name} hides {hidden:.0%} of the ground; check `mask_kind` (taken: {_taken(mask)})."
    if hidden == 0:
        yield f"{name} hides nothing (taken: {_taken(mask)})."
    unknown = [int(value) for value in values if meaning.known and value not in meaning.known]
    if unknown:
        yield (
            f"{name} holds {_listed(unknown)}, which masks of the kind {mask.kind} do not have; check "
            "`mask_kind`."
        )
    absent = sorted(set(mask.values) - {int(value) for value in values})
    if mask.values and len(absent) == len(set(mask.values)):
        yield f"{name} holds none of the `mask_values` {_listed(absent)}."
    if mask.guessed and not set(values.tolist()) <= _PLAIN:
        yield (
            f"the kind of {name} is not known: every value but 0 hides the ground, and it holds "
            f"{_listed([int(value) for value in values])}; name the kind with `mask_kind`, or values with "
            "`mask_values`."
        )
    if mask.bands > 1 and mask.bands != meaning.bands and kind_by_name(mask.path) != "udm2":
        yield f"{name} has {mask.bands} bands, of which the first one is read."


def _taken(mask: MaskFile) -> str:
    return (
        f"values {_listed(list(mask.values))}"
        if mask.values
        else f"bits {_listed(list(mask.bits))}"
        if (mask.bits)
        else mask.kind
    )


def _values(mask: MaskFile, scene: Scene, pair: Pair) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Different values of a mask and how many pixels hold each."""
    parts = []
    for window in _windows(pair.grid.window):
        if pair.intersects_aoi(window):
            place = window.shifted(*scene.offset).intersection(scene.grid.window)
            parts.append(read_mask(mask, scene.grid, place).ravel())
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    values, counts = np.unique(np.concatenate(parts), return_counts=True)
    return values, counts


def _windows(whole: Window) -> Iterator[Window]:
    height, width = min(_EDGE, whole.height), min(_EDGE, whole.width)
    rows = np.linspace(0, whole.height - height, _PLACES).astype(int)
    cols = np.linspace(0, whole.width - width, _PLACES).astype(int)
    for row in dict.fromkeys(rows.tolist()):
        for col in dict.fromkeys(cols.tolist()):
            yield Window(row, col, height, width)


def _listed(values: list[int]) -> str:
    more = ", ..." if len(values) > _MOST_NAMED else ""
    return ", ".join(str(value) for value in values[:_MOST_NAMED]) + more
