"""Recheck of an event: is it still present in a scene, compared with the baseline from before the event?

If the comparison exists, its raster is read. Otherwise the pair is fitted as `detect` fits it, over the whole
scene, and only the tiles under the event are scored. The probabilities are the same, and a site with many
events costs one fit for each date on which events began.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
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
from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.jobs.opening import fit_pair
from rsdetect.jobs.options import AUTO_MIN_PIXELS, MinArea
from rsdetect.monitoring.baseline import Baseline, Baselines
from rsdetect.monitoring.comparison import Comparer
from rsdetect.monitoring.journal import Journal
from rsdetect.percent import NOT_OBSERVED, to_percent
from rsdetect.regions.areas import measure
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.raster import ProbabilityRaster
from rsdetect.scoring.windows import plan_windows, score_windows

_OPEN_PAIRS = 8


@dataclass(frozen=True)
class Evidence:
    """Evidence for an event: a recheck of one scene against the baseline from before the event."""

    observed_share: float  # share of the event's core that is valid on both dates, 0 to 1
    changed_share: float  # share of the observed pixels at or above the threshold; 0 without any
    probability_mean: float  # mean over the observed pixels
    geometry: Any  # shapely MultiPolygon: the changed area within the event's extent
    baseline: str = ""  # description of the baseline

    @classmethod
    def of(cls, content: dict[str, float], geometry: bytes | None, baseline: str) -> Evidence:
        """Evidence of a recheck stored in the journal."""
        shape = shapely.from_wkb(geometry)
        return cls(content["observed"], content["changed"], content["probability"], shape, baseline)


class PercentRaster(Protocol):
    """Change probability in percent, readable by windows for rechecks."""

    grid: Grid

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Percent (height, width) of a window for a recheck; 255 = not observed."""


def recheck_pixels(percent: PercentRaster, level: int, core: Any, extent: Any, min_area: MinArea) -> Evidence:
    """Count the observed and changed pixels of an event for a recheck.

    Parameters
    ----------
    level
        Threshold in percent.
    core, extent
        As for `Rechecker.recheck`.
    min_area
        Smaller parts of the changed area are left out, unless all are smaller.
    """
    window = window_around(extent.union(core), percent.grid)
    inside = window.intersection(percent.grid.window)
    values = np.full(window.shape, NOT_OBSERVED, dtype=np.uint8)
    if not inside.is_empty:
        values[inside.slices_in(window)] = percent.read(inside)
    in_core, in_extent = (_rasterized_area(area, window, percent.grid) for area in (core, extent))
    observed = in_core & (values != NOT_OBSERVED)
    changed = (values >= level) & (values != NOT_OBSERVED)
    seen = int(observed.sum())
    return Evidence(
        observed_share=seen / max(1, int(in_core.sum())),
        changed_share=float(changed[observed].mean()) if seen else 0.0,
        probability_mean=float(values[observed].mean()) / 100 if seen else 0.0,
        geometry=_polygonized(changed & in_extent, window, percent.grid, min_area),
    )


def window_around(area: Any, grid: Grid) -> Window:
    """Window of a recheck: the smallest that covers an event's geometry, perhaps partly outside the grid."""
    inverse = ~grid.transform
    left, bottom, right, top = area.bounds
    cols, rows = zip(*(inverse @ (x, y) for x in (left, right) for y in (bottom, top)), strict=True)
    # Outlines follow pixel edges; rounding by the transform must not add a row.
    first_row, first_col = (int(np.floor(min(side) + 1e-3)) for side in (rows, cols))
    end_row, end_col = (int(np.ceil(max(side) - 1e-3)) for side in (rows, cols))
    return Window(first_row, first_col, max(end_row - first_row, 1), max(end_col - first_col, 1))


def _rasterized_area(area: Any, window: Window, grid: Grid) -> BoolArray:
    """Mask (height, width) of an event's geometry in the window of a recheck."""
    transform = grid.crop(window).transform
    burnt = rasterize([area], out_shape=window.shape, transform=transform, default_value=1, dtype="uint8")
    return np.asarray(burnt, dtype=bool)


def _polygonized(chosen: BoolArray, window: Window, grid: Grid, min_area: MinArea) -> Any:
    """MultiPolygon of the changed pixels in a recheck, without small parts."""
    transform = grid.crop(window).transform
    found = shapes(chosen.astype(np.uint8), mask=chosen, connectivity=4, transform=transform)
    parts = [shapely.geometry.shape(outline) for outline, _ in found]
    if min_area == "auto":
        large = [part for part in parts if round(part.area / grid.pixel_area) >= AUTO_MIN_PIXELS]
    else:
        large = [part for part in parts if event_area(part, grid) >= min_area]
    return shapely.MultiPolygon(large or parts)


