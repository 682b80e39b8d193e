"""F1 of detectors on simulated pairs with change, by seed: the figures of the README's demo.

    python benchmarks/simulated_pairs.py --kind s2-swir --seeds 1:12 --detectors best

The pairs are those of `rsdetect simulate --size 512`, scored without masks at the detector's own threshold.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pyogrio
import rasterio
from rasterio.features import rasterize

import rsdetect
from rsdetect.percent import NOT_OBSERVED


def own_f1(scenes: Path, detector: str, out: Path) -> float:
    """F1 of a detector on a simulated pair, over the pixels that it observed."""
    changes = rsdetect.detect(
        scenes / "before.tif",
        scenes / "after.tif",
        out=out,
        detector=detector,
        quiet=True,
        report=False,
        qgis_project=False,
    )
    with rasterio.open(changes.raster) as dataset:
        percent, transform = dataset.read(1), dataset.transform
    polygons = pyogrio.read_dataframe(scenes / "truth.gpkg").geometry
    changed = rasterize(polygons, out_shape=percent.shape, transform=transform).astype(bool)
    observed = percent != NOT_OBSERVED
    marked = observed & (percent >= changes.record["level_percent"])
    both = 2 * np.count_nonzero(marked & changed)
    return float(both / max(1, np.count_nonzero(marked) + np.count_nonzero(changed & observed)))


def main() -> None:
    """Print a row for each seed, and the median."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", default="s2-swir")
    parser.add_argument("--seeds", default="1:12", help="first and last seed, the last not included")
    parser.add_argument("--detectors", nargs="+", default=["best"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    first, last = (int(number) for number in args.seeds.split(":"))
    found: dict[str, dict[int, float]] = {name: {} for name in args.detectors}
    with tempfile.TemporaryDirectory() as name:
        for seed in range(first, last):
            scenes = Path(name) / str(seed)
            rsdetect.simulate(scenes, kind=args.kind, height=512, width=512, seed=seed, nodata_edge=True)
            for detector, figures in found.items():
                figures[seed] = own_f1(scenes, detector, scenes / detector)
            print(seed, *(f"{name} {figures[seed]:.2f}" for name, figures in found.items()), flush=True)
    for detector, figures in found.items():
        print("median", detector, f"{np.median(list(figures.values())):.2f}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
