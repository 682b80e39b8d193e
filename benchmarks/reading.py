"""Read a pair by the tiles of a job, for several block layouts: Mpx/s, and blocks decoded more than once.

    python benchmarks/reading.py                         # 2048 x 2048, four bands of 16 bits, deflate
    python benchmarks/reading.py --edge 4096 --json reading.json

Each layout is read with what the tiles share kept in memory, as `rsdetect detect` does it, and without, from
GDAL's own cache at two sizes. All ways take turns in one run; medians of three.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from rsdetect.checks.scan import Scan
from rsdetect.detectors import make_detector
from rsdetect.memory import MemoryBudget
from rsdetect.scenes.handles import close_handles
from rsdetect.scenes.pair import Pair, open_pair, read_tile
from rsdetect.scenes.scene import sharing_blocks
from rsdetect.scoring.core import read_windows
from rsdetect.scoring.planning import plan_for, planned_windows
from rsdetect.tiles import TileWindow

CORES = len(os.sched_getaffinity(0))
MIB = 2**20
LAYOUTS: dict[str, dict[str, Any]] = {
    "blocks of 256": {"tiled": True, "blockxsize": 256, "blockysize": 256},
    "blocks of 512": {"tiled": True, "blockxsize": 512, "blockysize": 512},
    "blocks of 1024": {"tiled": True, "blockxsize": 1024, "blockysize": 1024},
    "strips of 1 row": {"blockysize": 1},
}
WAYS = {"shared": 78 * MIB, "GDAL alone, 256 MiB": 256 * MIB}  # GDAL's cache


def main() -> None:
    """Write the layouts, read them, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--edge", type=int, default=2048, help="of the pair, in pixels")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    figures: dict[str, Any] = {"edge": args.edge, "cores": CORES}
    with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as scratch:
        for layout, options in LAYOUTS.items():
            pair = _pair(Path(scratch), args.edge, options)
            found: dict[str, list[float]] = {way: [] for way in WAYS}
            again = 0
            for _ in range(3):
                for way, cache in WAYS.items():
                    rate, decoded_again = _read(pair, cache, shared=way == "shared")
                    found[way].append(rate)
                    again = max(again, decoded_again)
            figures[layout] = {way: round(statistics.median(rates), 2) for way, rates in found.items()}
            figures[layout]["decoded again, shared"] = again
            print(f"{layout:16}", figures[layout], flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def _pair(folder: Path, edge: int, options: dict[str, Any]) -> Pair:
    """Smooth ground with noise of some bits, which deflates about as real scenes do."""
    rng = np.random.default_rng(0)
    ground = np.cumsum(rng.integers(-2, 3, (4, edge, edge)), axis=2) + 1500
    profile = {"driver": "GTiff", "count": 4, "dtype": "uint16", "height": edge, "width": edge}
    profile |= {"compress": "deflate", "interleave": "pixel", "nodata": 0, "num_threads": "all_cpus"}
    paths = []
    for date in ("before", "after"):
        pixels = np.clip(ground + rng.integers(0, 64, ground.shape), 1, 60_000).astype(np.uint16)
        paths.append(folder / f"{date}.tif")
        with rasterio.open(paths[-1], "w", **profile | options) as scene:
            scene.write(pixels)
    return open_pair(*paths)


def _read(pair: Pair, cache: int, *, shared: bool) -> tuple[float, int]:
    """Mpx/s of the pair, and blocks decoded beyond their first time where the tiles share them."""
    scorer = make_detector("siamese", None, "cpu", "torch").fit(Scan(pair))
    memory = MemoryBudget.of(2**30, CORES)
    tiles = list(plan_for(pair, scorer, memory, CORES))
    windows = planned_windows(pair, scorer, tiles)

    def read(tile: TileWindow) -> None:
        with rasterio.Env(GDAL_CACHEMAX=cache):
            for window in read_windows(scorer, tile):
                read_tile(pair, TileWindow(tile.row, tile.col, tile.core, window))

    close_handles()
    with (
        sharing_blocks(windows, memory.shared_blocks) if shared else nullcontext([]) as blocks,
        ThreadPoolExecutor(CORES, initializer=close_handles) as pool,
    ):
        started = time.perf_counter()
        list(pool.map(read, tiles))
        taken = time.perf_counter() - started
    height, width = pair.grid.shape
    return height * width / 1e6 / taken, sum(each.decoded_again for each in blocks)


if __name__ == "__main__":
    main()
