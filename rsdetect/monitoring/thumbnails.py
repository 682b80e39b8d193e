"""Thumbnails of ingested scenes around a location."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
import shapely

from rsdetect.arraytypes import BoolArray, Float32Array
from rsdetect.devices import usable_cores
from rsdetect.errors import RsdetectError
from rsdetect.grid import Window
from rsdetect.ingestion.ingest import open_ingested
from rsdetect.ingestion.ingested_scene import CLOUDED, USABLE, IngestedScene
from rsdetect.ingestion.scene_row import SceneRow
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.ingestion.site import Site
from rsdetect.jobs.report.space import PageSpace
from rsdetect.monitoring.recheck import window_around
from rsdetect.pages.pictures import colour_bands, data_uri, stretch_limits, stretched
from rsdetect.scenes.scene import Scene, read_scene

_MARGIN = 0.5  # share of the event's size, on each side
_LEAST_EDGE = 48  # minimum edge of a cutout, in pixels of the grid
_WHOLE_EDGE = 1000  # maximum edge of the picture of a whole scene
_MOST_EDGE = 384  # maximum edge of a thumbnail, in image pixels
_LARGEST_PNG = 128  # edge in pixels
_BLOCK = 512  # edge of the windows that large cutouts are read in
_CLEAR = 0.95  # share of valid pixels at which the search for a clear scene ends
CANDIDATES = 8  # number of scenes examined for a clear one


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

    def thumbnail(
        self, scene: IngestedScene, cutout: Cutout, bands: Sequence[int] | None = None
    ) -> Thumbnail | None:
        """Thumbnail of a scene's cutout; None where the scene is no longer readable.

        Parameters
        ----------
        bands
            Indices of the bands that are read; None = all.
        """
        rows = _cutout_blocks(cutout)
        try:
            opened = open_ingested(scene, self._site, self._options)
            if bands is not None:
                opened = opened.in_bands(bands)
            blocks = _read_blocks(opened, rows, cutout.step)
        except RsdetectError:
            return None
        values = [[block for block, _ in row] for row in blocks]
        valid = [[block for _, block in row] for row in blocks]
        return Thumbnail(scene.id, scene.taken, _joined_blocks(values), _joined_blocks(valid))

    def clearest(self, scenes: Sequence[IngestedScene], cutout: Cutout) -> Thumbnail | None:
        """Thumbnail of the first scene that is clear in the cutout, or of the clearest of the first few."""
        best: Thumbnail | None = None
        for scene in scenes[:CANDIDATES]:
            thumb = self.thumbnail(scene, cutout)
            if thumb is not None and (best is None or thumb.valid_share > best.valid_share):
                best = thumb
            if best is not None and best.valid_share >= _CLEAR:
                break
        return best

    def whole(self, scene: IngestedScene, space: PageSpace) -> str | None:
        """Data URI of a whole scene with north above; None where it is not readable, or nothing is valid."""
        grid = self._site.grid
        bands = colour_bands(self._site.names)
        wanted = list(dict.fromkeys(bands))
        cutout = Cutout(grid.window, math.ceil(max(grid.shape) / _WHOLE_EDGE))
        thumb = self.thumbnail(scene, cutout, wanted)
        if thumb is None or not thumb.valid.any():
            return None
        values = thumb.values[[wanted.index(band) for band in bands]]
        limits = stretch_limits(values[:, thumb.valid])
        return data_uri(space.turned(stretched(values, limits, thumb.valid)), "JPEG", QUALITY=80)

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


def _read_blocks(
    scene: Scene, rows: list[list[Window]], step: int
) -> list[list[tuple[Float32Array, BoolArray]]]:
    """Read the blocks of a thumbnail's cutout, in threads where there are several."""
    read = partial(_decimated, scene, step)
    if len(rows) == 1:
        return [[read(block) for block in rows[0]]]
    with ThreadPoolExecutor(usable_cores()) as threads:
        found = [threads.map(read, row) for row in rows]
        return [list(row) for row in found]


def _decimated(scene: Scene, step: int, block: Window) -> tuple[Float32Array, BoolArray]:
    """Every so many pixels of a block of a thumbnail's cutout, as `read_scene` gives them."""
    values, valid = read_scene(scene, block)
    return values[:, ::step, ::step].copy(), valid[::step, ::step].copy()


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
