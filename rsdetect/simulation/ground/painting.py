"""Painting of the ground by the land use of its plots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rsdetect.arraytypes import UInt8Array
from rsdetect.simulation.canvas import Canvas, Texture
from rsdetect.simulation.ground import hardscape, vegetation
from rsdetect.simulation.ground.catalogue import Catalogue
from rsdetect.simulation.ground.land import Land, Use
from rsdetect.simulation.ground.patch import Paint, Patch
from rsdetect.simulation.ground.plots import Plots
from rsdetect.simulation.salts import Salt

_PAINTERS: dict[Use, Callable[[Patch], Paint]] = {
    Use.LAWN: vegetation.paint_lawn,
    Use.CROP: vegetation.paint_crop,
    Use.MEADOW: vegetation.paint_meadow,
    Use.RANGE: vegetation.paint_range,
    Use.FOREST: vegetation.paint_forest,
    Use.ORCHARD: vegetation.paint_orchard,
    Use.VINEYARD: vegetation.paint_vineyard,
    Use.WETLAND: vegetation.paint_wetland,
    Use.GOLF: vegetation.paint_golf,
    Use.BURNT: vegetation.paint_burnt,
    Use.EARTHWORK: hardscape.paint_earthwork,
    Use.SITE: hardscape.paint_site,
    Use.RUBBLE: hardscape.paint_rubble,
    Use.YARD: hardscape.paint_yard,
    Use.PARKING: hardscape.paint_parking,
    Use.SPORTS: hardscape.paint_sports,
    Use.SOLAR: hardscape.paint_solar,
    Use.GREENHOUSE: hardscape.paint_greenhouse,
    Use.WATER: hardscape.paint_basin,
    Use.STREET: hardscape.paint_street,
    Use.FABRIC: hardscape.paint_fabric,
}

# Uses that continue across the borders of plots without a step.
_SEAMLESS = (Use.WATER, Use.FOREST, Use.RANGE, Use.WETLAND, Use.FABRIC)


def paint_ground(
    canvas: Canvas, plots: Plots, catalogue: Catalogue, texture: Texture, date: int, gsd_m: float
) -> UInt8Array:
    """Paint every pixel of the ground by the use of its plot on `date`; returns the use, (height, width)."""
    use = catalogue.use[date][plots.entry]
    use = np.where(plots.street, np.uint8(Use.STREET), use)
    flat_use, entry = use.ravel(), plots.entry.ravel()
    for code, painter in _PAINTERS.items():
        at = np.flatnonzero(flat_use == code)
        if not at.size:
            continue
        of = entry[at]
        patch = Patch(
            texture=texture.at(at),
            gsd_m=gsd_m,
            date=date,
            along_m=plots.along_m.ravel()[at],
            away_m=plots.away_m.ravel()[at],
            length_m=plots.length_m.ravel()[at],
            depth_m=plots.depth_m.ravel()[at],
            street_m=plots.street_m.ravel()[at],
            run_m=plots.run_m.ravel()[at],
            width_m=plots.width_m.ravel()[at],
            soil=catalogue.soil[of],
            plant=catalogue.plant[date][of],
            paved=catalogue.paved[of],
            cover=catalogue.cover[date][of],
            rows_m=catalogue.rows_m[of],
            key=plots.key.ravel()[at],
            area=plots.area.ravel()[at],
        )
        done = painter(patch)
        # No two plots are equally bright, even of the same material.
        tone = 1.0 if code in _SEAMLESS else 0.9 + 0.2 * patch.lot(Salt.PLOT_TONE)
        mix, shade = (np.asarray(part, dtype=np.float32) for part in (done.mix, tone * done.shade))
        canvas.paint(at, done.first, done.second, mix, shade, done.cover)
        if done.height_m is not None:
            canvas.height_m.reshape(-1)[at] = done.height_m
    canvas.trees[:] = np.where(plots.street, 0, catalogue.trees[date][plots.entry])
    # A hedgerow along two sides of the field.
    rim = np.minimum(np.minimum(np.abs(plots.along_m + plots.length_m / 2), plots.away_m), 9.0)
    hedge = (rim < 3.0) & catalogue.hedge[plots.entry] & ~plots.street & (plots.land <= Land.RANGE)
    canvas.trees[hedge] = np.maximum(canvas.trees[hedge], 0.8)
    return use
