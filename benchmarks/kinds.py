"""Kinds of change on simulated pairs: named shares, agreement and confusion matrix, for docs/kinds.md.

    python benchmarks/kinds.py --seeds 200:216 --json kinds.json

Over the area that is changed and marked, the kind of each region is compared with the true one: that of the
polygon of `truth.gpkg` (`land_kind`), and, as a stricter figure, that of each pixel's true land classes. The
regions are those of the default detector, and, as if a detector were perfect, those of the truth.

`--every-kind` names all kinds. That is how `rsdetect.kinds.named` got its figures, on other seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

import rsdetect
from rsdetect.grid import Grid, Window
from rsdetect.jobs.options import AUTO_MIN_PIXELS
from rsdetect.jobs.vectorize import open_scored
from rsdetect.kinds.classes import KIND_NAMES, KIND_OF, LAND_NAMES, Kind
from rsdetect.kinds.columns import kind_columns
from rsdetect.kinds.named import named_kinds
from rsdetect.kinds.rules import LandRules
from rsdetect.regions.pieces import Layers
from rsdetect.regions.trace import TraceOptions, trace_regions
from rsdetect.scenes.pair import Pair, read_tile
from rsdetect.simulation import SceneSpec, render_whole
from rsdetect.tiles import TileWindow

SENSORS = ("s2-swir", "s2", "landsat", "tm", "rgbn", "vhr")
OUTLINES = ("detector", "truth")
COUNT = len(KIND_NAMES)
COLUMNS = ("kind", "from_class", "to_class")
NAMES = (KIND_NAMES, LAND_NAMES, LAND_NAMES)


class Percent:
    """Raster of percent values in memory, as `trace_regions` reads it."""

    def __init__(self, values: NDArray[np.uint8], grid: Grid) -> None:
        self.values, self.grid = values, grid

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Values of a window."""
        return self.values[window.slices_in(self.grid.window)]


def kinds_of_regions(
    pair: Pair, land: LandRules | None, marked: NDArray[np.bool_], named: Collection[Kind], fewest: int
) -> list[NDArray[np.uint8]]:
    """Kind and classes of the region of each marked pixel, (height, width) each; 0 elsewhere."""
    whole = read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))

    def layers(window: Window) -> Layers:
        inside = window.slices_in(pair.grid.window)
        before, after = (date[(slice(None), *inside)] for date in (whole.before, whole.after))
        flat = (date.reshape(len(date), -1) for date in (before, after))
        codes = None if land is None else land.codes(*flat).reshape(window.shape)
        return Layers((), np.empty((0, *window.shape), np.float32), codes)

    raster = Percent(np.where(marked & whole.valid, 100, 0).astype(np.uint8), pair.grid)
    options = TraceOptions(min_pixels=fewest, difference=layers)
    regions = trace_regions(raster, 50, options=options)
    columns = kind_columns(regions.codes, regions.pixels, named=named)
    return burned(regions.geometry, [columns[name] for name in COLUMNS], pair.grid)


def burned(geometry: NDArray[Any], columns: list[NDArray[Any]], grid: Grid) -> list[NDArray[np.uint8]]:
    """Rasters of the kinds and classes of polygons."""
    rasters = []
    for values, names in zip(columns, NAMES, strict=True):
        shapes = [(each, names.index(value)) for each, value in zip(geometry, values, strict=True)]
        empty = np.zeros(grid.shape, np.uint8)
        rasters.append(
            rasterize(shapes, grid.shape, transform=grid.transform, dtype="uint8") if shapes else empty
        )
    return rasters


