"""Collected regions of a layer: from the parts of all blocks to the columns of the finished regions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array, Int64Array
from rsdetect.grid import Grid
from rsdetect.percent import PERCENT
from rsdetect.regions.areas import exact_pixel_m2
from rsdetect.regions.code_counts import CodeCounts
from rsdetect.regions.generalise import GeneraliseOptions, MeasuredRegions, PolygonStep, generalise
from rsdetect.regions.outlines import Outlines, transform_points
from rsdetect.regions.pieces import NOTHING_LEFT_OUT, Difference, LeftOut, PieceSums
from rsdetect.regions.simplify import Polygons


@dataclass(frozen=True, kw_only=True)
class TraceOptions(GeneraliseOptions):
    """Options of tracing; the defaults give every region as its pixel outline."""

    min_area: float = 0.0  # m2, or pixels without a CRS; applied after joining
    min_pixels: int = 1  # likewise, in pixels
    opening: int = 0  # narrower parts than a square of 2 opening + 1 pixels are taken off first
    block_size: int = 2048  # block edge in pixels; does not change the result
    workers: int = 1  # threads that read and trace blocks
    difference: Difference | None = None  # after - before of each band, averaged over changes only


@dataclass(frozen=True)
class Regions:
    """Traced regions of a raster as columns, in row-major order of their first pixels."""

    geometry: NDArray[np.object_]  # (n,) shapely Polygons (merged: MultiPolygons) in CRS units, valid
    pixels: Int64Array  # (n,) number of changed pixels
    area_m2: Float64Array  # (n,) of the geometry, on the ellipsoid for a geographic CRS; NaN without a CRS
    perimeter_m: Float64Array  # (n,) of the geometry, holes included; NaN without a CRS
    probability_mean: Float64Array  # (n,) in [0, 1]
    probability_max: Float64Array  # (n,) in [0, 1]
    differences: dict[str, Float64Array]  # per band, (n,) mean of after - before in raw units; NaN = unknown
    codes: CodeCounts = field(default_factory=CodeCounts.nothing)  # of the changed pixels of each region
    counted: int = 0  # pixels of the raster that belong to the layer, counted as they were read
    opened: int = 0  # of them, those that the opening took
    left_out: LeftOut = NOTHING_LEFT_OUT  # regions under the minimum area, and the pixels in them
    percent: int = 0  # sum of the values over the regions
    steps: tuple[PolygonStep, ...] = ()  # from the counted pixels to the regions

    @property
    def is_merged(self) -> bool:
        """True if the regions may have several parts."""
        return any(step["step"] == "merge_gap" for step in self.steps)

    def __len__(self) -> int:
        return self.geometry.size


@dataclass(frozen=True)
class TracedRegions:
    """Traced regions before ordering and measuring."""

    first: Int64Array  # (n,) position of the first pixel, in rows of grid points
    geometry: Polygons  # (n,)
    sums: PieceSums  # (n,)

    @staticmethod
    def from_outlines(outlines: Outlines, sums: PieceSums, grid: Grid) -> TracedRegions:
        """Traced regions from outlines: polygons on the grid, with their entries of `sums`."""
        col, row = outlines.first_points().astype(np.int64).T
        first = row * (grid.width + 1) + col
        return TracedRegions(first, outlines.polygons(grid.transform), sums[outlines.region])


@dataclass
class LayerCounts:
    """Pixels of one layer, over all blocks."""

    counted: int = 0
    opened: int = 0
    left_out: LeftOut = NOTHING_LEFT_OUT

    def add(self, counted: int, opened: int, left_out: LeftOut) -> None:
        """Add the counts of a block to those of the layer."""
        self.counted += counted
        self.opened += opened
        self.left_out += left_out

    def steps(self, options: TraceOptions) -> tuple[PolygonStep, ...]:
        """Steps from the counted pixels to the traced regions."""
        steps: list[tuple[str, int | None, int]] = [("threshold", None, self.counted)]
        if options.opening:
            steps.append(("opening", None, -self.opened))
        if options.min_area or options.min_pixels > 1:
            steps.append(("min_area", -self.left_out.regions, -self.left_out.pixels))
        return tuple(
            PolygonStep(step=name, regions=regions, pixels=pixels, filled_pixels=0, area_m2=None)
            for name, regions, pixels in steps
        )


def collected_regions(
    parts: list[TracedRegions], grid: Grid, options: TraceOptions, count: LayerCounts
) -> Regions:
    """Regions of a layer in order, measured and generalised."""
    first = np.concatenate([np.empty(0, np.int64), *(part.first for part in parts)])
    order = np.argsort(first)
    geometry = np.concatenate([np.empty(0, np.object_), *(part.geometry for part in parts)])[order]
    sums = PieceSums.joined([part.sums for part in parts])[order] if parts else PieceSums.nothing()
    regions = MeasuredRegions.of(
        geometry, _pixel_centres(first[order], grid), sums, np.zeros(len(order), np.int64), grid
    )
    if exact_pixel_m2(grid) is None:
        large = regions.area_m2 >= options.min_area
        count.left_out += LeftOut.of(sums.pixels[~large])
        regions = regions[large]
    percent = int(regions.sums.value_sum.sum())
    regions, steps = generalise(regions, grid, options)
    return Regions(
        regions.geometry,
        regions.sums.pixels,
        regions.area_m2,
        regions.perimeter_m,
        **_region_means(regions.sums),
        codes=regions.sums.codes,
        counted=count.counted,
        opened=count.opened,
        left_out=count.left_out,
        percent=percent,
        steps=(*count.steps(options), *steps),
    )


def _pixel_centres(first: Int64Array, grid: Grid) -> Float64Array:
    """Centres of the first pixels of regions in CRS units, (n, 2), from their positions."""
    row, col = np.divmod(first, grid.width + 1)
    return transform_points(np.stack([col + 0.5, row + 0.5], axis=1), grid.transform)


def _region_means(sums: PieceSums) -> dict[str, Any]:
    """Columns of traced regions from sums: percent to [0, 1], bands to means."""
    with np.errstate(invalid="ignore"):  # 0 / 0 = NaN where a band is unknown in the whole region
        means = sums.band_sum / sums.band_pixels
    return {
        "probability_mean": sums.value_sum / (PERCENT * sums.pixels),
        "probability_max": sums.value_max / PERCENT,
        "differences": dict(zip(sums.bands, means, strict=True)),
    }
