"""Kinds of change on simulated pairs: named shares, agreement and confusion matrix, for docs/kinds.md.

    python benchmarks/kinds.py --seeds 200:216 --json kinds.json

The regions are those of a detector, or with `--detector truth` those of the changed pixels of the truth. Over
the area that is changed and marked, the kind of the region is compared with the true one: that of the polygon
of `truth.gpkg` (`land_kind`), and, as a stricter figure, that of each pixel's true land classes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

import rsdetect
from rsdetect.checks.land import fit_land_rules
from rsdetect.checks.scan import Scan
from rsdetect.grid import Grid, Window
from rsdetect.kinds.classes import KIND_NAMES, KIND_OF, Kind
from rsdetect.kinds.columns import kind_columns
from rsdetect.regions.pieces import Layers
from rsdetect.regions.trace import TraceOptions, trace_regions
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.simulation import SceneSpec, render_whole
from rsdetect.tiles import TileWindow

SENSORS = ("s2-swir", "s2", "landsat", "tm", "rgbn", "vhr")
COUNT = len(KIND_NAMES)


class Percent:
    """Raster of percent values in memory, as `trace_regions` reads it."""

    def __init__(self, values: NDArray[np.uint8], grid: Grid) -> None:
        self.values, self.grid = values, grid

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Values of a window."""
        return self.values[window.slices_in(self.grid.window)]


