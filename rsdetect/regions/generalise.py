"""Generalisation of traced regions: holes filled, slivers dropped, neighbours merged, outlines simplified.

The steps come in this order, each after the one before it is finished, over all regions of the raster: what
comes out does not depend on the blocks. Every step reports what it adds and takes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np

from rsdetect.arraytypes import BoolArray, Float64Array, Int64Array
from rsdetect.grid import Grid
from rsdetect.regions.areas import exact_pixel_m2, measure
from rsdetect.regions.holes import fill_small_holes
from rsdetect.regions.merging import merged_parts, near_regions
from rsdetect.regions.pieces import PieceSums
from rsdetect.regions.shape import is_as_wide, on_ground
from rsdetect.regions.simplify import Polygons, simplify_outlines


class PolygonStep(TypedDict):
    """Step from the changed pixels to the polygons: what it adds (above 0) and takes (below 0)."""

    step: str  # name of its option; "threshold" is the start
    regions: int | None  # None = not counted
    pixels: int  # changed pixels in the regions
    filled_pixels: int  # other pixels in the regions, of filled holes
    area_m2: float | None  # None = not measured, or no CRS


@dataclass(frozen=True, kw_only=True)
class GeneraliseOptions:
    """Options of generalisation, in metres and m2, or pixels without a CRS; 0 = without this step."""

    fill_holes: float = 0.0  # holes of less area are filled
    min_width: float = 0.0  # regions without a circle of this diameter are dropped
    merge_gap: float = 0.0  # regions nearer than this are one feature
    simplify: float = 0.0  # tolerance of the outlines


@dataclass(frozen=True)
class MeasuredRegions:
    """Regions between the steps of generalisation, as columns."""

    geometry: Polygons  # (n,)
    inner: Float64Array  # (n, 2) a point inside each, in CRS units
    sums: PieceSums  # (n,) of the changed pixels
    filled: Int64Array  # (n,) other pixels, of filled holes
    area_m2: Float64Array  # (n,) NaN without a CRS
    perimeter_m: Float64Array  # (n,)

    @classmethod
    def of(
        cls, geometry: Polygons, inner: Float64Array, sums: PieceSums, filled: Int64Array, grid: Grid
    ) -> MeasuredRegions:
        """Regions with areas and perimeters for generalisation; `geometry` are pixel outlines."""
        area, perimeter = measure(geometry, grid.crs)
        pixel_area = exact_pixel_m2(grid)
        if pixel_area is not None and grid.crs is not None:
            # Exact, where a sum over coordinates rounds.
            area = ((sums.pixels + filled) * pixel_area).astype(np.float64)
        return cls(geometry, inner, sums, filled, area, perimeter)

    def __getitem__(self, chosen: BoolArray | Int64Array) -> MeasuredRegions:
        return MeasuredRegions(
            self.geometry[chosen],
            self.inner[chosen],
            self.sums[chosen],
            self.filled[chosen],
            self.area_m2[chosen],
            self.perimeter_m[chosen],
        )

    def step_from(self, before: MeasuredRegions, step: str) -> PolygonStep:
        """What the step of this name, which made these regions, added to and took from those `before`."""
        area = float(self.area_m2.sum() - before.area_m2.sum())
        return PolygonStep(
            step=step,
            regions=len(self.geometry) - len(before.geometry),
            pixels=int(self.sums.pixels.sum() - before.sums.pixels.sum()),
            filled_pixels=int(self.filled.sum() - before.filled.sum()),
            area_m2=None if np.isnan(area) else round(area, 3) + 0.0,  # sums in another order round otherwise
        )


def generalise(
    regions: MeasuredRegions, grid: Grid, options: GeneraliseOptions
) -> tuple[MeasuredRegions, list[PolygonStep]]:
    """Generalise traced regions, and report each step that was asked for."""
    steps = []
    for name, asked, run in (
        ("fill_holes", options.fill_holes, _filled),
        ("min_width", options.min_width, _wide),
        ("merge_gap", options.merge_gap, _merged),
        ("simplify", options.simplify, _simplified),
    ):
        if asked > 0:
            before, regions = regions, run(regions, grid, asked) if len(regions.geometry) else regions
            steps.append(regions.step_from(before, name))
    return regions, steps


def _filled(regions: MeasuredRegions, grid: Grid, below: float) -> MeasuredRegions:
    """Regions with their small holes filled, for generalisation."""
    found = fill_small_holes(regions.geometry, regions.inner, grid, below)
    count = len(found.geometry)
    sums = regions.sums.grouped(found.group, count)
    outermost = np.unique(found.group, return_index=True)[1]
    joined = sums.pixels - regions.sums.pixels[outermost]
    return MeasuredRegions.of(found.geometry, regions.inner[outermost], sums, found.pixels - joined, grid)


def _wide(regions: MeasuredRegions, grid: Grid, least: float) -> MeasuredRegions:
    """Regions without slivers, for generalisation."""
    return regions[is_as_wide(on_ground(regions.geometry, grid), grid, least)]


def _merged(regions: MeasuredRegions, grid: Grid, gap: float) -> MeasuredRegions:
    """Regions as features of one part or several, for generalisation."""
    count, group = near_regions(regions.geometry, grid, gap)
    return MeasuredRegions(
        merged_parts(regions.geometry, group, count),
        regions.inner[np.unique(group, return_index=True)[1]],
        regions.sums.grouped(group, count),
        np.bincount(group, weights=regions.filled, minlength=count).astype(np.int64),
        np.bincount(group, weights=regions.area_m2, minlength=count).astype(np.float64),
        np.bincount(group, weights=regions.perimeter_m, minlength=count).astype(np.float64),
    )


def _simplified(regions: MeasuredRegions, grid: Grid, tolerance: float) -> MeasuredRegions:
    """Regions with simplified outlines, for generalisation."""
    geometry = simplify_outlines(regions.geometry, grid, tolerance)
    area, perimeter = measure(geometry, grid.crs)
    return replace(regions, geometry=geometry, area_m2=area, perimeter_m=perimeter)
