"""Many pairs: time and memory of planning, running and collecting a batch of thousands of small pairs.

    python benchmarks/many_pairs.py FOLDER --pairs 10000 --run 1000

Draws adjacent pairs of 64 x 64 pixels, plans the whole list, runs the first of them (`cva`, without QGIS
project and report page) and collects these joined, links their results for all others, and collects all
without joining, because linked results lie on the ground of those that ran.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

SIZE, STEP = 64, 56  # pixels: tiles overlap by 8
ACROSS = 100
OPTIONS = ("--detector", "cva", "--no-qgis-project", "--no-report", "--quiet")


def main() -> None:
    """Measure, and print one line per stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--run", type=int, default=1_000)
    asked = parser.parse_args()
    names = [f"{number:05}" for number in range(asked.pairs)]
    draw_scenes(asked.folder, names)
    rows = [f"{name},scenes/{name}_before.tif,scenes/{name}_after.tif" for name in names]
    pairs = write_list(asked.folder / "all.csv", rows)
    part = write_list(asked.folder / "part.csv", rows[: asked.run])
    begin = time.monotonic()
    plan(pairs)
    print(f"plan     {time.monotonic() - begin:7.1f} s", flush=True)
    command("run", "batch", part, "--out", asked.folder / "out", *OPTIONS, "--shard", "1/1")
    command("join", "batch", part, "--out", asked.folder / "out", "--collect", "--quiet")
    link_results(asked.folder / "out", pairs, names, asked.run)
    command("collect", "batch", pairs, "--out", asked.folder / "out", "--collect", "--quiet", "--no-join")


def draw_scenes(folder: Path, names: list[str]) -> None:
    """Draw the scenes of all pairs: a surface with noise, and a block that changed in each."""
    (folder / "scenes").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    before = rng.integers(60, 80, (3, SIZE, SIZE)).astype(np.uint8)
    after = before + rng.integers(0, 3, before.shape).astype(np.uint8)
    after[:, 20:40, 44:] += 90
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": SIZE, "width": SIZE, "nodata": 0}
    for number, name in enumerate(names):
        row, col = divmod(number, ACROSS)
        place = Affine(10, 0, 500_000 + 10 * STEP * col, 0, -10, 5_400_000 - 10 * STEP * row)
        for date, values in (("before", before), ("after", after)):
            path = folder / "scenes" / f"{name}_{date}.tif"
            with rasterio.open(path, "w", crs="EPSG:32632", transform=place, **profile) as scene:
                scene.write(values)


def write_list(path: Path, rows: list[str]) -> Path:
    """Write a list of pairs."""
    path.write_text("\n".join(["name,before,after", *rows]) + "\n", encoding="utf-8")
    return path


def link_results(out: Path, pairs: Path, names: list[str], ran: int) -> None:
    """Link the files of the pairs that ran for all others, with their own place in the record."""
    record = json.loads((out / "shards" / "1-of-1" / "batch.json").read_text())
    rows = record["pairs"]
    for number, name in enumerate(names[ran:], ran):
        source = out / names[number % ran]
        (out / name).mkdir(exist_ok=True)
        for file in ("changes.gpkg", "change_probability.tif", "run.json"):
            os.link(source / file, out / name / file)
        rows.append(rows[number % ran] | {"name": name})
    from rsdetect.files import hash_bytes

    record |= {"list_sha256": hash_bytes(pairs.read_bytes()), "made": names}
    (out / "shards" / "1-of-1" / "batch.json").write_text(json.dumps(record))


def plan(pairs: Path) -> None:
    """Read and check a list as a batch does before its first pair."""
    from rsdetect.batches.pairs import read_pairs
    from rsdetect.jobs.inputs import refuse_inputs
    from rsdetect.jobs.options import DetectOptions

    found = read_pairs(pairs, DetectOptions())
    refuse_inputs(pairs.parent / "out", [path for pair in found for path in (pair.before, pair.after)])


def command(stage: str, *arguments: object) -> None:
    """Run a command of rsdetect, and print its time and the peak of the memory so far."""
    begin = time.monotonic()
    program = [sys.executable, "-m", "rsdetect.cli", *map(str, arguments)]
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{stage:8} {time.monotonic() - begin:7.1f} s, peak {peak:.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
