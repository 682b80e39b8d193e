"""Tracing a raster of change probability to regions: connected pixels at or above a threshold, polygonized.

The raster is read once, block by block, by several threads. Each block is reduced to pieces
(`regions.pieces`). Pieces that touch no edge are regions and are outlined (`regions.outlines`) by the same
thread; the others are kept until all blocks are read, joined across the edges (`regions.seams`), and then
outlined. The result equals that of polygonizing the whole raster at once, for any block size and number of
workers. The memory grows with the outlines, not with the raster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.grid import Grid, Window
from rsdetect.percent import NOT_OBSERVED, PERCENT
from rsdetect.regions.areas import exact_pixel_m2, largest_pixel_m2, measure
from rsdetect.regions.outlines import Outlines, trace_outlines
from rsdetect.regions.pieces import BlockPieces, Difference, PieceSums, ValueRange, find_pieces
from rsdetect.regions.seams import Seams, map_blocks_in_order
from rsdetect.regions.simplify import Polygons, simplify_outlines

_OBSERVED = ValueRange(0, NOT_OBSERVED - 1)


class Raster(Protocol):
    """Raster of probability that tracing reads by windows, thread-safe."""

    @property
    def grid(self) -> Grid:
        """Grid of the traced raster."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Percent (height, width) of a window to trace; 255 = not observed."""


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """Options of tracing; the defaults give every region as its pixel outline."""

    min_area: float = 0.0  # m2, or pixels without a CRS; applied after joining
    simplify: float = 0.0  # tolerance in m, or pixels without a CRS; 0 = pixel outlines
    block_size: int = 2048  # block edge in pixels; does not change the result
    workers: int = 1  # threads that read and trace blocks
    difference: Difference | None = None  # after - before of each band, averaged over changes only


@dataclass(frozen=True)
class Regions:
    """Traced regions of a raster as columns, in row-major order of their first pixels."""

    geometry: NDArray[np.object_]  # (n,) shapely Polygons in CRS units, valid and normalized
    pixels: Int64Array  # (n,) number of pixels
    area_m2: Float64Array  # (n,) of the geometry, on the ellipsoid for a geographic CRS; NaN without a CRS
    perimeter_m: Float64Array  # (n,) of the geometry, holes included; NaN without a CRS
    probability_mean: Float64Array  # (n,) in [0, 1]
    probability_max: Float64Array  # (n,) in [0, 1]
    differences: dict[str, Float64Array]  # per band, (n,) mean of after - before in raw units; NaN = unknown
    counted: int = 0  # pixels of the raster that belong to the layer, counted as they were read
    left_out: int = 0  # of them, those in regions under the minimum area
    percent: int = 0  # sum of the values over the regions

    def __len__(self) -> int:
        return self.geometry.size


