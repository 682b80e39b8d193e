"""From a raster of change probability to regions: connected pixels at or above a threshold, as polygons.

The raster is read block by block. Each block gives its pieces (`rsdetect.pieces`); pieces that touch
across a block edge become one region; the outlines are then traced for the whole raster at once
(`rsdetect.outlines`). The result is what polygonising the whole raster in one go would give, whatever
the block size and the number of workers, and what is kept in memory grows with the outlines found,
not with the raster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from rsdetect.areas import measure, metres_per_unit, pixel_area_m2
from rsdetect.devices import return_free_memory
from rsdetect.grid import Grid, Window
from rsdetect.joining import join_blocks
from rsdetect.outlines import Float64Array, Int64Array, Outlines, trace_outlines, transformed
from rsdetect.pieces import BlockPieces, Sums, find_pieces

NOT_OBSERVED = 255  # the nodata value of a probability raster; 0 to 100 are percent

Difference = Callable[[Window], tuple[tuple[str, ...], NDArray[np.float32]]]
Polygons = NDArray[np.object_]  # shapely Polygons
Inside = Callable[[NDArray[np.uint8]], NDArray[np.bool_]]


class Raster(Protocol):
    """A probability raster that can be read by windows, from several threads at a time."""

    @property
    def grid(self) -> Grid:
        """Where its pixels lie."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """(height, width) of a window inside the grid: percent, or 255 = not observed."""


@dataclass(frozen=True)
class TraceOptions:
    """How to trace; the defaults give every region as its pixel outline."""

    min_area: float = 0.0  # m2, or pixels without a CRS; smaller regions are left out, after joining
    simplify: float = 0.0  # tolerance in m, or pixels without a CRS; 0 = pixel outlines
    block_size: int = 1024  # edge of a block in pixels; the result does not depend on it
    workers: int = 1  # threads that read and trace blocks
    difference: Difference | None = (
        None  # band names and (bands, height, width) after - before; NaN = unknown
    )


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
    assert 0 <= level < NOT_OBSERVED
    return _trace(
        raster, lambda values: (values >= level) & (values != NOT_OBSERVED), options or TraceOptions()
    )


def trace_footprint(raster: Raster, options: TraceOptions | None = None) -> Regions:
    """Trace where the raster was observed at all; a place outside is not known to be unchanged."""
    return _trace(raster, lambda values: values != NOT_OBSERVED, options or TraceOptions())


def _trace(raster: Raster, inside: Inside, options: TraceOptions) -> Regions:
    grid = raster.grid
    pixel_area = pixel_area_m2(grid)
    # Noise goes block by block, before it fills the memory; rounded down, as the last word comes later.
    fewest = 0 if pixel_area is None else int(options.min_area / pixel_area)
    find = _finder(raster, inside, options.difference, fewest)
    corners, sums = join_blocks(grid, find, options.block_size, options.workers)
    return_free_memory()  # the blocks' pixels, before the outlines come on top
    if pixel_area is not None:  # then small regions need not be outlined at all
        keep = sums.pixels * pixel_area >= options.min_area
        corners = corners[keep[corners.owner]]
    outlines = trace_outlines(corners)
    region, geometry = outlines.region, outlines.polygons(grid.transform)
    area, perimeter = measure(geometry, grid.crs)
    kept = np.ones(region.size, np.bool_)
    if pixel_area is None:
        kept = area >= options.min_area
    elif grid.crs is not None:
        # Exact, where a sum over coordinates rounds.
        area = (sums.pixels[region] * pixel_area).astype(np.float64)
    region, geometry, area, perimeter = region[kept], geometry[kept], area[kept], perimeter[kept]
    if options.simplify > 0:
        geometry = _simplified(outlines, kept, grid, options.simplify)
        area, perimeter = measure(geometry, grid.crs)
    return Regions(geometry, sums.pixels[region], area, perimeter, **_means(sums, region))


def _finder(
    raster: Raster, inside: Inside, difference: Difference | None, fewest: int
) -> Callable[[Window], BlockPieces | None]:
    def find(window: Window) -> BlockPieces | None:
        values = raster.read(window)
        chosen = inside(values)
        if not chosen.any():
            return None
        differences = _no_difference(window) if difference is None else difference(window)
        pieces = find_pieces(values, chosen, window, differences)
        return pieces and pieces.without_small(fewest)

    return find


def _no_difference(window: Window) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    return (), np.empty((0, *window.shape), np.float32)


def _simplified(outlines: Outlines, kept: NDArray[np.bool_], grid: Grid, tolerance: float) -> Polygons:
    """Leave out corners of the `kept` outlines, as a coverage, so that what regions share stays shared.

    Done in pixel coordinates stretched to metres at the middle of the grid, and taken back to whole
    pixels, so that the corners that stay are exactly those of the outlines.
    """
    t = grid.transform
    middle = t.d * grid.width / 2 + t.e * grid.height / 2 + t.f
    east, north = metres_per_unit(grid.crs, middle)
    to_metres = Affine(t.a * east, t.b * east, 0, t.d * north, t.e * north, 0)
    in_metres = outlines.polygons(to_metres)[kept]
    if in_metres.size == 0:
        return in_metres

    def to_crs(points: Float64Array) -> Float64Array:
        return transformed(np.rint(transformed(points, ~to_metres)), t)

    simplified = shapely.coverage_simplify(in_metres, tolerance)
    return np.asarray(shapely.normalize(shapely.transform(simplified, to_crs)))


def _means(sums: Sums, region: Int64Array) -> dict[str, Any]:
    """The columns of `Regions` that come from sums: percent to [0, 1], bands to means."""
    pixels = sums.pixels[region]
    with np.errstate(invalid="ignore"):  # 0 / 0 = NaN where a band is known nowhere in the region
        means = sums.band_sum[:, region] / sums.band_pixels[:, region]
    return {
        "probability_mean": sums.value_sum[region] / (100 * pixels),
        "probability_max": sums.value_max[region] / 100,
        "differences": dict(zip(sums.bands, means, strict=True)),
    }
