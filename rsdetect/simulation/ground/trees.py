"""Trees, painted crown by crown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float32Array
from rsdetect.simulation.canvas import Canvas, Cover, Texture
from rsdetect.simulation.imaging.view import View
from rsdetect.simulation.materials import RANGES
from rsdetect.simulation.noise import Frame, uniform
from rsdetect.simulation.salts import Salt

LARGEST_CROWN_M = 8.0  # radius
_MOST_LEAN = 0.2  # greatest displacement of a crown from its trunk, share of the spacing
CROWN_REACH_M = 10.5  # from the trunk, displacement included
_UPRIGHT = 0.02  # metres per metre of height; less displacement is invisible
_MIN_CROWN_PX = 2.2  # smaller crowns are part of the ground's texture


def paint_trees(
    canvas: Canvas, frame: Frame, texture: Texture, view: View, spacing_m: float, date: int
) -> None:
    """Paint the trees: a crown at each occupied position of a jittered grid, `spacing_m` apart.

    A position is occupied by the density of `canvas.trees` at the trunk, so crowns are never cut. Crowns may
    be smaller on one date; the cover uses the full crown, because growth is no change.
    """
    spacing = spacing_m
    if not canvas.trees.any():
        return
    if spacing < _MIN_CROWN_PX * frame.gsd_m:
        # Too small to be drawn: many trees darken the ground between them.
        canvas.shade[:] *= 1 - 0.22 * np.clip(canvas.trees, 0, 1) * (canvas.cover != Cover.WOODY)
        return
    y, x = frame.y_m, frame.x_m
    rows = np.arange(int(np.floor(y[0, 0] / spacing)) - 1, int(np.floor(y[-1, 0] / spacing)) + 2)
    cols = np.arange(int(np.floor(x[0, 0] / spacing)) - 1, int(np.floor(x[0, -1] / spacing)) + 2)

    def draw(salt: Salt) -> Float32Array:
        # Each of the two grids has another spacing.
        return uniform(frame.seed, salt, rows[:, None], cols[None, :], part=int(spacing * 10))

    trunk_y = ((rows[:, None] + 0.25 + 0.5 * draw(Salt.TREE_SOUTH)) * spacing).astype(np.float32)
    trunk_x = ((cols[None, :] + 0.25 + 0.5 * draw(Salt.TREE_EAST)) * spacing).astype(np.float32)
    at_row = np.clip((trunk_y - y[0, 0]) / frame.gsd_m + 0.5, 0, frame.height - 1).astype(np.intp)
    at_col = np.clip((trunk_x - x[0, 0]) / frame.gsd_m + 0.5, 0, frame.width - 1).astype(np.intp)
    taken = canvas.trees[at_row, at_col] > draw(Salt.TREE_TAKEN)
    if not taken.any():
        return
    full_m = np.minimum(spacing * (0.32 + 0.4 * draw(Salt.TREE_RADIUS)), LARGEST_CROWN_M)
    radius = np.where(taken, full_m, 0).astype(np.float32)
    oval, tone = draw(Salt.TREE_OVAL) - 0.5, draw(Salt.TREE_TONE)
    crown, depth, tree = _deepest_crown(frame, TreeCrowns(trunk_y, trunk_x, radius, oval, spacing))
    canvas.cover[crown] = Cover.WOODY
    trunk_y, trunk_x = _leaning_crowns(trunk_y, trunk_x, spacing * (0.8 + 0.6 * tone), view, spacing)
    if max(np.abs(view.lean)) > _UPRIGHT:
        # The cover, and so the truth, follows the trunks: an oblique view fells no tree.
        crown, depth, tree = _deepest_crown(frame, TreeCrowns(trunk_y, trunk_x, radius, oval, spacing))
    share = float(uniform(frame.seed, Salt.TREE_YOUNG, date)[0])
    young = 0.35 * share * share
    full = 1 - np.square(
        1 - young * draw(Salt.TREE_GROWTH).ravel()[tree]
    )  # depth in the full crown of the rim of today's crown
    at = np.flatnonzero(crown & (depth > full))
    if not at.size:
        return
    tree, depth = tree.ravel()[at], depth.ravel()[at]
    at_y, at_x = np.unravel_index(at, crown.shape)
    # Orientation of the crown's surface towards the sun, -1 to 1.
    side_y = y[at_y, 0] - trunk_y.ravel()[tree]
    side_x = x[0, at_x] - trunk_x.ravel()[tree]
    lit = np.clip((side_y * view.sun[0] + side_x * view.sun[1]) / radius.ravel()[tree], -1, 1)
    kind, tone = draw(Salt.TREE_KIND).ravel()[tree], tone.ravel()[tree]
    t = texture.at(at)
    row = np.where(
        kind < 0.3, _tree_palette_rows("conifer", kind * 3.3), _tree_palette_rows("leaf", np.mod(kind * 7, 1))
    )
    shade = (0.8 + 0.35 * tone) * (1 + 0.45 * lit) * (1 + 0.12 * t.grain + 0.12 * t.fine)
    mix = np.clip(0.15 + 0.1 * t.fine, 0, 1)
    cover = canvas.cover.reshape(-1)[at]
    canvas.paint(at, row.astype(np.uint8), _tree_palette_rows("leaf", tone), mix, shade, cover)
    height = canvas.height_m.reshape(-1)
    height[at] = np.maximum(height[at], (0.4 + 0.6 * depth) * spacing * (0.8 + 0.6 * tone))


def _leaning_crowns(
    y_m: Float32Array, x_m: Float32Array, height_m: Float32Array, view: View, spacing_m: float
) -> tuple[Float32Array, Float32Array]:
    """Apparent positions of tree crowns with trunks at `y_m`, `x_m`."""
    most = np.float32(_MOST_LEAN * spacing_m)
    moved = [np.clip(np.float32(0.7 * lean) * height_m, -most, most) for lean in view.lean]
    return y_m + moved[0], x_m + moved[1]


def _tree_palette_rows(name: str, lot: Float32Array) -> NDArray[np.uint8]:
    start, count = RANGES[name]
    return (start + np.minimum(lot * count, count - 1)).astype(np.uint8)


@dataclass(frozen=True)
class TreeCrowns:
    """Tree crowns near a frame; arrays are (rows, columns) of the jittered grid."""

    y_m: Float32Array  # trunk
    x_m: Float32Array
    radius_m: Float32Array  # 0 = no tree
    oval: Float32Array  # -0.5 to 0.5, 0 = round
    spacing_m: float


def _deepest_crown(
    frame: Frame, crowns: TreeCrowns
) -> tuple[NDArray[np.bool_], Float32Array, NDArray[np.intp]]:
    """Tree crown that each pixel lies deepest in, of the four that may cover it.

    Returns whether a crown covers the pixel, its depth in the crown (0 rim, 1 middle), and the crown's flat
    index; all (height, width).
    """
    count, spacing = crowns.y_m.shape[1], crowns.spacing_m
    y, x = frame.y_m, frame.x_m
    row, col = np.floor(y / spacing), np.floor(x / spacing)
    # The nearer neighbour on each axis; a trunk lies in the middle half of its cell.
    next_row = np.where(y / spacing - row < 0.5, -1, 1)
    next_col = np.where(x / spacing - col < 0.5, -1, 1)
    row = (row - row[0, 0]).astype(np.intp) + 1
    col = (col - col[0, 0]).astype(np.intp) + 1
    radius = crowns.radius_m
    trunk_y, trunk_x, oval = crowns.y_m.ravel(), crowns.x_m.ravel(), crowns.oval.ravel()
    # No tree: so steep that it covers no pixel.
    steep = (
        np.where(radius > 0, 1 / np.square(np.maximum(radius, 1e-3)), np.float32(1e9))
        .astype(np.float32)
        .ravel()
    )
    depth = np.zeros((frame.height, frame.width), dtype=np.float32)
    number = np.zeros(depth.shape, dtype=np.intp)
    for step_row, step_col in ((0, 0), (0, 1), (1, 0), (1, 1)):
        tree = (row + step_row * next_row) * count + (col + step_col * next_col)
        dy, dx = y - trunk_y[tree], x - trunk_x[tree]
        # Crowns are not round; each is a different oval.
        here = oval[tree] * dy
        here += dx
        here *= dx
        here += dy * dy
        here *= steep[tree]
        np.subtract(1, here, out=here)
        deeper = here > depth
        np.copyto(depth, here, where=deeper)
        np.copyto(number, tree, where=deeper)
    return depth > 0, depth, number
