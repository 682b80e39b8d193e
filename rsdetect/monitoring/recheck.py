"""Is an event still there? A look at its ground: the scene against what lay there before the event.

Where the comparison was made anyhow its raster is read. Otherwise the pair is fitted as `detect` would fit
it, over the whole scene, and only the tiles under the event are scored: the probabilities are the same, and
a place with many events costs a fit for each of the dates on which one began.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.detectors import Scorer
from rsdetect.devices import usable_cores
from rsdetect.files import hash_bytes
from rsdetect.grid import Window
from rsdetect.jobs.detect import fit_pair
from rsdetect.monitoring.baseline import Baseline, Baselines
from rsdetect.monitoring.comparison import Comparer
from rsdetect.monitoring.evidence import Evidence, Percent, examine
from rsdetect.monitoring.intake import TakenScene
from rsdetect.monitoring.journal import Journal
from rsdetect.percent import NOT_OBSERVED, to_percent
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.raster import ProbabilityRaster
from rsdetect.scoring.windows import plan_windows, score_windows


class Looker:
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
