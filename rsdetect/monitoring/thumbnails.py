"""Small pictures of a place on a date, cut from the scenes that a job took in."""

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
from rsdetect.monitoring.intake import CLOUDED, USABLE, TakenScene, open_taken
from rsdetect.monitoring.job import ScenesSection
from rsdetect.monitoring.journal import SceneRow
from rsdetect.monitoring.recheck import window_around
from rsdetect.monitoring.site import Site
from rsdetect.pages.pictures import colour_bands, data_uri, stretch_limits, stretched
from rsdetect.scenes.scene import read_scene

_MARGIN = 0.5  # of the event's size, on each side
_LEAST_EDGE = 48  # of a picture, in pixels of the ground
_MOST_EDGE = 384  # of a picture, in pixels on the screen
_LARGEST_PNG = 128  # edge in pixels
_BLOCK = 512  # edge of the windows in which large places are read
_CLEAR = 0.95  # share of valid pixels that is clear enough to look no further
_CANDIDATES = 8  # scenes that are looked at for a clear one


@dataclass(frozen=True)
class Thumbnail:
    """The pixels of a place on a date."""

    scene: str  # its id
    taken: datetime
    values: Float32Array  # (bands, height, width)
    valid: BoolArray  # (height, width)

    @property
    def valid_share(self) -> float:
        """Of the place's pixels."""
        return float(self.valid.mean())


@dataclass(frozen=True)
class Cutout:
    """A place as it is cut out: which pixels of the job's grid, and every how-manieth of them."""

    window: Window
    step: int

    @classmethod
    def around(cls, area: Any, site: Site) -> Cutout:
        """A square frame with a margin around a geometry in the job's CRS."""
        inner = window_around(area, site.grid)
        edge = max(_LEAST_EDGE, math.ceil(max(inner.height, inner.width) * (1 + 2 * _MARGIN)))
        row = inner.row_off + inner.height // 2 - edge // 2
        col = inner.col_off + inner.width // 2 - edge // 2
        return cls(Window(row, col, edge, edge), math.ceil(edge / _MOST_EDGE))

    @property
    def shape(self) -> tuple[int, int]:
        """Of the picture: (height, width)."""
        return math.ceil(self.window.height / self.step), math.ceil(self.window.width / self.step)

    def outline(self, area: Any, site: Site) -> str:
        """A geometry as the path of an SVG over the picture, in its pixels."""
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
    """Cuts chips from scenes, each scene opened when it is first asked for."""

    def __init__(self, site: Site, options: ScenesSection, scenes: Iterable[SceneRow]) -> None:
        self._site = site
        self._options = options
        shown = (row for row in scenes if row.state in (USABLE, CLOUDED))
        self.scenes: dict[str, TakenScene] = {row.id: TakenScene.of(row) for row in shown}

    def thumb(self, scene: TakenScene, cutout: Cutout) -> Thumbnail | None:
        """The pixels of a frame; None where the scene cannot be read any more."""
        try:
            opened = open_taken(scene, self._site, self._options)
            blocks = [[read_scene(opened, block) for block in row] for row in _blocks(cutout)]
        except RsdetectError:
            return None
        step = cutout.step
        values = [[block[:, ::step, ::step] for block, _ in row] for row in blocks]
        valid = [[block[::step, ::step] for _, block in row] for row in blocks]
        return Thumbnail(scene.id, scene.taken, _joined(values), _joined(valid))

    def clearest(self, scenes: Sequence[TakenScene], cutout: Cutout) -> Thumbnail | None:
        """The chip of the first scene that is clear there, or of the clearest of the first few."""
        best: Thumbnail | None = None
        for scene in scenes[:_CANDIDATES]:
            thumb = self.thumb(scene, cutout)
            if thumb is not None and (best is None or thumb.valid_share > best.valid_share):
                best = thumb
            if best is not None and best.valid_share >= _CLEAR:
                break
        return best

    def draw(self, thumbs: Sequence[Thumbnail | None]) -> list[str | None]:
        """Chips of one place as data URIs, all in the same colours: what looks brighter is brighter."""
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
            else data_uri(stretched(thumb.values[bands], limits, thumb.valid), _driver(thumb))
            for thumb in thumbs
        ]


def _driver(thumb: Thumbnail) -> str:
    """Small pictures show their very pixels; large ones would make a page of many megabytes."""
    return "PNG" if max(thumb.valid.shape) <= _LARGEST_PNG else "JPEG"


def _blocks(cutout: Cutout) -> list[list[Window]]:
    """The frame in blocks that begin at multiples of its step, so that thinning them thins the whole."""
    window, edge = cutout.window, max(_BLOCK // cutout.step, 1) * cutout.step
    return [list(band.blocks(edge)) for band in window.blocks(edge, window.width)]


def _joined(rows: list[list[Any]]) -> Any:
    return np.concatenate([np.concatenate(row, axis=-1) for row in rows], axis=-2)
