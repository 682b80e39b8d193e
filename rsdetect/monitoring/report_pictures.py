"""Pictures of a job's report: the clearest scenes before and after each event, and the latest as a whole.

What was drawn is kept beside the journal, by the versions of the scenes, so that a run without new scenes
decodes none.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsdetect.files import hash_json, write_text
from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.ingestion.site import Site
from rsdetect.jobs.report.space import PageSpace
from rsdetect.jobs.report.summary import pixel_metres
from rsdetect.monitoring.events import Event, Observation
from rsdetect.monitoring.overview_map import OverviewMap, latest_clear_scene
from rsdetect.monitoring.thumbnails import CANDIDATES, Cutout, Thumbnails
from rsdetect.pages.scale_bars import ScaleBar, scale_bar
from rsdetect.pages.templates import day

_VERSION = 1  # of how pictures are drawn


@dataclass(frozen=True)
class ReportPicture:
    """Picture of one date of an event in the report."""

    title: str
    image: str  # data URI
    path: str  # SVG path of the outline


@dataclass(frozen=True)
class EventPictures:
    """Pictures of an event in the report."""

    pictures: tuple[ReportPicture, ...]
    shape: tuple[int, int]  # (height, width)
    scale: ScaleBar | None


class PictureCache:
    """Cache of the pictures of a report, a JSON file; those that a run does not use are dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used: dict[str, list[list[str]]] = {}
        try:
            self._known: dict[str, list[list[str]]] = json.loads(path.read_bytes())
        except (OSError, ValueError):
            self._known = {}

    def get(self, key: str, draw: Callable[[], list[list[str]]]) -> list[list[str]]:
        """Titles and data URIs under a key of all their inputs; drawn where they are not known."""
        self._used[key] = found = self._known[key] if key in self._known else draw()
        return found

    def save(self) -> None:
        """Write the pictures that were used."""
        if self._used.keys() != self._known.keys():
            write_text(self._path, json.dumps(self._used))


class ReportPictures:
    """Pictures of a job's scenes for its report."""

    def __init__(
        self, site: Site, thumbnails: Thumbnails, observations: Sequence[Observation], cache: PictureCache
    ) -> None:
        self._site = site
        self._thumbnails = thumbnails
        self._cache = cache
        self._seen: dict[str, list[Observation]] = defaultdict(list)
        for observation in observations:
            if observation.seen:
                self._seen[observation.event].append(observation)

    def of_event(self, event: Event) -> EventPictures:
        """Pictures of an event: before, after, and since its resolution."""
        cutout = Cutout.around(event.geometry, self._site)
        moments = self._moments(event)
        versions = {name: [scene.fingerprint for scene in scenes] for name, scenes in moments.items()}
        window = cutout.window
        place = (window.row_off, window.col_off, window.height, window.width, cutout.step)
        key = hash_json([_VERSION, place, versions, self._site.names])
        outline = cutout.outline(event.geometry, self._site)
        found = self._cache.get(key, lambda: self._draw(moments, cutout))
        metres = pixel_metres(self._site.grid)
        return EventPictures(
            tuple(ReportPicture(title, image, outline) for title, image in found),
            cutout.shape,
            scale_bar(metres, cutout.window.width),
        )

    def overview(self, listed: Sequence[Event], others: Sequence[Event]) -> OverviewMap:
        """Overview map of events on the latest clear scene."""
        scene = latest_clear_scene(list(self._thumbnails.scenes.values()))
        found: list[list[str]] = []
        if scene is not None:
            key = hash_json([_VERSION, "overview", scene.fingerprint, self._site.names])
            found = self._cache.get(key, lambda: self._draw_overview(scene))
        image = found[0][1] if found else None
        shown = day(scene.taken) if scene is not None and image is not None else ""
        return OverviewMap.of(self._site, listed, others, image, shown)

    def _moments(self, event: Event) -> dict[str, list[IngestedScene]]:
        """Scenes among which the clearest of each moment of an event is sought, best first."""
        known = self._thumbnails.scenes
        scenes = sorted(known.values(), key=lambda scene: scene.taken, reverse=True)
        seen = [known.get(each.scene) for each in reversed(self._seen[event.id])]
        moments = {
            "before": [scene for scene in scenes if scene.taken < event.first_seen],
            "after": [scene for scene in seen if scene is not None],
        }
        if event.resolved_on is not None:
            moments["since"] = [scene for scene in reversed(scenes) if scene.taken >= event.resolved_on]
        return {name: found[:CANDIDATES] for name, found in moments.items()}

    def _draw(self, moments: dict[str, list[IngestedScene]], cutout: Cutout) -> list[list[str]]:
        """Title and data URI of each moment of an event."""
        thumbs = {name: self._thumbnails.clearest(found, cutout) for name, found in moments.items()}
        images = self._thumbnails.data_uris(list(thumbs.values()))
        return [
            [f"{name}, {day(thumb.taken)}", image]
            for (name, thumb), image in zip(thumbs.items(), images, strict=True)
            if thumb is not None and image is not None
        ]

    def _draw_overview(self, scene: IngestedScene) -> list[list[str]]:
        """Title and data URI of a scene as a whole."""
        image = self._thumbnails.whole(scene, PageSpace(self._site.grid))
        return [] if image is None else [["", image]]
