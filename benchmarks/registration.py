"""Gain of `register`: F1 of detectors on pairs with a known shift added to AFTER, as they are and registered.

    python benchmarks/registration.py DATA --split benchmarks/splits/shared.toml --json out.json

DATA has the sources of the split file; two simulated pairs come from `rsdetect.simulate`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import rasterio
from preparation import count_pair
from scipy.ndimage import shift as spline_shift

import rsdetect
from rsdetect.checks.register import fit_registration
from rsdetect.errors import InputError
from rsdetect.evaluation.split import read_split
from rsdetect.labelled import LabelledPair, find_pairs
from rsdetect.scenes.pair import read_tile
from rsdetect.tiles import TileWindow

REAL = (("beijing-vhr", "beijing_A"), ("landsat-labelled", "nanjing"), ("airchange", "tisza_train_37"))
SHIFTS = (0.0, 0.3, 1.0, 2.0, 8.0)  # pixels, at 3 columns for 4 rows


def labelled_pairs(data: Path, split_file: Path, folder: Path) -> Iterator[tuple[str, LabelledPair]]:
    """Real pairs of *choose*, and simulated ones."""
    split = read_split(split_file)
    for source, name in REAL:
        pairs = split.select(source, find_pairs(data / source, "auto"), "choose")
        yield f"{source}/{name}", next(pair for pair in pairs if pair.name.endswith(name))
    for kind in ("rgbn", "s2"):
        place = folder / kind / "one"
        about = {"height": 512, "width": 512, "seed": 5, "shift_px": (0.0, 0.0), "cloud": 0.0}
        rsdetect.simulate(place, kind=kind, nodata_edge=False, **about)
        yield f"simulated/{kind}", find_pairs(folder / kind, "auto")[0]


def write_shifted(labelled: LabelledPair, distance: float, folder: Path) -> tuple[str, str]:
    """Paths of both dates in `folder`, AFTER shifted by `distance` pixels."""
    pair = labelled.open()
    window = pair.grid.window
    tile = read_tile(pair, TileWindow(0, 0, window, window))
    paths = []
    for name, values, moved in (("before", tile.before, 0.0), ("after", tile.after, distance)):
        if moved:
            values = np.stack([spline_shift(band, (0.8 * moved, 0.6 * moved), order=3) for band in values])
        path = folder / f"{name}.tif"
        profile = {"count": len(values), "dtype": "float32", "height": window.height, "width": window.width}
        crs, transform = pair.grid.crs, pair.grid.transform
        with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **profile) as file:
            file.descriptions = pair.bands
            file.write(values.astype(np.float32))
            file.write_mask(np.where(tile.valid, 255, 0).astype(np.uint8))
        paths.append(str(path))
    return paths[0], paths[1]


def main() -> None:
    """Print one row per pair and shift: measured registration, and F1 before and after of each detector."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--detectors", nargs="+", default=["cva", "sfa", "best"])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, labelled in labelled_pairs(asked.data, asked.split, Path(folder)):
            for distance in SHIFTS:
                pair = rsdetect.open_pair(*write_shifted(labelled, distance, Path(folder)))
                row = {"pair": name, "added_px": distance}
                try:
                    found = fit_registration(pair, 2)
                    row |= {"method": found.method, "left_px": found.residual_px}
                    row |= {
                        axis: float(np.mean(getattr(found.displacement, axis))) for axis in ("rows", "cols")
                    }
                    registered = found.apply(pair)
                except InputError as error:
                    row |= {"refused": str(error)}
                    registered = None
                for detector in asked.detectors:
                    for when, prepared in (("before", pair), ("after", registered)):
                        if prepared is not None:
                            counts, threshold = count_pair(prepared, labelled, detector)
                            row[f"{detector} {when}"] = round(counts.f1_at(threshold), 3)
                rows.append(row)
                print(row, flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