def tables_of(folder: Path, about: dict[str, Any], detector: str | None, *, every: bool) -> NDArray[np.int64]:
    """Tables of one pair, (outlines, 4, kinds, kinds): kinds of polygons, of pixels, and both classes."""
    drawn = render_whole(SceneSpec(nodata_edge=False, **about))
    truth, seen = drawn.truth == 1, ~(drawn.cloud_before | drawn.cloud_after)
    out = folder / "out"
    if not (out / "run.json").exists():
        rsdetect.simulate(folder, nodata_edge=False, overwrite=True, **about)
        rsdetect.detect(
            str(folder / "before.tif"),
            str(folder / "after.tif"),
            out=out,
            masks=tuple(str(folder / f"{date}_mask.tif") for date in ("before", "after")),
            mask_kind="plain",
            detector=detector,
            quiet=True,
            qgis_project=False,
            report=False,
        )
    done = rsdetect.ChangeMap.open(out)
    pair, _ = open_scored(done.record)
    assert pair is not None
    land = LandRules.of_record(done.record["land_classes"])
    named = tuple(Kind) if every else named_kinds(land)
    with rasterio.open(out / "change_probability.tif") as raster:
        percent = raster.read(1)
    marked = (percent >= done.record["level_percent"]) & (percent != 255)
    _, _, geometry, fields = pyogrio.raw.read(folder / "truth.gpkg", columns=["land_kind", *COLUMNS[1:]])
    order = pyogrio.read_info(folder / "truth.gpkg")["fields"].tolist()
    asked = [name for name in order if name in ("land_kind", *COLUMNS[1:])]
    columns = [fields[asked.index(name)] for name in ("land_kind", *COLUMNS[1:])]
    true = burned(shapely.from_wkb(geometry), columns, pair.grid)
    pixels = np.where(truth, KIND_OF[drawn.land_before, drawn.land_after], 0)
    tables = np.zeros((len(OUTLINES), 4, COUNT, COUNT), np.int64)
    for number, (outlines, fewest) in enumerate(((marked, AUTO_MIN_PIXELS), (truth, 1))):
        kind, first, last = kinds_of_regions(pair, land, outlines, named, fewest)
        compared = ((true[0], kind), (pixels, kind), (true[1], first), (true[2], last))
        for table, (wanted, found) in zip(tables[number], compared, strict=True):
            np.add.at(table, (wanted[seen], found[seen]), 1)
    return tables


def summary(table: NDArray[np.int64]) -> dict[str, Any]:
    """Shares of the changed and marked area with a named kind, agreement over it, and by kind."""
    both = table[1:, 1:]  # changed and marked
    prior = both.sum(axis=1) / max(both.sum(), 1)
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
        "agreement_of_always_the_most_frequent": round(float(prior.max()), 3),
        "agreement_of_kinds_drawn_by_prior": round(float((prior**2).sum()), 3),
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


def of_classes(table: NDArray[np.int64]) -> dict[str, float]:
    """Share of the changed and marked area with a named land class, and agreement over it."""
    named = table[1:, 1:]
    both = max(int(table[1:].sum()), 1)
    return {
        "share_named": round(float(named.sum()) / both, 3),
        "agreement_where_named": round(float(np.trace(named)) / max(int(named.sum()), 1), 3),
    }


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
    parser.add_argument("--detector", help="default: that of `detect`")
    parser.add_argument("--every-kind", action="store_true", help="name kinds of little agreement too")
    parser.add_argument("--work", type=Path, help="folder that keeps the pairs and their results")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    for sensor in asked.sensors:
        tables = np.zeros((len(OUTLINES), 4, COUNT, COUNT), np.int64)
        for seed in asked.seeds:
            about: dict[str, Any] = {
                "height": asked.size,
                "width": asked.size,
                "seed": seed,
                "change": asked.change,
            }
            about |= {"kind": sensor}
            with tempfile.TemporaryDirectory() as passing:
                folder = Path(passing) if asked.work is None else asked.work / f"{sensor}-{seed}"
                tables += tables_of(folder, about, asked.detector, every=asked.every_kind)
        found[sensor] = {
            outlines: {
                "polygons": summary(each[0]),
                "pixels": summary(each[1]),
                "classes": [of_classes(table) for table in each[2:]],
                "tables": each.tolist(),
            }
            for outlines, each in zip(OUTLINES, tables, strict=True)
        }
        for outlines, each in zip(OUTLINES, tables, strict=True):
            print(f"## {sensor}, outlines of the {outlines}\n")
            for what in ("polygons", "pixels", "classes"):
                print(what, json.dumps(found[sensor][outlines][what]), sep=": ")
            print("\n" + markdown(each[0]) + "\n", flush=True)
        if asked.json:
            asked.json.write_text(json.dumps({"kinds": KIND_NAMES, "sensors": found}))


if __name__ == "__main__":
    main()