def trace_regions(raster: Raster, level: int, *, options: TraceOptions | None = None) -> Regions:
    """Trace the 4-connected regions of pixels at or above `level`.

    Parameters
    ----------
    raster
        Change probability in percent.
    level
        Threshold in percent, 0 to 100.
    options
        Minimum area, simplification, blocks and workers.
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


@dataclass(frozen=True)
class _TracedRegions:
    """Traced regions before ordering and measuring."""

    first: Int64Array  # (n,) position of the first pixel, in rows of grid points
    geometry: Polygons  # (n,)
    sums: PieceSums  # (n,)

    @staticmethod
    def from_outlines(outlines: Outlines, sums: PieceSums, grid: Grid) -> _TracedRegions:
        """Traced regions from outlines: polygons on the grid, with their entries of `sums`."""
        col, row = outlines.first_points().astype(np.int64).T
        first = row * (grid.width + 1) + col
        return _TracedRegions(first, outlines.polygons(grid.transform), sums[outlines.region])


@dataclass
class _Counts:
    """Pixels of one layer, over all blocks."""

    counted: int = 0
    left_out: int = 0


# Complete regions, and pieces at block edges; then the pixels that were counted, and those left out.
_BlockRegions = tuple[list[_TracedRegions], BlockPieces | None, int, int]


def _trace_layers(
    raster: Raster, layers: Sequence[ValueRange], options: Sequence[TraceOptions]
) -> list[Regions]:
    """Trace several layers of regions in one pass, with the blocks and workers of the first options."""
    grid = raster.grid
    fewest = [_fewest_pixels(grid, each.min_area) for each in options]
    # NumPy releases the interpreter's lock at every step, and threads that trace concurrently pass it back
    # and forth: two are slower than one. So one traces while the others read, or make polygons.
    tracing = Lock()

    def find(window: Window) -> list[_BlockRegions]:
        values = raster.read(window)
        found = []
        for inside, each, least in zip(layers, options, fewest, strict=True):
            with tracing:
                pieces, counted, left_out = find_pieces(
                    values, inside, window, _unlocked_difference(tracing, each.difference), least
                )
                closed, still_open = (None, None) if pieces is None else pieces.split()
                outlines = closed and trace_outlines(closed[0])
            done = [_TracedRegions.from_outlines(outlines, closed[1], grid)] if closed and outlines else []
            found.append((done, still_open, counted, left_out))
        return found

    seams = [Seams(grid.width) for _ in layers]
    traced: list[list[_TracedRegions]] = [[] for _ in layers]
    counts = [_Counts() for _ in layers]
    blocks = grid.window.blocks(options[0].block_size)
    for window, found in map_blocks_in_order(find, blocks, options[0].workers):
        for (closed, still_open, counted, left_out), seam, done, count in zip(
            found, seams, traced, counts, strict=True
        ):
            with tracing:
                seam.add(window, still_open)
            done.extend(closed)
            count.counted += counted
            count.left_out += left_out
    for seam, least, done, count in zip(seams, fewest, traced, counts, strict=True):
        joined = seam.joined(least)
        count.left_out += seam.left_out
        if joined is not None:
            corners, sums = joined
            done.append(_TracedRegions.from_outlines(trace_outlines(corners), sums, grid))
    return [
        _ordered_regions(done, grid, each, count)
        for done, each, count in zip(traced, options, counts, strict=True)
    ]


def _fewest_pixels(grid: Grid, min_area: float) -> int:
    """Minimum number of pixels of a traced region that may have the minimum area; 1 in a geographic CRS."""
    pixel_area = largest_pixel_m2(grid)
    if pixel_area is None:
        return 1
    fewest = max(1, int(min_area / pixel_area) - 1)
    while fewest * pixel_area < min_area:  # this product decides, not the rounded quotient
        fewest += 1
    return fewest


def _unlocked_difference(lock: Lock, difference: Difference | None) -> Difference | None:
    """The same difference, but reading without the tracing lock."""
    if difference is None:
        return None

    def reading(window: Window) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        lock.release()
        try:
            return difference(window)
        finally:
            lock.acquire()

    return reading


def _ordered_regions(
    parts: list[_TracedRegions], grid: Grid, options: TraceOptions, count: _Counts
) -> Regions:
    """Regions of a layer in order, measured and optionally simplified."""
    if not parts:
        return replace(_no_regions(), counted=count.counted, left_out=count.left_out)
    order = np.argsort(np.concatenate([part.first for part in parts]))
    geometry = np.concatenate([part.geometry for part in parts])[order]
    sums = PieceSums.joined([part.sums for part in parts])[order]
    area, perimeter = measure(geometry, grid.crs)
    pixel_area = exact_pixel_m2(grid)
    if pixel_area is None:
        large = area >= options.min_area
        count.left_out += int(sums.pixels[~large].sum())
        geometry, sums, area, perimeter = geometry[large], sums[large], area[large], perimeter[large]
    elif grid.crs is not None:
        # Exact, where a sum over coordinates rounds.
        area = (sums.pixels * pixel_area).astype(np.float64)
    if options.simplify > 0:
        geometry = simplify_outlines(geometry, grid, options.simplify)
        area, perimeter = measure(geometry, grid.crs)
    found = Regions(geometry, sums.pixels, area, perimeter, **_region_means(sums))
    percent = int(sums.value_sum.sum())
    return replace(found, counted=count.counted, left_out=count.left_out, percent=percent)


def _no_regions() -> Regions:
    """Traced regions without any entry."""
    nothing, whole = np.empty(0), np.empty(0, np.int64)
    return Regions(np.empty(0, np.object_), whole, nothing, nothing, nothing, nothing, {})


def _region_means(sums: PieceSums) -> dict[str, Any]:
    """Columns of traced regions from sums: percent to [0, 1], bands to means."""
    with np.errstate(invalid="ignore"):  # 0 / 0 = NaN where a band is unknown in the whole region
        means = sums.band_sum / sums.band_pixels
    return {
        "probability_mean": sums.value_sum / (PERCENT * sums.pixels),
        "probability_max": sums.value_max / PERCENT,
        "differences": dict(zip(sums.bands, means, strict=True)),
    }
