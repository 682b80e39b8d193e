"""Is an event still there? A look at its ground: the scene against what lay there before the event.

Where the comparison was made anyhow its raster is read. Otherwise the pair is fitted as `detect` would fit
it, over the whole scene, and only the tiles under the event are scored: the probabilities are the same, and
a place with many events costs a fit for each of the dates on which one began.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize, shapes

from rsdetect.arraytypes import BoolArray
from rsdetect.detectors import Scorer
from rsdetect.devices import usable_cores
from rsdetect.files import hash_bytes
from rsdetect.grid import Grid, Window
from rsdetect.jobs.detect import fit_pair
from rsdetect.monitoring.baseline import Baseline, Baselines
from rsdetect.monitoring.comparison import Comparer
from rsdetect.monitoring.intake import TakenScene
from rsdetect.monitoring.journal import Journal
from rsdetect.percent import NOT_OBSERVED, to_percent
from rsdetect.regions.areas import measure
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.raster import ProbabilityRaster
from rsdetect.scoring.windows import plan_windows, score_windows


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


class Rechecker:
    """Looks at events' grounds, at each once a scene."""

    def __init__(self, journal: Journal, comparer: Comparer, baselines: Baselines, min_area: float) -> None:
        self._journal = journal
        self._comparer = comparer
        self._baselines = baselines
        self._min_area = min_area
        self._open: tuple[str, Percent, int] | None = (
            None  # the pair looked at last: its events come together
        )

    def look(
        self, baseline: Baseline, scene: TakenScene, raster: Path | None, core: Any, extent: Any
    ) -> Evidence | None:
        """What `scene` shows of an event; None = the scene or the ground before it is gone from the disk.

        Parameters
        ----------
        baseline
            The ground before the event.
        raster
            The finished raster of this very pair, where there is one.
        core
            Where the event was first seen, in the job's CRS: the ground that it is judged by.
        extent
            All that it ever covered.

        Raises
        ------
        RsdetectError
            One of the two cannot be read.
        """
        pair = self._comparer.key(baseline, scene)
        outlines = hash_bytes(shapely.to_wkb(core) + shapely.to_wkb(extent))
        key = f"{pair}-{outlines}"
        known = self._journal.look(key)
        if known is None or not self._comparer.holds(known[0], baseline, scene):
            baseline = self._baselines.ready(baseline)
            if raster is None and not (baseline.is_there and scene.is_there):
                return None
            percent, level = self._percent(pair, baseline, scene, raster)
            evidence = examine(percent, level, core, extent, self._min_area)
            content: dict[str, Any] = {
                "scoring": self._comparer.scoring.key,
                "observed": evidence.observed_share,
                "changed": evidence.changed_share,
                "probability": evidence.probability_mean,
            }
            known = content, shapely.to_wkb(evidence.geometry)
            self._journal.put_look(key, *known)
        content, geometry = known
        return Evidence.of(content, geometry, baseline.name)

    def _percent(
        self, pair: str, baseline: Baseline, scene: TakenScene, raster: Path | None
    ) -> tuple[Percent, int]:
        if self._open is None or self._open[0] != pair:
            level = self._comparer.level(pair) if raster is not None else None
            if raster is not None and level is not None:
                self._open = pair, ProbabilityRaster(raster), level
            else:
                options = self._comparer.options(baseline, scene)
                fitted, scorer = fit_pair(baseline.path, scene.path, options)
                level = options.polygons.level(scorer.provenance()["threshold"])
                self._open = pair, ScoredWindows(fitted, scorer), level
        return self._open[1], self._open[2]


class ScoredWindows:
    """A fitted pair, scored tile by tile where somebody looks."""

    def __init__(self, pair: Pair, scorer: Scorer) -> None:
        self.grid = pair.grid
        self._pair, self._scorer = pair, scorer
        self._plan = plan_windows(pair, scorer)
        self._tiles: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Percent values under `window`, (height, width); 255 = not observed."""
        out = np.full(window.shape, NOT_OBSERVED, dtype=np.uint8)
        high, wide = self._plan.tile_shape
        for row in range(window.row_off // high, -(-window.row_end // high)):
            for col in range(window.col_off // wide, -(-window.col_end // wide)):
                core = self._plan.tile(row, col).core
                part = core.intersection(window)
                out[part.slices_in(window)] = self._tile(row, col)[part.slices_in(core)]
        return out

    def _tile(self, row: int, col: int) -> NDArray[np.uint8]:
        if (row, col) not in self._tiles:
            tiles = (self._plan.tile(row, col),)
            for _, probability in score_windows(self._pair, self._scorer, tiles, threads=usable_cores()):
                self._tiles[row, col] = to_percent(probability)
        return self._tiles[row, col]
