"""From a raster of change probability to regions: connected pixels at or above a threshold, as polygons.

The raster is read once, block by block, by several threads. A block gives its pieces (`regions.pieces`);
those that touch no edge of it are regions and are outlined (`regions.outlines`) by the same thread, the
others wait until all blocks are there, are joined across the edges (`regions.seams`) and outlined then.
The result is what polygonising the whole raster in one go would give, whatever the block size and the number
of workers, and what is kept in memory grows with the outlines found, not with the raster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.grid import Grid, Window
from rsdetect.percent import NOT_OBSERVED, PERCENT
from rsdetect.regions.areas import measure, pixel_area_m2
from rsdetect.regions.outlines import Outlines, trace_outlines
from rsdetect.regions.pieces import Between, BlockPieces, Difference, Sums, find_pieces
from rsdetect.regions.seams import Seams, in_order
from rsdetect.regions.simplify import Polygons, simplified

_OBSERVED = Between(0, NOT_OBSERVED - 1)


class Raster(Protocol):
    """A probability raster that can be read by windows, from several threads at a time."""

    @property
    def grid(self) -> Grid:
        """Where its pixels lie."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """(height, width) of a window inside the grid: percent, or 255 = not observed."""


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """How to trace; the defaults give every region as its pixel outline."""

    min_area: float = 0.0  # m2, or pixels without a CRS; smaller regions are left out, after joining
    simplify: float = 0.0  # tolerance in m, or pixels without a CRS; 0 = pixel outlines
    block_size: int = 2048  # edge of a block in pixels; the result does not depend on it
    workers: int = 1  # threads that read and trace blocks
    difference: Difference | None = None  # after - before of each band, to be averaged; only of changes


@dataclass(frozen=True)
class Regions:
    """The regions of a raster as columns, in the row-major order of their first pixels."""

    geometry: NDArray[np.object_]  # (n,) shapely Polygons in CRS units, valid and normalised
    pixels: Int64Array  # (n,) number of pixels
    area_m2: Float64Array  # (n,) of the geometry, on the ellipsoid for a geographic CRS; NaN without a CRS
    perimeter_m: Float64Array  # (n,) of the geometry, holes included; NaN without a CRS
    probability_mean: Float64Array  # (n,) in [0, 1]
    probability_max: Float64Array  # (n,) in [0, 1]
    differences: dict[str, Float64Array]  # per band, (n,) mean of after - before in raw units; NaN = unknown

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
        Minimum area, simplification, and how the work is cut up.
    """
    [changes] = _trace(raster, (_at_least(level),), (options or TraceOptions(),))
    return changes


def trace_footprint(raster: Raster, options: TraceOptions | None = None) -> Regions:
    """Trace where the raster was observed at all; a place outside is not known to be unchanged."""
    [footprint] = _trace(raster, (_OBSERVED,), (options or TraceOptions(),))
    return footprint


def trace_changes_and_footprint(raster: Raster, level: int, options: TraceOptions) -> tuple[Regions, Regions]:
    """`trace_regions` and, with neither minimum area nor simplification, `trace_footprint` in one reading."""
    plain = TraceOptions(block_size=options.block_size, workers=options.workers)
    changes, footprint = _trace(raster, (_at_least(level), _OBSERVED), (options, plain))
    return changes, footprint


def _at_least(level: int) -> Between:
    assert 0 <= level < NOT_OBSERVED
    return Between(level, NOT_OBSERVED - 1)


@dataclass(frozen=True)
class _Outlined:
    """Regions that are finished but for their order and their areas."""

    first: Int64Array  # (n,) position of the first pixel, counted in rows of grid points
    geometry: Polygons  # (n,)
    sums: Sums  # (n,)

    @staticmethod
    def of(outlines: Outlines, sums: Sums, grid: Grid) -> _Outlined:
        """As polygons on the grid, with their own out of the `sums` of many."""
        col, row = outlines.first_points().astype(np.int64).T
        first = row * (grid.width + 1) + col
        return _Outlined(first, outlines.polygons(grid.transform), sums[outlines.region])


_Found = tuple[list[_Outlined], BlockPieces | None]  # finished, and waiting for the blocks around


