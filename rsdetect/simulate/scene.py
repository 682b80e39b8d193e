"""A scene pair, block by block: any window of it, the same however it is cut."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from rsdetect.simulate.exposure import expose, shadow_reach_px
from rsdetect.simulate.landscape import draw_landscape
from rsdetect.simulate.noise import Frame
from rsdetect.simulate.sensor import KERNEL_REACH_PX
from rsdetect.simulate.spec import Rendered, SceneSpec
from rsdetect.simulate.trees import LARGEST_CROWN_M
from rsdetect.simulate.world import build_world

if TYPE_CHECKING:  # the machine that trains need not have what grids are made of
    from rsdetect.grid import Window

BLOCK = 256  # pixels; every pixel is drawn as a part of its block and of no other frame


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
    for row in range(rows[0] // BLOCK, -(-rows[1] // BLOCK)):
        for col in range(cols[0] // BLOCK, -(-cols[1] // BLOCK)):
            block = render_block(spec, row, col)
            to_rows, from_rows = _overlap(row * BLOCK, *rows)
            to_cols, from_cols = _overlap(col * BLOCK, *cols)
            for name in Rendered.__dataclass_fields__:
                getattr(out, name)[..., to_rows, to_cols] = getattr(block, name)[..., from_rows, from_cols]
    return out


def _overlap(start: int, first: int, end: int) -> tuple[slice, slice]:
    """Of a block that begins at `start`: its place in [first, end), and the part of it that lies there."""
    low, high = max(start, first), min(start + BLOCK, end)
    return slice(low - first, high - first), slice(low - start, high - start)


def margin_px(spec: SceneSpec) -> int:
    """How far around a block ground is drawn for what reaches in: crowns, their shadows, blur, shift."""
    # A shadow whose tree stands beyond the margin is too rare to pay for: less than one pixel in 100 000.
    return KERNEL_REACH_PX + max(shadow_reach_px(spec.ground_m), ceil(LARGEST_CROWN_M / spec.ground_m))


@lru_cache(maxsize=2)
def render_block(spec: SceneSpec, row: int, col: int) -> Rendered:
    """One block of the pair, `BLOCK` pixels square; it may run beyond the scene's edge."""
    world = build_world(spec)
    frame = Frame(row * BLOCK, col * BLOCK, BLOCK, BLOCK, spec.ground_m, world.seed)
    margin = margin_px(spec)
    wide = BLOCK + 2 * margin
    outer = Frame(frame.row - margin, frame.col - margin, wide, wide, spec.ground_m, world.seed)
    landscape = draw_landscape(world, outer)
    before, after = (
        expose(spec, world, canvas, frame, margin, date) for date, canvas in enumerate(landscape.canvases)
    )
    kind = landscape.kind[margin:-margin, margin:-margin].copy()
    done = Rendered(
        before=before.image,
        after=after.image,
        truth=(kind != 0).astype(np.uint8),
        kind=kind,
        cloud_before=before.clouded,
        cloud_after=after.clouded,
        shadow_before=before.shadowed,
        shadow_after=after.shadowed,
    )
    for name in Rendered.__dataclass_fields__:
        getattr(done, name).flags.writeable = False  # the cache hands out the same arrays again
    return done
