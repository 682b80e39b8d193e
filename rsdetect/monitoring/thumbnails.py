"""Thumbnails of ingested scenes around a location."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import shapely

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.errors import RsdetectError
from rsdetect.grid import Window
from rsdetect.ingestion.ingest import CLOUDED, USABLE, IngestedScene, open_ingested
from rsdetect.ingestion.scene_row import SceneRow
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import Site
from rsdetect.monitoring.recheck import window_around
from rsdetect.pages.pictures import colour_bands, data_uri, stretch_limits, stretched
from rsdetect.scenes.scene import read_scene

_MARGIN = 0.5  # share of the event's size, on each side
_LEAST_EDGE = 48  # minimum edge of a cutout, in pixels of the grid
_MOST_EDGE = 384  # maximum edge of a thumbnail, in image pixels
_LARGEST_PNG = 128  # edge in pixels
_BLOCK = 512  # edge of the windows that large cutouts are read in
_CLEAR = 0.95  # share of valid pixels at which the search for a clear scene ends
_CANDIDATES = 8  # number of scenes examined for a clear one


@dataclass(frozen=True)
class Thumbnail:
    """Thumbnail pixels of a location on one date."""

    scene: str  # its id
    taken: datetime
    values: Float32Array  # (bands, height, width)
    valid: BoolArray  # (height, width)

    @property
    def valid_share(self) -> float:
        """Valid share of the thumbnail's pixels."""
        return float(self.valid.mean())


@dataclass(frozen=True)
class Cutout:
    """Cutout of a thumbnail: its window in the job's grid, and its decimation step."""

    window: Window
    step: int

    @classmethod
    def around(cls, area: Any, site: Site) -> Cutout:
        """Square thumbnail cutout with a margin around a geometry in the job's CRS."""
        inner = window_around(area, site.grid)
        edge = max(_LEAST_EDGE, math.ceil(max(inner.height, inner.width) * (1 + 2 * _MARGIN)))
        row = inner.row_off + inner.height // 2 - edge // 2
        col = inner.col_off + inner.width // 2 - edge // 2
        return cls(Window(row, col, edge, edge), math.ceil(edge / _MOST_EDGE))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the thumbnail."""
        return math.ceil(self.window.height / self.step), math.ceil(self.window.width / self.step)

    def outline(self, area: Any, site: Site) -> str:
        """SVG path of a geometry over the thumbnail, in its pixels."""
        inverse = ~site.grid.transform

        def to_picture(xy: Any) -> Any:
            cols = inverse.a * xy[:, 0] + inverse.b * xy[:, 1] + inverse.c - self.window.col_off
            rows = inverse.d * xy[:, 0] + inverse.e * xy[:, 1] + inverse.f - self.window.row_off
            return np.column_stack([cols, rows]) / self.step

        placed = shapely.transform(area, to_picture)
        rings = [ring for part in shapely.get_parts(placed) for ring in (part.exterior, *part.interiors)]
        return " ".join(
            "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in ring.coords[:-1]) + "Z" for ring in rings
        )


class Thumbnails:
    """Thumbnails of ingested scenes, each opened on first use."""

    def __init__(self, site: Site, options: ScenesSection, scenes: Iterable[SceneRow]) -> None:
        self._site = site
        self._options = options
        shown = (row for row in scenes if row.state in (USABLE, CLOUDED))
        self.scenes: dict[str, IngestedScene] = {row.id: IngestedScene.of(row) for row in shown}

    def thumbnail(self, scene: IngestedScene, cutout: Cutout) -> Thumbnail | None:
        """Thumbnail of a scene's cutout; None where the scene is no longer readable."""
        try:
            opened = open_ingested(scene, self._site, self._options)
            blocks = [[read_scene(opened, block) for block in row] for row in _cutout_blocks(cutout)]
        except RsdetectError:
            return None
        step = cutout.step
        values = [[block[:, ::step, ::step] for block, _ in row] for row in blocks]
        valid = [[block[::step, ::step] for _, block in row] for row in blocks]
        return Thumbnail(scene.id, scene.taken, _joined_blocks(values), _joined_blocks(valid))

    def clearest(self, scenes: Sequence[IngestedScene], cutout: Cutout) -> Thumbnail | None:
        """Thumbnail of the first scene that is clear in the cutout, or of the clearest of the first few."""
        best: Thumbnail | None = None
        for scene in scenes[:_CANDIDATES]:
            thumb = self.thumbnail(scene, cutout)
            if thumb is not None and (best is None or thumb.valid_share > best.valid_share):
                best = thumb
            if best is not None and best.valid_share >= _CLEAR:
                break
        return best

    def data_uris(self, thumbs: Sequence[Thumbnail | None]) -> list[str | None]:
        """Thumbnails of one location as data URIs with a common stretch, so that brightness is comparable."""
        bands = colour_bands(self._site.names)
        pixels = [
            thumb.values[bands][:, thumb.valid] for thumb in thumbs if thumb is not None and thumb.valid.any()
        ]
        if not pixels:
            return [None] * len(thumbs)
        limits = stretch_limits(np.concatenate(pixels, axis=1))
        return [
            None
            if thumb is None
            else data_uri(stretched(thumb.values[bands], limits, thumb.valid), _thumbnail_driver(thumb))
            for thumb in thumbs
        ]


def _thumbnail_driver(thumb: Thumbnail) -> str:
    """Image format of a thumbnail: lossless for small ones, JPEG for large ones."""
    return "PNG" if max(thumb.valid.shape) <= _LARGEST_PNG else "JPEG"


def _cutout_blocks(cutout: Cutout) -> list[list[Window]]:
    """Blocks of a thumbnail's cutout at multiples of its step, so that each can be decimated alone."""
    window, edge = cutout.window, max(_BLOCK // cutout.step, 1) * cutout.step
    return [list(band.blocks(edge)) for band in window.blocks(edge, window.width)]


def _joined_blocks(rows: list[list[Any]]) -> Any:
    """Concatenate the blocks of a thumbnail."""
    return np.concatenate([np.concatenate(row, axis=-1) for row in rows], axis=-2)
