"""Changes that the report page lists: outlines on the map, rows of the list, and cut-outs of the largest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from rsdetect.arraytypes import Float64Array
from rsdetect.geopackage.stored_changes import StoredChanges
from rsdetect.jobs.report.cutouts import MOST_PX, CoarseProbability, Cutout
from rsdetect.jobs.report.space import PageSpace
from rsdetect.pages.outlines import simplified, svg_path
from rsdetect.pages.templates import area
from rsdetect.scenes.places import place_texts

MOST_LISTED = 2000  # rows, which browsers sort without delay
PICTURED = 100  # of the largest, with thumbnails
AT_FULL_SIZE = 20  # of the largest, with each pixel of the scenes
_THUMBNAIL_PX = 112
_MOST_CORNERS = 60_000  # of all outlines on the map
_MOST_DOTS = 50_000  # changes that are on the map, and not in the list


@dataclass(frozen=True)
class ListedChange:
    """Row of the list of changes."""

    number: int  # change_id
    size: str  # text
    pixels: int
    probability: float
    highest: float
    kind: str | None
    place: str  # latitude and longitude, or row and column
    box: tuple[float, ...]  # on the page: left, top, right, bottom


@dataclass(frozen=True)
class ListedChanges:
    """Largest changes of a job as the page lists them."""

    rows: tuple[ListedChange, ...]
    outlines: NDArray[np.object_]  # on the page
    boxes: Float64Array
    dots: tuple[int, ...]  # x, y, x, y, ... of the others

    @classmethod
    def of(cls, changes: StoredChanges, space: PageSpace) -> ListedChanges:
        """Choose the largest changes, and place them on the page."""
        count = min(len(changes), MOST_LISTED)
        outlines = space.geometries(changes.outlines(count))
        boxes = shapely.bounds(outlines).reshape(-1, 4)
        west, south, east, north = changes.boxes.T
        centres = np.column_stack([(west + east) / 2, (south + north) / 2])
        places = place_texts(space.grid, centres[:count])
        rows = tuple(
            ListedChange(
                number=int(changes.change_id[i]),
                size=area(changes.area_m2[i]) if not np.isnan(changes.area_m2[i]) else "",
                pixels=int(changes.pixels[i]),
                probability=float(changes.probability_mean[i]),
                highest=float(changes.probability_max[i]),
                kind=None if changes.kind is None else changes.kind[i],
                place=places[i],
                box=tuple(boxes[i].round(1).tolist()),
            )
            for i in range(count)
        )
        others = space.points(centres[count : count + _MOST_DOTS])
        return cls(rows, outlines, boxes, tuple(np.rint(others).astype(int).reshape(-1).tolist()))

    def paths(self, cell: int) -> list[str]:
        """SVG paths of all outlines on the map, whose pictures have cells of some pixels."""
        return [svg_path(each) for each in simplified(self.outlines, _MOST_CORNERS, cell / 2)]

    def cutouts(self, raster: Path, space: PageSpace) -> list[Cutout]:
        """Cut-outs of the largest changes, pixel by pixel."""
        coarse: CoarseProbability | None = None
        found = []
        for area_, box in zip(self.outlines[:AT_FULL_SIZE], self.boxes, strict=False):
            if max(box[2] - box[0], box[3] - box[1]) <= MOST_PX:
                found.append(Cutout.around(box, space.grid.shape))
                continue
            coarse = coarse or CoarseProbability(raster, space)
            found.append(coarse.surest(area_))
        return found

    def thumbnails(self, space: PageSpace) -> list[Cutout]:
        """Thumbnails of all pictured changes as a whole."""
        return [Cutout.around(box, space.grid.shape, _THUMBNAIL_PX) for box in self.boxes[:PICTURED]]
