"""Labels that are polygons, as drawn in QGIS."""

from __future__ import annotations

from typing import Any

import geopandas
import numpy as np
import pyogrio
from numpy.typing import NDArray

from rsdetect.errors import InputError
from rsdetect.grid import Grid, Window
from rsdetect.labelled.codes import CHANGED, NOT_LABELLED, UNCHANGED
from rsdetect.scenes.aoi import inside_aoi, polygons_on
from rsdetect.scenes.handles import one_line

LAYER = "labels"
NOT_LABELLED_LAYER = "not_labelled"
FIELD = "label"
_MEANINGS = {
    "changed": CHANGED,
    "1": CHANGED,
    "unchanged": UNCHANGED,
    "0": UNCHANGED,
    "not labelled": NOT_LABELLED,
    "255": NOT_LABELLED,
}


def draw_labels(path: str, grid: Grid, window: Window) -> NDArray[np.uint8]:
    """The polygons of a vector file on `window` of `grid`, a pixel by its centre.

    Polygons are taken from the layer `labels`, else from the first; each is change, unless a field `label`
    says changed, unchanged or not labelled (or 1, 0, 255). What a layer `not_labelled` covers is not labelled
    either. Outside all polygons nothing changed; but where some are drawn as unchanged, only what lies in a
    polygon is labelled. Not labelled outranks changed, and changed outranks unchanged.

    Returns
    -------
    (height, width) uint8: 1 changed, 0 unchanged, 255 not labelled.

    Raises
    ------
    InputError
        Not a vector file, no polygons where there is something else, a word in `label` that means nothing.
    """
    layers = _layers(path)
    frame = _read(path, LAYER if LAYER in layers else layers[0])
    meanings = _meanings(path, frame)
    drawn = {
        meaning: _inside(path, frame[meanings == meaning], grid, window)
        for meaning in (UNCHANGED, CHANGED, NOT_LABELLED)
    }
    if NOT_LABELLED_LAYER in layers:
        hidden = _read(path, NOT_LABELLED_LAYER)
        drawn[NOT_LABELLED] = drawn[NOT_LABELLED] | _inside(path, hidden, grid, window)
    outside = NOT_LABELLED if (meanings == UNCHANGED).any() else UNCHANGED
    truth = np.full(window.shape, outside, np.uint8)
    for meaning, inside in drawn.items():
        truth[inside] = meaning
    return truth


def _layers(path: str) -> list[str]:
    try:
        found = pyogrio.list_layers(path)
    except Exception as error:
        raise InputError(f"the label {path} cannot be opened as polygons: {one_line(error)}.") from error
    layers = [str(name) for name, kind in found if kind is not None]
    drawn = [name for name in layers if name != NOT_LABELLED_LAYER]
    if not drawn:
        raise InputError(f"the label {path} holds no layer of polygons.")
    return [*drawn, *(name for name in layers if name == NOT_LABELLED_LAYER)]


def _read(path: str, layer: str) -> Any:
    try:
        frame = geopandas.read_file(path, layer=layer)
    except Exception as error:
        raise InputError(f"the label {path} cannot be read: {one_line(error)}.") from error
    kinds = set(frame.geom_type.dropna())
    if kinds and not kinds & {"Polygon", "MultiPolygon", "GeometryCollection"}:
        raise InputError(f"the layer {layer} of {path} holds {', '.join(sorted(kinds))}, and no polygon.")
    return frame


def _meanings(path: str, frame: Any) -> NDArray[np.int64]:
    if FIELD not in frame:
        return np.full(len(frame), CHANGED)
    words = [_word(value) for value in frame[FIELD]]
    unknown = sorted({word for word in words if word not in _MEANINGS})
    if unknown:
        raise InputError(
            f"the field {FIELD!r} of {path} says {', '.join(map(repr, unknown[:3]))}; it says changed, "
            "unchanged or not labelled (or 1, 0, 255)."
        )
    return np.array([_MEANINGS[word] for word in words], dtype=np.int64)


def _word(value: Any) -> str:
    """A field's value as a word; numbers come as floats where a row has none, and none means changed."""
    if value is None or value != value:
        return "changed"
    if isinstance(value, str):
        return value.strip().lower().replace("_", " ")
    return f"{value:g}"


def _inside(path: str, frame: Any, grid: Grid, window: Window) -> NDArray[np.bool_]:
    filled = frame.geometry[frame.geometry.notna()]
    if filled.empty:
        return np.zeros(window.shape, np.bool_)
    return inside_aoi(polygons_on(filled, grid, path), window)