def event_area(area: Any, grid: Grid) -> float:
    """Area of a rechecked event's geometry in m², in pixels without a CRS."""
    if grid.crs is None:
        return float(area.area / grid.pixel_area)
    return float(measure(shapely.get_parts(area), grid.crs)[0].sum())


class Rechecker:
    """Rechecks of events, at most one per event and scene; results are stored in the journal."""

    def __init__(
        self,
        journal: Journal,
        comparer: Comparer,
        baselines: Baselines,
        min_area: MinArea,
        given_up: Container[str] = (),
    ) -> None:
        self._journal = journal
        self._comparer = comparer
        self._baselines = baselines
        self._min_area = min_area
        self._given_up = given_up  # ids of scenes that are not read again
        # The last pairs, by key: the events of a scene alternate between the baselines they began with.
        self._open_pairs: OrderedDict[str, tuple[PercentRaster, int]] = OrderedDict()

    def recheck(
        self, baseline: Baseline, scene: IngestedScene, raster: Path | None, core: Any, extent: Any
    ) -> Evidence | None:
        """Recheck an event in `scene`; None = it or the earlier baseline was removed, or it was given up.

        Parameters
        ----------
        baseline
            Baseline from before the event.
        raster
            The finished raster of the same pair, if there is one.
        core
            Area in which the event was first seen, in the job's CRS.
        extent
            Union of all areas the event ever covered.

        Raises
        ------
        RsdetectError
            The scene or the baseline cannot be read.
        """
        pair = self._comparer.key(baseline, scene)
        outlines = hash_bytes(shapely.to_wkb(core) + shapely.to_wkb(extent))
        key = f"{pair}-{outlines}"
        known = self._journal.recheck(key)
        if known is None or not self._comparer.is_current(known[0], baseline, scene):
            baseline = self._baselines.restored(baseline)
            if raster is None and not (baseline.is_on_disk and scene.is_on_disk):
                return None
            if scene.id in self._given_up:
                return None
            percent, level = self._percent_raster(pair, baseline, scene, raster)
            evidence = recheck_pixels(percent, level, core, extent, self._min_area)
            content: dict[str, Any] = {
                "scoring": self._comparer.scoring.key,
                "observed": evidence.observed_share,
                "changed": evidence.changed_share,
                "probability": evidence.probability_mean,
            }
            known = content, shapely.to_wkb(evidence.geometry)
            self._journal.put_recheck(key, *known)
        content, geometry = known
        return Evidence.of(content, geometry, baseline.name)

    def _percent_raster(
        self, pair: str, baseline: Baseline, scene: IngestedScene, raster: Path | None
    ) -> tuple[PercentRaster, int]:
        """Percent raster and threshold for a recheck: the finished raster, or a pair scored on demand."""
        if pair not in self._open_pairs:
            level = self._comparer.level(pair) if raster is not None else None
            if raster is not None and level is not None:
                self._open_pairs[pair] = ProbabilityRaster(raster), level
            else:
                options = self._comparer.options(baseline, scene)
                fitted, scorer = fit_pair(baseline.path, scene.path, options)
                level = options.polygons.level(scorer.threshold)
                self._open_pairs[pair] = ScoredWindows(fitted, scorer), level
            if len(self._open_pairs) > _OPEN_PAIRS:
                self._open_pairs.popitem(last=False)
        self._open_pairs.move_to_end(pair)
        return self._open_pairs[pair]


class ScoredWindows:
    """Fitted pair whose tiles are scored when a recheck reads them."""

    def __init__(self, pair: Pair, scorer: Scorer) -> None:
        self.grid = pair.grid
        self._pair, self._scorer = pair, scorer
        self._plan = plan_windows(pair, scorer)
        self._tiles: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Percent (height, width) of a window, scored on demand for a recheck; 255 = not observed."""
        out = np.full(window.shape, NOT_OBSERVED, dtype=np.uint8)
        high, wide = self._plan.tile_shape
        for row in range(window.row_off // high, -(-window.row_end // high)):
            for col in range(window.col_off // wide, -(-window.col_end // wide)):
                core = self._plan.tile(row, col).core
                part = core.intersection(window)
                out[part.slices_in(window)] = self._tile(row, col)[part.slices_in(core)]
        return out

    def _tile(self, row: int, col: int) -> NDArray[np.uint8]:
        """Percent of a tile's core for a recheck, scored once."""
        if (row, col) not in self._tiles:
            tiles = (self._plan.tile(row, col),)
            for _, probability in score_windows(self._pair, self._scorer, tiles, threads=usable_cores()):
                self._tiles[row, col] = to_percent(probability)
        return self._tiles[row, col]
