"""What a comparison says of one event: how much of its ground was observed, how much of that is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes

from rsdetect.arraytypes import BoolArray
from rsdetect.grid import Grid, Window
from rsdetect.percent import NOT_OBSERVED
from rsdetect.regions.areas import measure


@dataclass(frozen=True)
class Evidence:
    """What a scene says of an event's ground, against the ground before the event."""

    observed_share: float  # of the event's first ground, 0 to 1
    changed_share: float  # of what was observed, at or above the threshold; 0 where nothing was
    probability_mean: float  # over what was observed
    geometry: Any  # shapely MultiPolygon: what was changed within all that the event ever covered
    baseline: str = ""  # what the scene was compared with, in words

    @classmethod
    def of(cls, content: dict[str, float], geometry: bytes | None, baseline: str) -> Evidence:
        """As the journal keeps it."""
        shape = shapely.from_wkb(geometry)
        return cls(content["observed"], content["changed"], content["probability"], shape, baseline)


class Percent(Protocol):
    """Change probability that can be read by windows."""

    grid: Grid

    def read(self, window: Window) -> NDArray[np.uint8]:
        """(height, width) of a window inside the grid: percent, or 255 = not observed."""


def examine(percent: Percent, level: int, core: Any, extent: Any, min_area: float) -> Evidence:
    """Count the pixels of an event: how many were observed, how many of those are changed.

    Parameters
    ----------
    level
        Threshold in percent.
    core, extent
        As for `Looker.look`.
    min_area
        Parts of the changed ground that are smaller are left out, unless all are.
    """
    window = window_around(extent.union(core), percent.grid)
    inside = window.intersection(percent.grid.window)
    values = np.full(window.shape, NOT_OBSERVED, dtype=np.uint8)
    if not inside.is_empty:
        values[inside.slices_in(window)] = percent.read(inside)
    in_core, in_extent = (_burn(area, window, percent.grid) for area in (core, extent))
    observed = in_core & (values != NOT_OBSERVED)
    changed = (values >= level) & (values != NOT_OBSERVED)
    seen = int(observed.sum())
    return Evidence(
        observed_share=seen / max(1, int(in_core.sum())),
        changed_share=float(changed[observed].mean()) if seen else 0.0,
        probability_mean=float(values[observed].mean()) / 100 if seen else 0.0,
        geometry=_outline(changed & in_extent, window, percent.grid, min_area),
    )


def window_around(area: Any, grid: Grid) -> Window:
    """The smallest window, perhaps partly outside the grid, that holds a geometry in the grid's CRS."""
    inverse = ~grid.transform
    left, bottom, right, top = area.bounds
    cols, rows = zip(*(inverse @ (x, y) for x in (left, right) for y in (bottom, top)), strict=True)
    # Outlines run along the edges of pixels; what the transform rounds must not add a row.
    first_row, first_col = (int(np.floor(min(side) + 1e-3)) for side in (rows, cols))
    end_row, end_col = (int(np.ceil(max(side) - 1e-3)) for side in (rows, cols))
    return Window(first_row, first_col, max(end_row - first_row, 1), max(end_col - first_col, 1))


def _burn(area: Any, window: Window, grid: Grid) -> BoolArray:
    transform = grid.crop(window).transform
    burnt = rasterize([area], out_shape=window.shape, transform=transform, default_value=1, dtype="uint8")
    return np.asarray(burnt, dtype=bool)


def _outline(chosen: BoolArray, window: Window, grid: Grid, min_area: float) -> Any:
    transform = grid.crop(window).transform
    found = shapes(chosen.astype(np.uint8), mask=chosen, connectivity=4, transform=transform)
    parts = [shapely.geometry.shape(outline) for outline, _ in found]
    large = [part for part in parts if area_of(part, grid) >= min_area]
    return shapely.MultiPolygon(large or parts)


def area_of(area: Any, grid: Grid) -> float:
    """Area of a geometry in m², in pixels without a CRS."""
    if grid.crs is None:
        return float(area.area / grid.pixel_area)
    return float(measure(shapely.get_parts(area), grid.crs)[0].sum())
