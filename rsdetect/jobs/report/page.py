"""Report page of a job, `report.html`: summary, map, list, pictures and record in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsdetect.devices import usable_cores
from rsdetect.errors import RsdetectError
from rsdetect.geopackage.stored_changes import StoredChanges
from rsdetect.jobs.report.charts import arrow_map, histograms
from rsdetect.jobs.report.cutouts import Cutout, read_cutouts
from rsdetect.jobs.report.listed import AT_FULL_SIZE, PICTURED, ListedChanges
from rsdetect.jobs.report.scene_pictures import Stretch, crop, pixel_spread, probability_uri, scene_pictures
from rsdetect.jobs.report.space import PageSpace
from rsdetect.jobs.report.summary import caveats_of, displacements, pixel_metres, summary_of
from rsdetect.pages.pictures import Rgb, uris_within
from rsdetect.pages.templates import render, script
from rsdetect.scenes.pair import Pair
from rsdetect.scoring.raster import ProbabilityRaster
from rsdetect.scoring.scene_overview import Lattice, SceneOverview, in_bands

MOST_BYTES = 6_000_000
# Of the data URIs: of both scenes, of the largest changes pixel by pixel, and of the thumbnails.
_SHARES = 1_200_000, 2_000_000, 800_000
_SAMPLED = 2  # of the largest changes, whose pixels widen the stretch of the means
_MOST_RECORD = 200_000  # characters of the record that the page shows
_REDUCED = (1.0, 0.5, 0.2)  # shares of these bytes that are tried


@dataclass(frozen=True)
class ReportInput:
    """Results of a job that its report page shows.

    Attributes
    ----------
    pair, overview
        The scenes, and an overview of them; None = they are missing, and the page has no pictures of them.
    missing
        Why there are none.
    """

    raster: Path
    polygons: Path
    record: Mapping[str, Any]
    pair: Pair | None = None
    overview: SceneOverview | None = None
    missing: str = ""


@dataclass(frozen=True)
class ChangePictures:
    """Pictures of a change before and after, as data URIs, and its outline over them."""

    before: str
    after: str
    outline: str  # SVG path in pixels of the pictures
    shape: tuple[int, int]  # (height, width) of the pictures
    is_whole: bool = True


@dataclass(frozen=True)
class _Drawn:
    """Pictures of a page before they are encoded."""

    scenes: list[Rgb] = field(default_factory=list)
    full: list[list[Rgb]] = field(default_factory=list)  # before and after of each of the largest changes
    thumbnails: list[list[Rgb]] = field(default_factory=list)


def render_report(given: ReportInput) -> str:
    """Render the report page of a job as HTML of less than 6 MB.

    Raises
    ------
    sqlite3.Error, ReadError
        The results are damaged. Scenes that cannot be read are left out.
    """
    space = PageSpace(ProbabilityRaster(given.raster).grid)
    changes = StoredChanges.read(given.polygons)
    listed = ListedChanges.of(changes, space)
    full, thumbnails = listed.cutouts(given.raster, space), listed.thumbnails(space)
    drawn, missing = _Drawn(), given.missing
    if given.pair is not None and given.overview is not None:
        try:
            drawn = _draw(given.pair, given.overview, space, full, thumbnails)
        except RsdetectError as error:
            missing = str(error)
    lattice = Lattice(space.grid.shape, (0,)) if given.overview is None else given.overview.lattice
    content = {
        "record": given.record,
        "record_text": _record_text(given.record),
        "summary": summary_of(given.record, changes),
        "caveats": caveats_of(given.record, space.grid),
        "missing": missing,
        "changes": changes,
        "listed": listed.rows,
        "histograms": histograms(changes),
        "arrows": arrow_map(space, displacements(given.record, space.grid)),
        "probability": probability_uri(given.raster, space, lattice.cells.shape),
        "script": script("sorting.js", "detection.js"),
        "data": _data(listed, space, lattice),
        "at_full_size": AT_FULL_SIZE,
        "pictured": PICTURED,
    }
    for share in _REDUCED:
        budgets = [int(share * each) for each in _SHARES]
        pictures = _encoded(drawn, listed, full, thumbnails, budgets)
        page = render("detection.html", **content, **pictures)
        if len(page.encode()) < MOST_BYTES:
            break
    return page


def _draw(
    pair: Pair,
    overview: SceneOverview,
    space: PageSpace,
    full: Sequence[Cutout],
    thumbnails: Sequence[Cutout],
) -> _Drawn:
    """Draw the pictures of a page; nothing is read twice of a change that is large, or shown in full."""
    coloured = in_bands(pair, overview.lattice.bands)
    sampled = [space.grid_window(each.window) for each in full[:_SAMPLED]]
    stretch = Stretch.of(pair, overview).widened(pixel_spread(coloured, overview.lattice, sampled))
    scenes = scene_pictures(overview, stretch, space)
    cell = overview.lattice.cell
    apart = [i for i, each in enumerate(thumbnails) if i >= len(full) and each.step < cell]
    wanted = [*full, *(thumbnails[i] for i in apart)]
    found = read_cutouts(coloured, wanted, space, stretch, usable_cores())
    read = dict(zip(apart, found[len(full) :], strict=True))
    left, top, _, _ = space.cover(overview.lattice.cells.shape, cell)
    small = []
    for i, each in enumerate(thumbnails):
        if i in read:
            small.append(read[i])
        elif i < len(full) and full[i].window == each.window:
            small.append([picture[:, :: each.step, :: each.step] for picture in found[i]])
        else:
            small.append([crop(scene, each.window.shifted(-top, -left), cell) for scene in scenes])
    return _Drawn(scenes, found[: len(full)], small)


def _encoded(
    drawn: _Drawn,
    listed: ListedChanges,
    full: Sequence[Cutout],
    thumbnails: Sequence[Cutout],
    budgets: Sequence[int],
) -> dict[str, Any]:
    """Encode the pictures of a page within these bytes, with the outlines over them."""
    scenes = uris_within(drawn.scenes, budgets[0])
    groups = []
    for pictures, cutouts, most in (
        (drawn.full, full, budgets[1]),
        (drawn.thumbnails, thumbnails, budgets[2]),
    ):
        uris = uris_within([picture for dates in pictures for picture in dates], most)
        groups.append(
            [
                ChangePictures(
                    before,
                    after,
                    cutout.outline(outline, dates[0].shape[1:]),
                    dates[0].shape[1:],
                    cutout.is_whole,
                )
                for before, after, dates, cutout, outline in zip(
                    uris[::2], uris[1::2], pictures, cutouts, listed.outlines, strict=False
                )
            ]
        )
    return {"scenes": scenes, "full": groups[0], "thumbnails": groups[1]}


def _data(listed: ListedChanges, space: PageSpace, lattice: Lattice) -> dict[str, Any]:
    """What the script of the page draws."""
    return {
        "width": space.grid.width,
        "height": space.grid.height,
        "cover": space.cover(lattice.cells.shape, lattice.cell),
        "metres": pixel_metres(space.grid),
        "changes": [
            {"id": row.number, "box": row.box, "path": path}
            for row, path in zip(listed.rows, listed.paths(lattice.cell), strict=True)
        ],
        "dots": listed.dots,
    }


def _record_text(record: Mapping[str, Any]) -> str:
    """Record as text, cut where it is too long for a page."""
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return text if len(text) <= _MOST_RECORD else f"{text[:_MOST_RECORD]}\n... (all of it is in run.json)"