def kinds_of_truth(folder: Path, truth: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Kind of the region of each changed pixel, (height, width); 0 elsewhere."""
    masks = tuple(str(folder / f"{date}_mask.tif") for date in ("before", "after"))
    pair = open_pair(str(folder / "before.tif"), str(folder / "after.tif"), PairOptions(masks=masks))
    land = fit_land_rules(Scan(pair))
    whole = read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))
    changed = truth & whole.valid

    def layers(window: Window) -> Layers:
        inside = window.slices_in(pair.grid.window)
        before, after = (date[(slice(None), *inside)] for date in (whole.before, whole.after))
        flat = (date.reshape(len(date), -1) for date in (before, after))
        codes = None if land is None else land.codes(*flat).reshape(window.shape)
        return Layers((), np.empty((0, *window.shape), np.float32), codes)

    raster = Percent(np.where(changed, 100, 0).astype(np.uint8), pair.grid)
    regions = trace_regions(raster, 50, options=TraceOptions(difference=layers))
    return burnt(regions.geometry, kind_columns(regions.codes, regions.pixels)["kind"], pair.grid)


def kinds_of_detector(folder: Path, detector: str | None) -> NDArray[np.uint8]:
    """Kind of the polygon of each pixel that a detector marks, (height, width); 0 elsewhere."""
    masks = tuple(str(folder / f"{date}_mask.tif") for date in ("before", "after"))
    scenes = str(folder / "before.tif"), str(folder / "after.tif")
    out = folder / "out"
    rsdetect.detect(
        *scenes, out=out, masks=masks, detector=detector, quiet=True, qgis_project=False, overwrite=True
    )
    _, _, geometry, fields = pyogrio.raw.read(out / "changes.gpkg", layer="changes", columns=["kind"])
    return burnt(shapely.from_wkb(geometry), fields[0], open_pair(*scenes).grid)


def burnt(geometry: NDArray[Any], kinds: NDArray[Any], grid: Grid) -> NDArray[np.uint8]:
    """Raster of the kinds of polygons."""
    shapes = [(each, KIND_NAMES.index(kind)) for each, kind in zip(geometry, kinds, strict=True)]
    if not shapes:
        return np.zeros(grid.shape, np.uint8)
    burned: NDArray[np.uint8] = rasterize(shapes, grid.shape, transform=grid.transform, dtype="uint8")
    return burned


def confusion(sensor: str, seeds: range, size: int, change: float, detector: str | None) -> NDArray[np.int64]:
    """Pixels by true kind (0 = not changed) and named kind (0 = not marked), over all seeds.

    Two tables: true kinds of polygons, and of pixels.
    """
    table = np.zeros((2, COUNT, COUNT), np.int64)
    for seed in seeds:
        about: dict[str, Any] = {"height": size, "width": size, "seed": seed, "change": change}
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            rsdetect.simulate(folder, kind=sensor, nodata_edge=False, **about)
            drawn = render_whole(SceneSpec(kind=sensor, nodata_edge=False, **about))
            truth = drawn.truth == 1
            if detector == "truth":
                named = kinds_of_truth(folder, truth)
            else:
                named = kinds_of_detector(folder, detector)
            _, _, geometry, fields = pyogrio.raw.read(folder / "truth.gpkg", columns=["land_kind"])
            grid = open_pair(str(folder / "before.tif"), str(folder / "after.tif")).grid
            polygons = burnt(shapely.from_wkb(geometry), fields[0], grid)
        pixels = np.where(truth, KIND_OF[drawn.land_before, drawn.land_after], 0)
        seen = ~(drawn.cloud_before | drawn.cloud_after)
        for of, true in zip(table, (polygons, pixels), strict=True):
            np.add.at(of, (true[seen], named[seen]), 1)
    return table


def summary(table: NDArray[np.int64]) -> dict[str, Any]:
    """Shares of the changed and marked area with a named kind, agreement over it, and by kind."""
    both = table[1:, 1:]  # changed and marked
    named = both[:, : Kind.OTHER - 1]
    right = int(np.trace(named[: Kind.OTHER - 1]))
    marked = table[:, 1:].sum()
    kinds = {
        KIND_NAMES[kind]: {
            "named_share": round(float(both[:, kind - 1].sum() / max(both.sum(), 1)), 3),
            "agreement": round(float(both[kind - 1, kind - 1] / max(both[:, kind - 1].sum(), 1)), 3),
        }
        for kind in range(1, COUNT)
        if both[:, kind - 1].sum()
    }
    return {
        "pixels": int(both.sum()),
        "share_of_changed_area_marked": round(float(both.sum() / max(table[1:].sum(), 1)), 3),
        "share_named": round(float(named.sum() / max(both.sum(), 1)), 3),
        "agreement_where_named": round(right / max(int(named.sum()), 1), 3),
        "share_named_of_all_marked": round(float(table[:, 1 : Kind.OTHER].sum() / max(marked, 1)), 3),
        "kinds": kinds,
    }


def markdown(table: NDArray[np.int64]) -> str:
    """Confusion matrix in percent of the changed and marked area, true kinds down, named kinds across."""
    both = 100 * table[1:, 1:] / max(table[1:, 1:].sum(), 1)
    rows = [i for i in range(COUNT - 1) if both[i].sum() or both[:, i].sum()]
    lines = ["| true \\ named | " + " | ".join(KIND_NAMES[i + 1] for i in rows) + " |"]
    lines.append("|---" * (len(rows) + 1) + "|")
    for i in rows:
        lines.append(f"| {KIND_NAMES[i + 1]} | " + " | ".join(f"{both[i, j]:.1f}" for j in rows) + " |")
    return "\n".join(lines)


def seeds_of(text: str) -> range:
    """Range of seeds, FIRST:END."""
    first, end = text.split(":")
    return range(int(first), int(end))


def main() -> None:
    """Print summary and confusion matrix per sensor."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sensors", nargs="+", default=SENSORS)
    parser.add_argument("--seeds", type=seeds_of, default=range(200, 216))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--change", type=float, default=0.2)
    parser.add_argument("--detector", help="a name, or `truth`; default: that of `detect`")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = {}
    for sensor in asked.sensors:
        table = confusion(sensor, asked.seeds, asked.size, asked.change, asked.detector)
        found[sensor] = {"tables": table.tolist()}
        for name, of in zip(("polygons", "pixels"), table, strict=True):
            found[sensor][name] = summary(of)
            print(
                f"{sensor}, true kinds of {name}",
                json.dumps(summary(of)),
                markdown(of),
                sep="\n\n",
                flush=True,
            )
    if asked.json:
        asked.json.write_text(json.dumps({"kinds": KIND_NAMES, "sensors": found}, indent=1))


if __name__ == "__main__":
    main()
