"""Overview map of a job's report: its events on the latest clear scene, with a graticule and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.ingestion.site import Site
from rsdetect.jobs.report.space import PageSpace
from rsdetect.jobs.report.summary import pixel_metres
from rsdetect.monitoring.events import Event
from rsdetect.monitoring.graticule import GraticuleLine, graticule
from rsdetect.pages.outlines import simplified, svg_path
from rsdetect.pages.scale_bars import ScaleBar, scale_bar

_MOST_CORNERS = 40_000  # of all outlines
_SMALL = 0.012  # share of the map's longer edge below which an event gets a ring as well
_CANDIDATES = 8  # latest scenes among which a clear one is sought
_CLEAR = 0.95  # valid share of its pixels


@dataclass(frozen=True)
class EventMark:
    """Event on the overview map."""

    event: Event
    path: str  # SVG
    x: float
    y: float
    is_small: bool


@dataclass(frozen=True)
class OverviewMap:
    """Overview map, in pixels of the job's grid with north above."""

    width: int
    height: int
    image: str | None  # data URI of a scene; None = plain ground
    day: str  # of that scene
    lines: tuple[GraticuleLine, ...]
    scale: ScaleBar | None
    marks: tuple[EventMark, ...]  # smallest last, above the others
    dots: str  # SVG path of the events that are not listed
    ring: float  # radius of the rings

    @classmethod
    def of(
        cls, site: Site, listed: Sequence[Event], others: Sequence[Event], image: str | None, day: str
    ) -> OverviewMap:
        """Place events on the map.

        Parameters
        ----------
        listed
            Events that the page lists, with their outlines.
        others
            Events that are points.
        """
        space = PageSpace(site.grid)
        edge = max(site.grid.shape)
        order = sorted(listed, key=lambda event: -event.geometry.area)
        outlines = space.geometries(_geometries(order))
        drawn = simplified(outlines, _MOST_CORNERS, edge / 2000)
        left, top, right, bottom = shapely.bounds(outlines).reshape(-1, 4).T
        small = np.maximum(right - left, bottom - top) < _SMALL * edge
        marks = [
            EventMark(event, svg_path(area), round(float(x), 1), round(float(y), 1), bool(is_small))
            for event, area, x, y, is_small in zip(
                order, drawn, (left + right) / 2, (top + bottom) / 2, small, strict=True
            )
        ]
        points = shapely.get_coordinates(shapely.centroid(space.geometries(_geometries(others))))
        return cls(
            width=site.grid.width,
            height=site.grid.height,
            image=image,
            day=day,
            lines=tuple(graticule(space)),
            scale=scale_bar(pixel_metres(site.grid), site.grid.width),
            marks=tuple(marks),
            dots="".join(f"M{x:.0f},{y:.0f}h0" for x, y in points.tolist()),
            ring=round(_SMALL * edge, 2),
        )


def latest_clear_scene(scenes: Sequence[IngestedScene]) -> IngestedScene | None:
    """The latest of the last scenes that is clear, else the clearest of them; None of none."""
    latest = sorted(scenes, key=lambda scene: (scene.taken, scene.id), reverse=True)[:_CANDIDATES]
    clear = next((scene for scene in latest if scene.valid_share >= _CLEAR), None)
    return clear or max(latest, key=lambda scene: scene.valid_share, default=None)


def _geometries(events: Sequence[Event]) -> np.ndarray:
    """Geometries of events on the map."""
    found = np.empty(len(events), dtype=np.object_)
    found[:] = [event.geometry for event in events]
    return found
