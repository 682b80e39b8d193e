"""Tracing a raster of change probability to regions: connected pixels at or above a threshold, polygonized.

The raster is read once, block by block, by several threads. Each block is reduced to pieces
(`regions.pieces`). Pieces that touch no edge are regions and are outlined (`regions.outlines`) by the same
thread; the others are kept until all blocks are read, joined across the edges (`regions.seams`), and then
outlined. The result equals that of polygonizing the whole raster at once, for any block size and number of
workers. The memory grows with the outlines, not with the raster.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rsdetect.grid import Grid, Window
from rsdetect.percent import NOT_OBSERVED
from rsdetect.regions.areas import largest_pixel_m2
from rsdetect.regions.collected import (
    LayerCounts,
    Regions,
    TracedRegions,
    TraceOptions,
    collected_regions,
)
from rsdetect.regions.opening import opening_halo, take_off_narrow_parts
from rsdetect.regions.outlines import trace_outlines
from rsdetect.regions.pieces import BlockPieces, Difference, Layers, LeftOut, ValueRange, find_pieces
from rsdetect.regions.seams import Seams, map_blocks_in_order

_OBSERVED = ValueRange(0, NOT_OBSERVED - 1)


class Raster(Protocol):
    """Raster of probability that tracing reads by windows, thread-safe."""

    @property
    def grid(self) -> Grid:
        """Grid of the traced raster."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Percent (height, width) of a window to trace; 255 = not observed."""


def trace_regions(raster: Raster, level: int, *, options: TraceOptions | None = None) -> Regions:
    """Trace the 4-connected regions of pixels at or above `level`.

    Parameters
    ----------
    raster
        Change probability in percent.
    level
        Threshold in percent, 0 to 100.
    options
        Opening, minimum area, generalisation, blocks and workers.
    """
    [changes] = _trace_layers(raster, (_level_range(level),), (options or TraceOptions(),))
    return changes


def trace_footprint(raster: Raster, options: TraceOptions | None = None) -> Regions:
    """Trace the footprint: the observed pixels of the raster. Outside of it nothing is known."""
    [footprint] = _trace_layers(raster, (_OBSERVED,), (options or TraceOptions(),))
    return footprint


def trace_changes_and_footprint(raster: Raster, level: int, options: TraceOptions) -> tuple[Regions, Regions]:
    """Trace `trace_regions` and an unsimplified, unfiltered `trace_footprint` in one pass."""
    plain = TraceOptions(block_size=options.block_size, workers=options.workers)
    changes, footprint = _trace_layers(raster, (_level_range(level), _OBSERVED), (options, plain))
    return changes, footprint


def _level_range(level: int) -> ValueRange:
    """Range of traced values at or above a level."""
    assert 0 <= level < NOT_OBSERVED
    return ValueRange(level, NOT_OBSERVED - 1)


# Complete regions, and pieces at block edges; then the pixels counted and opened, and what is left out.
_BlockRegions = tuple[list[TracedRegions], BlockPieces | None, tuple[int, int, LeftOut]]


def _trace_layers(
    raster: Raster, layers: Sequence[ValueRange], options: Sequence[TraceOptions]
) -> list[Regions]:
    """Trace several layers of regions in one pass, with the blocks and workers of the first options."""
    grid = raster.grid
    fewest = [max(each.min_pixels, _fewest_pixels(grid, each.min_area)) for each in options]
    # NumPy releases the interpreter's lock at every step, and threads that trace concurrently pass it back
    # and forth: two are slower than one. So one traces while the others read, or make polygons.
    tracing = Lock()

    halo = opening_halo(max(each.opening for each in options))

    def find(window: Window) -> list[_BlockRegions]:
        around = Window(
            window.row_off - halo, window.col_off - halo, window.height + 2 * halo, window.width + 2 * halo
        ).intersection(grid.window)
        read = raster.read(around)
        values = read[window.slices_in(around)]
        found = []
        for inside, each, least in zip(layers, options, fewest, strict=True):
            opened, taken = values, 0
            if each.opening:
                opened, taken = take_off_narrow_parts(
                    inside.contains(read), around, window, each.opening, values, NOT_OBSERVED
                )
            with tracing:
                pieces, counted, left_out = find_pieces(
                    opened, inside, window, _unlocked_difference(tracing, each.difference), least
                )
                closed, still_open = (None, None) if pieces is None else pieces.split()
                outlines = closed and trace_outlines(closed[0])
            done = [TracedRegions.from_outlines(outlines, closed[1], grid)] if closed and outlines else []
            found.append((done, still_open, (counted + taken, taken, left_out)))
        return found

    seams = [Seams(grid.width) for _ in layers]
    traced: list[list[TracedRegions]] = [[] for _ in layers]
    counts = [LayerCounts() for _ in layers]
    blocks = grid.window.blocks(options[0].block_size)
    for window, found in map_blocks_in_order(find, blocks, options[0].workers):
        for (closed, still_open, counted), seam, done, count in zip(
            found, seams, traced, counts, strict=True
        ):
            with tracing:
                seam.add(window, still_open)
            done.extend(closed)
            count.add(*counted)
    for seam, least, done, count in zip(seams, fewest, traced, counts, strict=True):
        joined = seam.joined(least)
        count.left_out += seam.left_out
        if joined is not None:
            corners, sums = joined
            done.append(TracedRegions.from_outlines(trace_outlines(corners), sums, grid))
    return [
        collected_regions(done, grid, each, count)
        for done, each, count in zip(traced, options, counts, strict=True)
    ]


def _unlocked_difference(lock: Lock, difference: Difference | None) -> Difference | None:
    """The same difference, but reading without the tracing lock."""
    if difference is None:
        return None

    def reading(window: Window) -> Layers:
        lock.release()
        try:
            return difference(window)
        finally:
            lock.acquire()

    return reading


def _fewest_pixels(grid: Grid, min_area: float) -> int:
    """Minimum number of pixels of a traced region that may have the minimum area; 1 in a geographic CRS."""
    pixel_area = largest_pixel_m2(grid)
    if pixel_area is None:
        return 1
    fewest = max(1, int(min_area / pixel_area) - 1)
    while fewest * pixel_area < min_area:  # this product decides, not the rounded quotient
        fewest += 1
    return fewest
