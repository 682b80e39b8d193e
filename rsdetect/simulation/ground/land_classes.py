"""True land classes of a painted ground, by its cover and its materials."""

from __future__ import annotations

import numpy as np

from rsdetect.arraytypes import Float32Array, UInt8Array
from rsdetect.kinds.classes import Land
from rsdetect.simulation.canvas import Canvas, Cover
from rsdetect.simulation.materials import RANGES, ROWS

_OF_COVER = {
    Cover.WOODY: Land.TREES,
    Cover.BUILDING: Land.BUILT,
    Cover.PAVED: Land.BUILT,
    Cover.WATER: Land.WATER,
    Cover.SOLAR: Land.BUILT,
    Cover.GREENHOUSE: Land.BUILT,
}
_PLANTS = ("grass", "crop", "ripe", "conifer", "leaf", "autumn", "twig")


def _rows(*materials: str) -> Float32Array:
    """1 at the palette rows of these materials, else 0; (ROWS,)."""
    rows = np.zeros(ROWS, np.float32)
    for name in materials:
        first, count = RANGES[name]
        rows[first : first + count] = 1
    return rows


_IS_PLANT, _IS_ASH, _IS_SNOW = _rows(*_PLANTS), _rows("ash"), _rows("snow")


def land_classes(canvas: Canvas) -> UInt8Array:
    """Land classes of a canvas, (height, width); of open ground, what most of it is made of."""

    def share(rows: Float32Array) -> Float32Array:
        first, second = rows[canvas.first], rows[canvas.second]
        return np.asarray(first + (second - first) * canvas.mix)

    land = np.where(share(_IS_PLANT) >= 0.5, np.uint8(Land.LOW_VEGETATION), np.uint8(Land.BARE))
    land[share(_IS_ASH) >= 0.5] = Land.BURNT
    for cover, of in _OF_COVER.items():
        land[canvas.cover == cover] = of
    land[share(_IS_SNOW) >= 0.5] = Land.SNOW
    return land
