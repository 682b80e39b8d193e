"""Ways to score a pair, each timed in a process of its own by `end_to_end.py`: prints Mpx/s as JSON.

`bare` is the folded network on arrays in memory. `rsdetect`, `plain` and `overlap` read the same pair, score
it with the same network and halo, and end with the scores.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from rasterio.windows import Window

from rsdetect.memory import keep_freed_memory
from rsdetect.nets.checkpoint import load_model
from rsdetect.nets.fold_batchnorm import fold_batchnorm

CORES = len(os.sched_getaffinity(0))
HALO, TILE = 64, 512


def bare() -> dict[str, float]:
    """By windows, threads and allocators; the allocator that keeps memory comes last, as it stays."""
    net = fold_batchnorm(load_model("siamese")[0])
    rates = {}
    for allocator in ("as it comes", "keeps what is freed"):
        if allocator != "as it comes":
            keep_freed_memory()
        for edge in (256, 512, 1024):
            for threads, side_by_side in ((CORES, 1), (1, CORES)):
                label = f"{edge} px, {side_by_side} at a time, {threads} threads each, allocator {allocator}"
                rates[label] = _forward_rate(net, edge, threads, side_by_side)
    return rates


def _forward_rate(net: Any, edge: int, threads: int, side_by_side: int) -> float:
    pair = torch.randn(2, net.bands, edge, edge).contiguous(memory_format=torch.channels_last)

    def forward(_: int) -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            net(pair[:1], pair[1:])

    passes = side_by_side * max(1, 2**20 // edge**2)
    rates = []
    with ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(forward, range(2 * side_by_side)))
        for _ in range(3):
            started = time.perf_counter()
            list(pool.map(forward, range(passes)))
            rates.append(passes * edge**2 / 1e6 / (time.perf_counter() - started))
    return statistics.median(rates)


def rsdetect(folder: str, store: str) -> float:
    """Our tile pass, from a fitted scorer to the work store; pixels."""
    from rsdetect.checks.scan import Scan
    from rsdetect.detectors import make_detector
    from rsdetect.memory import MemoryBudget
    from rsdetect.progress import Silence
    from rsdetect.scenes.pair import open_pair
    from rsdetect.scoring.engine import Context, run_tiles
    from rsdetect.scoring.planning import plan_for
    from rsdetect.scoring.store import WorkStore

    detector = make_detector("siamese", None, "cpu", "torch")
    pair = open_pair(f"{folder}/before.tif", f"{folder}/after.tif", wanted=detector.bands)
    scorer = detector.fit(Scan(pair, CORES))
    memory = MemoryBudget.of(2**30, CORES)
    plan = plan_for(pair, scorer, memory, CORES)
    shutil.rmtree(store, ignore_errors=True)
    tiles = WorkStore(Path(store))
    tiles.create()
    context = Context(pair, scorer, plan, tiles, 1, memory)
    return _rate(lambda: run_tiles(context, list(plan), Silence(), workers=CORES), pair.grid.shape)


def plain(folder: str, store: str) -> float:
    """A loop over windows with rasterio and torch as people write it: all cores inside each operator."""
    net = fold_batchnorm(load_model("siamese")[0])
    torch.set_num_threads(CORES)
    with rasterio.open(f"{folder}/before.tif") as before, rasterio.open(f"{folder}/after.tif") as after:
        profile = before.profile | {"count": 1, "dtype": "float32", "nodata": None}

        def loop() -> None:
            with rasterio.open(f"{store}.tif", "w", **profile) as out:
                for row in range(0, before.height, TILE):
                    for col in range(0, before.width, TILE):
                        edge = TILE + 2 * HALO
                        window = Window(col - HALO, row - HALO, edge, edge)
                        dates = [
                            scene.read(window=window, boundless=True, fill_value=0)
                            for scene in (before, after)
                        ]
                        high, wide = min(TILE, before.height - row), min(TILE, before.width - col)
                        score = _score(net, *dates)[HALO : HALO + high, HALO : HALO + wide]
                        out.write(score, 1, window=Window(col, row, wide, high))

        return _rate(loop, before.shape)


def overlap(folder: str, store: str) -> float:
    """Chunks of 1024 that rioxarray reads, under Dask's `map_overlap`, on as many threads as cores."""
    import dask.array as da
    import rioxarray

    net = fold_batchnorm(load_model("siamese")[0])
    torch.set_num_threads(1)
    dates = [
        rioxarray.open_rasterio(f"{folder}/{name}.tif", chunks={"x": 1024, "y": 1024}, lock=False)
        for name in ("before", "after")
    ]

    def block(before: Any, after: Any) -> Any:
        torch.set_num_threads(1)
        return _score(net, before, after)

    # What map_overlap does; by itself it trips over the axis of bands that goes.
    depth = {0: 0, 1: HALO, 2: HALO}
    wider = [da.overlap.overlap(date.data, depth, 0) for date in dates]
    lazy = da.map_blocks(block, *wider, drop_axis=0, dtype=np.float32, meta=np.empty((0, 0), np.float32))

    def compute() -> None:
        rows, cols = (len(chunks) for chunks in lazy.chunks)
        tiles = [lazy.blocks[row, col] for row in range(rows) for col in range(cols)]
        da.compute(*tiles, scheduler="threads", num_workers=CORES)

    return _rate(compute, dates[0].shape[1:])


def _score(net: Any, before: Any, after: Any) -> Any:
    """Normalise by numbers that stand in for the fitted ones, pad to the stride, and run the network."""
    height, width = before.shape[1:]
    pair = np.zeros((2, net.bands, -(-height // 8) * 8, -(-width // 8) * 8), np.float32)
    for date, pixels in zip(pair, (before, after), strict=True):
        values = np.clip((pixels.astype(np.float32) - 1500) / 700, -6, 6)
        date[: len(pixels), :height, :width] = values
    with torch.inference_mode():
        x = torch.from_numpy(pair).contiguous(memory_format=torch.channels_last)
        return torch.sigmoid(net(x[:1], x[1:])[0]).numpy()[:height, :width]


def _rate(work: Any, shape: tuple[int, ...]) -> float:
    started = time.perf_counter()
    work()
    return shape[-2] * shape[-1] / 1e6 / (time.perf_counter() - started)


WAYS = {"rsdetect": rsdetect, "plain": plain, "overlap": overlap}

if __name__ == "__main__":
    way, where = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(bare() if way == "bare" else {"mpx_per_s": WAYS[way](**where)}))
