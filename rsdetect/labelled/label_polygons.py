"""Label polygons, as drawn in QGIS, rasterized."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from rsdetect.errors import InputError, NothingToCompare
from rsdetect.grid import Grid, Window
from rsdetect.labelled.label_coding import CHANGED, NOT_LABELLED, UNCHANGED
from rsdetect.scenes.aoi import inside_aoi, polygons_on, touches_window
from rsdetect.scenes.handles import one_line
from rsdetect.scenes.named_files import refuse_endless_named
from rsdetect.scenes.vectors import read_polygons

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


def rasterize_labels(path: str, grid: Grid, window: Window) -> NDArray[np.uint8]:
    """Rasterize the label polygons of a vector file on `window` of `grid`, by pixel centres.

    Polygons are read from the layer `labels`, else from the first; each is change, unless a field `label` is
    changed, unchanged or not labelled (or 1, 0, 255). Polygons of a layer `not_labelled` are not labelled
    either. Pixels outside all polygons are unchanged; but if some polygons are unchanged, only pixels in
    polygons are labelled. Not labelled overrides changed, and changed overrides unchanged.

    Returns
    -------
    (height, width) uint8: 1 changed, 0 unchanged, 255 not labelled.

    Raises
    ------
    InputError
        Not a vector file, other geometries than polygons, or an unknown value of `label`.
    NothingToCompare
        The extent of the polygons lies outside the grid.
    """
    layers = _label_layers(path)
    frame = _read_label_layer(path, LAYER if LAYER in layers else layers[0])
    hidden = _read_label_layer(path, NOT_LABELLED_LAYER) if NOT_LABELLED_LAYER in layers else None
    _require_overlap(path, [frame] if hidden is None else [frame, hidden], grid)
    meanings = _label_meanings(path, frame)
    drawn = {
        meaning: _inside_label_polygons(path, frame[meanings == meaning], grid, window)
        for meaning in (UNCHANGED, CHANGED, NOT_LABELLED)
    }
    if hidden is not None:
        drawn[NOT_LABELLED] = drawn[NOT_LABELLED] | _inside_label_polygons(path, hidden, grid, window)
    outside = NOT_LABELLED if (meanings == UNCHANGED).any() else UNCHANGED
    truth = np.full(window.shape, outside, np.uint8)
    for meaning, inside in drawn.items():
        truth[inside] = meaning
    return truth


def _require_overlap(path: str, frames: list[Any], grid: Grid) -> None:
    """Refuse polygons whose common extent misses the grid; a grid between them has no change."""
    filled = [frame.geometry[frame.geometry.notna() & ~frame.geometry.is_empty] for frame in frames]
    filled = [shapes for shapes in filled if not shapes.empty]
    for shapes in filled:
        extent = type(shapes)([shapely.box(*shapes.total_bounds)], crs=shapes.crs)
        if touches_window(polygons_on(extent, grid, path), grid.window):
            return
    if filled:
        raise NothingToCompare(f"the polygons of the label {path} lie outside what both scenes cover.")


def _label_layers(path: str) -> list[str]:
    refuse_endless_named(path)
    try:
        found = pyogrio.list_layers(path)
    except Exception as error:
        raise InputError(f"the label {path} cannot be opened as polygons: {one_line(error)}.") from error
    layers = [str(name) for name, kind in found if kind is not None]
    drawn = [name for name in layers if name != NOT_LABELLED_LAYER]
    if not drawn:
        raise InputError(f"the label {path} holds no layer of polygons.")
    return [*drawn, *(name for name in layers if name == NOT_LABELLED_LAYER)]


def _read_label_layer(path: str, layer: str) -> Any:
    frame = read_polygons(path, "a label", layer=layer)
    kinds = set(frame.geom_type.dropna())
    if kinds and not kinds & {"Polygon", "MultiPolygon", "GeometryCollection"}:
        raise InputError(f"the layer {layer} of {path} holds {', '.join(sorted(kinds))}, and no polygon.")
    return frame


def _label_meanings(path: str, frame: Any) -> NDArray[np.int64]:
    if FIELD not in frame:
        return np.full(len(frame), CHANGED)
    words = [_label_word(value) for value in frame[FIELD]]
    unknown = sorted({word for word in words if word not in _MEANINGS})
    if unknown:
        raise InputError(
            f"the field {FIELD!r} of {path} has {', '.join(map(repr, unknown[:3]))}; its values are changed, "
            "unchanged or not labelled (or 1, 0, 255)."
        )
    return np.array([_MEANINGS[word] for word in words], dtype=np.int64)


def _label_word(value: Any) -> str:
    """Word for the value of a label field; numbers are floats if a row has none, and none means changed."""
    if value is None or value != value:
        return "changed"
    if isinstance(value, str):
        return value.strip().lower().replace("_", " ")
    return f"{value:g}"


def _inside_label_polygons(path: str, frame: Any, grid: Grid, window: Window) -> NDArray[np.bool_]:
    filled = frame.geometry[frame.geometry.notna()]
    if filled.empty:
        return np.zeros(window.shape, np.bool_)
    return inside_aoi(polygons_on(filled, grid, path), window)
