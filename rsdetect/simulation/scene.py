"""Simulated scene pair, rendered block by block: pixels do not depend on the window that is requested."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from rsdetect.arraytypes import UInt8Array
from rsdetect.simulation.exposure import (
    Exposure,
    band_coarseness,
    develop_exposure,
    expose,
    shadow_reach_px,
    stretch_limits,
)
from rsdetect.simulation.ground.landscape import draw_landscape
from rsdetect.simulation.ground.trees import CROWN_REACH_M
from rsdetect.simulation.imaging.tone_curve import Limits, Stretch
from rsdetect.simulation.noise import Frame
from rsdetect.simulation.spec import Rendered, SceneSpec
from rsdetect.simulation.world import build_world

if TYPE_CHECKING:  # training runs without the packages of grids
    from rsdetect.grid import Window

_LARGEST_BLOCK = 512  # pixels; larger blocks take more memory, smaller ones more margin


def render(spec: SceneSpec, window: Window) -> Rendered:
    """Render one window of the simulated scene pair.

    Parameters
    ----------
    window
        Lies inside the scene. The pixels do not depend on the windows or their order.
    """
    assert window.row_off >= 0 and window.row_end <= spec.height, window
    assert window.col_off >= 0 and window.col_end <= spec.width, window
    return _assemble_scene(spec, (window.row_off, window.row_end), (window.col_off, window.col_end))


def render_whole(spec: SceneSpec) -> Rendered:
    """Render the whole simulated scene pair at once; for scenes that fit in memory."""
    return _assemble_scene(spec, (0, spec.height), (0, spec.width))


def _assemble_scene(spec: SceneSpec, rows: tuple[int, int], cols: tuple[int, int]) -> Rendered:
    """Assemble the half-open range of rows and columns of a scene from its blocks."""
    shape = rows[1] - rows[0], cols[1] - cols[0]
    images = [np.zeros((len(spec.bands), *shape), spec.dtype) for _ in range(2)]
    codes = [np.zeros(shape, np.uint8) for _ in range(4)]
    masks = [np.zeros(shape, np.bool_) for _ in range(4)]
    out = Rendered(*images, *codes[:2], *masks, *codes[2:])
    block_rows, block_cols = block_shape(spec)
    for row in range(rows[0] // block_rows, -(-rows[1] // block_rows)):
        for col in range(cols[0] // block_cols, -(-cols[1] // block_cols)):
            block = render_block(spec, row, col)
            to_rows, from_rows = _block_overlap(row * block_rows, block_rows, *rows)
            to_cols, from_cols = _block_overlap(col * block_cols, block_cols, *cols)
            for name in Rendered.__dataclass_fields__:
                getattr(out, name)[..., to_rows, to_cols] = getattr(block, name)[..., from_rows, from_cols]
    return out


def _block_overlap(start: int, length: int, first: int, end: int) -> tuple[slice, slice]:
    """Overlap of a scene block at `start` with [first, end): slices of the range and of the block."""
    low, high = max(start, first), min(start + length, end)
    return slice(low - first, high - first), slice(low - start, high - start)


def block_shape(spec: SceneSpec) -> tuple[int, int]:
    """Rows and columns of the scene's blocks; a pixel is rendered only as part of its block.

    Multiples of 8, as compression requires; a small scene is one block.
    """
    rows, cols = (min(_LARGEST_BLOCK, 8 * ceil(edge / 8)) for edge in (spec.height, spec.width))
    return rows, cols


def margin_px(spec: SceneSpec) -> int:
    """Margin around a scene block, for crowns, shadows, blur and shift that extend into the block."""
    views = build_world(spec).views
    days = [day for view in views for day in (view, view.beyond) if day]
    kernel = max(day.optics.reach_px(max(band_coarseness(spec))) for day in days)
    # Shadows of trees beyond the margin are ignored: they hit less than one pixel in 100 000.
    shadow = max(shadow_reach_px(spec.ground_m, day) for day in days)
    return kernel + max(shadow, ceil(CROWN_REACH_M / spec.ground_m))


def _expose_block(
    spec: SceneSpec, row: int, col: int
) -> tuple[Frame, tuple[Exposure, ...], tuple[UInt8Array, ...]]:
    """Frame of a scene block, the exposures of both dates, and the kind of change with both land classes."""
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
        expose(spec, world, canvas, frame, margin, date) for date, canvas in enumerate(landscape.canvases)
    )
    truth = (each[margin:-margin, margin:-margin].copy() for each in (landscape.kind, *landscape.land))
    return frame, sensed, tuple(truth)


def _middle_block(spec: SceneSpec) -> tuple[int, int]:
    """Index of the block whose percentiles are used to stretch the whole scene."""
    rows, cols = block_shape(spec)
    return (spec.height // 2) // rows, (spec.width // 2) // cols


@lru_cache(maxsize=4)
def _scene_limits(spec: SceneSpec) -> tuple[tuple[Limits, ...], ...]:
    """Stretch limits of both dates, measured in the middle block of a scene of several blocks."""
    _, sensed, _ = _expose_block(spec, *_middle_block(spec))
    return tuple(stretch_limits(spec, each) for each in sensed)


@lru_cache(maxsize=2)
def render_block(spec: SceneSpec, row: int, col: int) -> Rendered:
    """Render one block of the scene pair, of `block_shape`; it may extend beyond the scene's edge."""
    world = build_world(spec)
    frame, sensed, (kind, *land) = _expose_block(spec, row, col)
    days = [day for each in sensed for day in (each.view, each.view.beyond) if day]
    if (row, col) == _middle_block(spec) or all(day.tone.stretch is Stretch.FIXED for day in days):
        limits = tuple(stretch_limits(spec, each) for each in sensed)
    else:
        limits = _scene_limits(spec)
    before, after = (
        develop_exposure(spec, world, each, limits[date], frame, date) for date, each in enumerate(sensed)
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
        land_before=land[0],
        land_after=land[1],
    )
    for name in Rendered.__dataclass_fields__:
        getattr(done, name).flags.writeable = False  # the cache returns the same arrays
    return done