def _trace(raster: Raster, layers: Sequence[Between], options: Sequence[TraceOptions]) -> list[Regions]:
    """Trace several layers of regions in one reading, cut up as the options of the first one say."""
    grid = raster.grid
    fewest = [_fewest_pixels(grid, each.min_area) for each in options]
    # NumPy lets go of the interpreter's lock at every step, and threads that trace side by side hand it to
    # and fro: two are slower than one. So one traces while the others read, or make polygons.
    tracing = Lock()

    def find(window: Window) -> list[_Found]:
        values = raster.read(window)
        found = []
        for inside, each, least in zip(layers, options, fewest, strict=True):
            with tracing:
                pieces = find_pieces(values, inside, window, _meanwhile(tracing, each.difference), least)
                closed, still_open = (None, None) if pieces is None else pieces.split()
                outlines = closed and trace_outlines(closed[0])
            found.append(
                ([_Outlined.of(outlines, closed[1], grid)] if closed and outlines else [], still_open)
            )
        return found

    seams = [Seams(grid.width) for _ in layers]
    outlined: list[list[_Outlined]] = [[] for _ in layers]
    blocks = grid.window.blocks(options[0].block_size)
    for window, found in in_order(find, blocks, options[0].workers):
        for (closed, still_open), seam, done in zip(found, seams, outlined, strict=True):
            with tracing:
                seam.add(window, still_open)
            done.extend(closed)
    for seam, least, done in zip(seams, fewest, outlined, strict=True):
        joined = seam.joined(least)
        if joined is not None:
            corners, sums = joined
            done.append(_Outlined.of(trace_outlines(corners), sums, grid))
    return [_finished(done, grid, each) for done, each in zip(outlined, options, strict=True)]


def _fewest_pixels(grid: Grid, min_area: float) -> int:
    """The least number of pixels that make up the minimum area; 1 where pixels have no area of their own."""
    pixel_area = pixel_area_m2(grid)
    if pixel_area is None:
        return 1
    fewest = max(1, int(min_area / pixel_area) - 1)
    while fewest * pixel_area < min_area:  # what counts is this product, whatever the division rounded to
        fewest += 1
    return fewest


def _meanwhile(lock: Lock, difference: Difference | None) -> Difference | None:
    """The same, but others may have the lock while it reads."""
    if difference is None:
        return None

    def reading(window: Window) -> tuple[tuple[str, ...], NDArray[np.float32]]:
        lock.release()
        try:
            return difference(window)
        finally:
            lock.acquire()

    return reading


def _finished(parts: list[_Outlined], grid: Grid, options: TraceOptions) -> Regions:
    """All regions of a layer in their order, measured and, where asked for, simplified."""
    if not parts:
        return _no_regions()
    order = np.argsort(np.concatenate([part.first for part in parts]))
    geometry = np.concatenate([part.geometry for part in parts])[order]
    sums = Sums.joined([part.sums for part in parts])[order]
    area, perimeter = measure(geometry, grid.crs)
    pixel_area = pixel_area_m2(grid)
    if pixel_area is None:
        large = area >= options.min_area
        geometry, sums, area, perimeter = geometry[large], sums[large], area[large], perimeter[large]
    elif grid.crs is not None:
        # Exact, where a sum over coordinates rounds.
        area = (sums.pixels * pixel_area).astype(np.float64)
    if options.simplify > 0:
        geometry = simplified(geometry, grid, options.simplify)
        area, perimeter = measure(geometry, grid.crs)
    return Regions(geometry, sums.pixels, area, perimeter, **_means(sums))


def _no_regions() -> Regions:
    nothing, whole = np.empty(0), np.empty(0, np.int64)
    return Regions(np.empty(0, np.object_), whole, nothing, nothing, nothing, nothing, {})


def _means(sums: Sums) -> dict[str, Any]:
    """The columns of `Regions` that come from sums: percent to [0, 1], bands to means."""
    with np.errstate(invalid="ignore"):  # 0 / 0 = NaN where a band is known nowhere in the region
        means = sums.band_sum / sums.band_pixels
    return {
        "probability_mean": sums.value_sum / (PERCENT * sums.pixels),
        "probability_max": sums.value_max / PERCENT,
        "differences": dict(zip(sums.bands, means, strict=True)),
    }
