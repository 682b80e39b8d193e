"""A tiny watched ground in memory: what is there on each date, clouds, and the history played of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely
from affine import Affine
from rasterio.features import shapes

from rsdetect.grid import Grid
from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.monitoring.baseline import Baseline, BaselineScenes
from rsdetect.monitoring.comparison import Region, Step
from rsdetect.monitoring.job import ConfirmSection
from rsdetect.monitoring.recheck import event_area, recheck_pixels
from rsdetect.monitoring.tracking import EventTracker
from rsdetect.percent import NOT_OBSERVED

SIZE = 16
GRID = Grid(None, Affine(1, 0, 0, 0, -1, 0), SIZE, SIZE)
START = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Percent:
    values: np.ndarray
    grid: Grid = GRID

    def read(self, window):
        return self.values[window.slices_in(self.grid.window)]


def ground(*patches):
    """An empty ground with patches (row, col, height, width) of 1."""
    array = np.zeros((SIZE, SIZE), np.uint8)
    for row, col, height, width in patches:
        array[row : row + height, col : col + width] = 1
    return array


def day(number):
    return START + timedelta(days=10 * number)


class Watched:
    """Dates of a ground; what is compared with what follows the policy."""

    def __init__(self, grounds, clouds=None, policy="previous"):
        self.grounds = grounds
        none = np.zeros((SIZE, SIZE), bool)
        self.clouds = [none if cloud is None else cloud for cloud in clouds or [None] * len(grounds)]
        self.policy = policy

    def percent(self, before, after):
        values = np.where(self.grounds[before] != self.grounds[after], 90, 5).astype(np.uint8)
        values[self.clouds[before] | self.clouds[after]] = NOT_OBSERVED
        return values

    def baseline_of(self, number):
        """What a date is compared with: the first date, or the one before it that is not all cloud."""
        if self.policy == "fixed":
            return 0
        return max(i for i in range(number) if not self.clouds[i].all())

    def play(self, **rules):
        rules = ConfirmSection(**rules)
        number_of = {}

        def look(first, step, core, extent):
            pair = self.baseline_of(number_of[first.scene.id]), number_of[step.scene.id]
            return recheck_pixels(Percent(self.percent(*pair)), 50, core, extent, 0)

        tracker = EventTracker(rules, look, lambda area: event_area(area, GRID))
        for number in range(1, len(self.grounds)):
            clouded = bool(self.clouds[number].all())
            scene = IngestedScene(str(number), day(number), "", None, "", 1.0, clouded)
            number_of[scene.id] = number
            if clouded:
                tracker.add_step(Step(scene, None, "", None, ()))
                continue
            before = self.baseline_of(number)
            baseline = Baseline(str(before), "", "", None, str(before), BaselineScenes((), 1))
            tracker.add_step(Step(scene, baseline, "", None, self.regions(before, number)))
        return tracker.history()

    def regions(self, before, after):
        values = self.percent(before, after)
        changed = (values >= 50) & (values != NOT_OBSERVED)
        found = shapes(changed.astype(np.uint8), mask=changed, connectivity=4, transform=GRID.transform)
        return tuple(Region(shapely.geometry.shape(outline), None, 0.9) for outline, _ in found)
