"""A scene pair, block by block: any window of it, the same however it is cut."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from rsdetect.arraytypes import UInt8Array
from rsdetect.simulation.exposure import (
    Sensed,
    coarseness,
    develop,
    sense,
    shadow_reach_px,
    stretch_limits,
)
from rsdetect.simulation.ground.landscape import draw_landscape
from rsdetect.simulation.ground.trees import CROWN_REACH_M
from rsdetect.simulation.imaging.tone_curve import Limits, Stretch
from rsdetect.simulation.noise import Frame
from rsdetect.simulation.spec import Rendered, SceneSpec
from rsdetect.simulation.world import build_world

if TYPE_CHECKING:  # the machine that trains need not have what grids are made of
    from rsdetect.grid import Window

_LARGEST_BLOCK = 512  # pixels; a wider one would hold more memory, a narrower one more margin


def render(spec: SceneSpec, window: Window) -> Rendered:
    """The pixels of one window of the pair, which may be the whole.

    Parameters
    ----------
    window
        Lies inside the scene. However a scene is cut into windows, and in whatever order they are asked
        for, the pixels are the same.
    """
    assert window.row_off >= 0 and window.row_end <= spec.height, window
    assert window.col_off >= 0 and window.col_end <= spec.width, window
    return _assemble(spec, (window.row_off, window.row_end), (window.col_off, window.col_end))


def render_whole(spec: SceneSpec) -> Rendered:
    """The whole pair at once; for scenes that fit in memory."""
    return _assemble(spec, (0, spec.height), (0, spec.width))


def _assemble(spec: SceneSpec, rows: tuple[int, int], cols: tuple[int, int]) -> Rendered:
    """The pixels from the first row and column up to, and without, the last; put together from blocks."""
    shape = rows[1] - rows[0], cols[1] - cols[0]
    images = [np.zeros((len(spec.bands), *shape), spec.dtype) for _ in range(2)]
    codes = [np.zeros(shape, np.uint8) for _ in range(2)]
    masks = [np.zeros(shape, np.bool_) for _ in range(4)]
    out = Rendered(images[0], images[1], codes[0], codes[1], masks[0], masks[1], masks[2], masks[3])
    block_rows, block_cols = block_shape(spec)
    for row in range(rows[0] // block_rows, -(-rows[1] // block_rows)):
        for col in range(cols[0] // block_cols, -(-cols[1] // block_cols)):
            block = render_block(spec, row, col)
            to_rows, from_rows = _overlap(row * block_rows, block_rows, *rows)
            to_cols, from_cols = _overlap(col * block_cols, block_cols, *cols)
            for name in Rendered.__dataclass_fields__:
                getattr(out, name)[..., to_rows, to_cols] = getattr(block, name)[..., from_rows, from_cols]
    return out


def _overlap(start: int, length: int, first: int, end: int) -> tuple[slice, slice]:
    """Of a block that begins at `start`: its place in [first, end), and the part of it that lies there."""
    low, high = max(start, first), min(start + length, end)
    return slice(low - first, high - first), slice(low - start, high - start)


def block_shape(spec: SceneSpec) -> tuple[int, int]:
    """Rows and columns of the scene's blocks; a pixel is drawn as a part of its block and of no other frame.

    Multiples of 8, as compression wants them; a small scene is one block.
    """
    rows, cols = (min(_LARGEST_BLOCK, 8 * ceil(edge / 8)) for edge in (spec.height, spec.width))
    return rows, cols


def margin_px(spec: SceneSpec) -> int:
    """How far around a block ground is drawn for what reaches in: crowns, their shadows, blur, shift."""
    looks = build_world(spec).looks
    days = [day for look in looks for day in (look, look.beyond) if day]
    kernel = max(day.optics.reach_px(max(coarseness(spec))) for day in days)
    # A shadow whose tree stands beyond the margin is too rare to pay for: less than one pixel in 100 000.
    shadow = max(shadow_reach_px(spec.ground_m, day) for day in days)
    return kernel + max(shadow, ceil(CROWN_REACH_M / spec.ground_m))


def _sense_block(spec: SceneSpec, row: int, col: int) -> tuple[Frame, tuple[Sensed, ...], UInt8Array]:
    """A block before it becomes a product: its frame, what was measured on both dates, the kind of change."""
    world = build_world(spec)
    rows, cols = block_shape(spec)
    frame = Frame(row * rows, col * cols, rows, cols, spec.ground_m, world.seed)
    margin = margin_px(spec)
    outer = Frame(
        frame.row - margin,
        frame.col - margin,
        rows + 2 * margin,
        cols + 2 * margin,
        spec.ground_m,
        world.seed,
    )
    landscape = draw_landscape(world, outer)
    sensed = tuple(
        sense(spec, world, canvas, frame, margin, date) for date, canvas in enumerate(landscape.canvases)
    )
    return frame, sensed, landscape.kind[margin:-margin, margin:-margin].copy()


def _middle(spec: SceneSpec) -> tuple[int, int]:
    """The block whose percentiles stand for those of the scene where a product is stretched by them."""
    rows, cols = block_shape(spec)
    return (spec.height // 2) // rows, (spec.width // 2) // cols


@lru_cache(maxsize=4)
def _scene_limits(spec: SceneSpec) -> tuple[tuple[Limits, ...], ...]:
    """Black and white of both dates, measured in the middle of a scene of several blocks."""
    _, sensed, _ = _sense_block(spec, *_middle(spec))
    return tuple(stretch_limits(spec, each) for each in sensed)


@lru_cache(maxsize=2)
def render_block(spec: SceneSpec, row: int, col: int) -> Rendered:
    """One block of the pair, as large as `block_shape` says; it may run beyond the scene's edge."""
    world = build_world(spec)
    frame, sensed, kind = _sense_block(spec, row, col)
    days = [day for each in sensed for day in (each.look, each.look.beyond) if day]
    if (row, col) == _middle(spec) or all(day.tone.stretch is Stretch.FIXED for day in days):
        limits = tuple(stretch_limits(spec, each) for each in sensed)
    else:
        limits = _scene_limits(spec)
    before, after = (
        develop(spec, world, each, limits[date], frame, date) for date, each in enumerate(sensed)
    )
    done = Rendered(
        before=before,
        after=after,
        truth=(kind != 0).astype(np.uint8),
        kind=kind,
        cloud_before=sensed[0].clouded,
        cloud_after=sensed[1].clouded,
        shadow_before=sensed[0].shadowed,
        shadow_after=sensed[1].shadowed,
    )
    for name in Rendered.__dataclass_fields__:
        getattr(done, name).flags.writeable = False  # the cache hands out the same arrays again
    return done
