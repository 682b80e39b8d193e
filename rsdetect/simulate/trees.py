"""Painting the trees, crown by crown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsdetect.simulate.canvas import Canvas, Cover, Texture
from rsdetect.simulate.look import Look
from rsdetect.simulate.materials import RANGES
from rsdetect.simulate.noise import Float32Array, Frame, uniform

_MIN_CROWN_PX = 2.2  # smaller crowns are left to the texture of the ground


def paint_trees(canvas: Canvas, frame: Frame, texture: Texture, look: Look, spacing_m: float) -> None:
    """Paint a crown at each taken place of a jittered grid, `spacing_m` apart.

    A place is taken by the density that `canvas.trees` has at the trunk, so crowns are whole.
    """
    spacing = spacing_m
    if spacing < _MIN_CROWN_PX * frame.gsd_m or not canvas.trees.any():
        return
    y, x = frame.y_m, frame.x_m
    rows = np.arange(int(np.floor(y[0, 0] / spacing)) - 1, int(np.floor(y[-1, 0] / spacing)) + 2)
    cols = np.arange(int(np.floor(x[0, 0] / spacing)) - 1, int(np.floor(x[0, -1] / spacing)) + 2)
    salt = 71 + int(spacing * 10)

    def draw(number: int) -> Float32Array:
        return uniform(frame.seed, salt + 1000 * number, rows[:, None], cols[None, :])

    trunk_y = ((rows[:, None] + 0.25 + 0.5 * draw(0)) * spacing).astype(np.float32)
    trunk_x = ((cols[None, :] + 0.25 + 0.5 * draw(1)) * spacing).astype(np.float32)
    at_row = np.clip((trunk_y - y[0, 0]) / frame.gsd_m + 0.5, 0, frame.height - 1).astype(np.intp)
    at_col = np.clip((trunk_x - x[0, 0]) / frame.gsd_m + 0.5, 0, frame.width - 1).astype(np.intp)
    taken = canvas.trees[at_row, at_col] > draw(2)
    if not taken.any():
        return
    radius = np.where(taken, spacing * (0.32 + 0.4 * draw(3)), 0).astype(np.float32)
    tables = (trunk_y, trunk_x, radius, draw(6) - np.float32(0.5))
    crown, depth, lit, number = _nearest_crown(frame, tables, (rows[0], cols[0]), spacing, look)
    at = np.flatnonzero(crown)
    if not at.size:
        return
    number, depth, lit = number.ravel()[at], depth.ravel()[at], lit.ravel()[at]
    kind, tone = draw(4).ravel()[number], draw(5).ravel()[number]
    t = texture.at(at)
    row = np.where(kind < 0.3, _rows("conifer", kind * 3.3), _rows("leaf", np.mod(kind * 7, 1)))
    shade = (0.8 + 0.35 * tone) * (1 + 0.45 * lit) * (1 + 0.12 * t.grain + 0.12 * t.fine)
    mix = np.clip(0.15 + 0.1 * t.fine, 0, 1)
    canvas.paint(at, row.astype(np.uint8), _rows("leaf", tone), mix, shade, Cover.WOODY)
    height = canvas.height_m.reshape(-1)
    height[at] = np.maximum(height[at], (0.4 + 0.6 * depth) * spacing * (0.8 + 0.6 * tone))


def _rows(name: str, lot: Float32Array) -> NDArray[np.uint8]:
    start, count = RANGES[name]
    return (start + np.minimum(lot * count, count - 1)).astype(np.uint8)


def _nearest_crown(
    frame: Frame,
    tables: tuple[Float32Array, Float32Array, Float32Array, Float32Array],
    first: tuple[int, int],
    spacing: float,
    look: Look,
) -> tuple[NDArray[np.bool_], Float32Array, Float32Array, NDArray[np.intp]]:
    """Of the four crowns that may cover a pixel, the one it lies deepest in.

    Returns whether one covers it, how deep the pixel lies in it (0 rim, 1 middle), how far the crown's
    surface there faces the sun (-1 to 1), and the crown's flat number in the tables.
    """
    trunk_y, trunk_x, radius, oval = (table.ravel() for table in tables)
    count = tables[0].shape[1]
    y, x = frame.y_m, frame.x_m
    row, col = np.floor(y / spacing), np.floor(x / spacing)
    # The nearer neighbour on either axis; a trunk stands in the middle half of its cell.
    next_row = np.where(y / spacing - row < 0.5, -1, 1)
    next_col = np.where(x / spacing - col < 0.5, -1, 1)
    row = row.astype(np.intp) - first[0]
    col = col.astype(np.intp) - first[1]
    shape = (frame.height, frame.width)
    depth = np.zeros(shape, dtype=np.float32)
    lit = np.zeros(shape, dtype=np.float32)
    number = np.zeros(shape, dtype=np.intp)
    for step_row, step_col in ((0, 0), (0, 1), (1, 0), (1, 1)):
        tree = (row + step_row * next_row) * count + (col + step_col * next_col)
        r = radius[tree]
        dy, dx = y - trunk_y[tree], x - trunk_x[tree]
        # Crowns are not round: each is an oval of its own.
        here = 1 - (dy * dy + dx * dx + oval[tree] * dy * dx) / np.maximum(r * r, 1e-6)
        deeper = here > depth
        depth = np.where(deeper, here, depth)
        lit = np.where(deeper, (dy * look.sun[0] + dx * look.sun[1]) / np.maximum(r, 1e-3), lit)
        number = np.where(deeper, tree, number)
    return depth > 0, depth, np.clip(lit, -1, 1), number
