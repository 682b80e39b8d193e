"""Many pairs: time and memory of planning, running and collecting a batch of thousands of small pairs.

    python benchmarks/many_pairs.py FOLDER --pairs 10000 --run 1000

Draws adjacent pairs of 64 x 64 pixels, plans the whole list, runs the first of them (`cva`, without QGIS
project and report page) in two shards at once and collects these joined, links their results for all others,
and collects all without joining, because linked results lie on the ground of those that ran. Each stage has
its time, the processor time of its processes, by which a busy machine is judged, and the peak of the memory.
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
    draw_scenes(asked.folder, names, asked.run)
    rows = [f"{name},scenes/{name}_before.tif,scenes/{name}_after.tif" for name in names]
    pairs = write_list(asked.folder / "all.csv", rows)
    part = write_list(asked.folder / "part.csv", rows[: asked.run])
    begin = time.monotonic()
    plan(pairs)
    print(f"plan     {time.monotonic() - begin:7.1f} s", flush=True)
    run = ["batch", part, "--out", asked.folder / "out", *OPTIONS, "--shard"]
    measure("run", [*run, "1/2"], [*run, "2/2"])
    measure("join", ["batch", part, "--out", asked.folder / "out", "--collect", "--quiet"])
    link_results(asked.folder / "out", pairs, names, asked.run)
    measure("collect", ["batch", pairs, "--out", asked.folder / "out", "--collect", "--quiet", "--no-join"])


def draw_scenes(folder: Path, names: list[str], run: int) -> None:
    """Draw the scenes of the pairs that run: a surface with noise, and a block that changed in each.

    Those of the others, which nothing opens, are links to the first.
    """
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
            if number >= run:
                os.link(folder / "scenes" / f"{names[0]}_{date}.tif", path)
                continue
            with rasterio.open(path, "w", crs="EPSG:32632", transform=place, **profile) as scene:
                scene.write(values)


def write_list(path: Path, rows: list[str]) -> Path:
    """Write a list of pairs."""
    path.write_text("\n".join(["name,before,after", *rows]) + "\n", encoding="utf-8")
    return path


def link_results(out: Path, pairs: Path, names: list[str], ran: int) -> None:
    """Link the files of the pairs that ran for all others, with their own place in the record."""
    shards = [out / "shards" / f"{number}-of-2" / "batch.json" for number in (1, 2)]
    records = [json.loads(path.read_text()) for path in shards]
    rows = sorted((row for record in records for row in record["pairs"]), key=lambda row: row["name"])
    for number, name in enumerate(names[ran:], ran):
        source = out / names[number % ran]
        (out / name).mkdir(exist_ok=True)
        for file in ("changes.gpkg", "change_probability.tif", "run.json"):
            os.link(source / file, out / name / file)
        rows.append(rows[number % ran] | {"name": name})
    from rsdetect.files import hash_bytes

    for number, (path, record) in enumerate(zip(shards, records, strict=True)):
        own = {"pairs": rows[number::2], "made": names[number::2]}
        path.write_text(json.dumps(record | own | {"list_sha256": hash_bytes(pairs.read_bytes())}))


def plan(pairs: Path) -> None:
    """Read and check a list as a batch does before its first pair."""
    from rsdetect.batches.pairs import read_pairs
    from rsdetect.jobs.inputs import refuse_inputs
    from rsdetect.jobs.options import DetectOptions

    found = read_pairs(pairs, DetectOptions())
    refuse_inputs(pairs.parent / "out", [path for pair in found for path in (pair.before, pair.after)])


def measure(stage: str, *commands: list[object]) -> None:
    """Run commands of rsdetect at once; print the time, the processor time, and the peak of one so far."""
    begin, used = time.monotonic(), processor_time()
    program = [sys.executable, "-m", "rsdetect.cli"]
    running = [
        subprocess.Popen([*program, *map(str, arguments)], stdout=subprocess.DEVNULL)
        for arguments in commands
    ]
    if any(process.wait() for process in running):
        raise SystemExit(f"{stage} failed")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    took = f"{time.monotonic() - begin:7.1f} s, {processor_time() - used:7.1f} s of processor time"
    print(f"{stage:8} {took}, peak {peak:.0f} MiB", flush=True)


def processor_time() -> float:
    """Processor time of all commands that ended, in seconds."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


if __name__ == "__main__":
    main()
