"""How the tile pass grows with workers, what scheduling costs a tile, and what breaks first far beyond that.

    python benchmarks/scaling.py                                   # about two minutes on two cores
    python benchmarks/scaling.py --mpx 64 --repeats 5 --tiles 1000 10000 --json scaling.json

*Workers.* The tile pass of `rsdetect detect` on one simulated pair, on 1, 2, ... threads here and on clusters
of 1, 2, ... worker processes, all taking turns; medians. Each has scored some tiles before, so that starting
processes and loading the network, once a process, is not in the figures. Client and scheduler run on the same
cores as the workers here, so processes share them with as much as threads do not have.

*Scheduling.* A plan of tiles of 64 x 64 pixels that cost next to nothing, through the same engine: in a
plain loop, on one thread, and on a cluster with one worker. What is beyond the loop is what scheduling costs;
on the cluster also as processor time of client, scheduler and worker, each a process of its own, because the
scheduler's is what a large cluster shares. Its share is that of the seconds of a tile in the real job.

*Paper.* 10 000 tiles from these figures. The speed of a shared file system is an assumption.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import rasterio
from affine import Affine
from distributed import Client
from rasterio.transform import from_origin
from rich.console import Console
from rich.table import Table

import rsdetect
from rsdetect.grid import Grid
from rsdetect.jobs.opening import fit_pair
from rsdetect.jobs.options import DetectOptions
from rsdetect.percent import to_percent
from rsdetect.progress import Silence
from rsdetect.scoring.core import score_core
from rsdetect.scoring.engine import Context, run_tiles
from rsdetect.scoring.store import WorkStore
from rsdetect.scoring.windows import plan_windows
from rsdetect.tiles import plan_tiles

SMALL = 64  # edge of a tile in pixels that costs next to nothing
ON_PAPER = 10_000  # tiles
WORKERS_ON_PAPER = (1, 10, 100, 1000)
# A shared file system of a middling computing centre; put your own in.
SHARED_BYTES_PER_S = 2e9
SHARED_CALLS_PER_S = 5_000
CALLS_A_TILE = 6  # create, write, rename and look for the temporary file; later open and read
GIB = 2**30


@dataclass(frozen=True)
class Cluster:
    """A scheduler and workers of one thread, each a process of its own."""

    address: str
    scheduler: psutil.Process
    workers: list[psutil.Process]


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mpx", type=float, default=6, help="size of the simulated pair in million pixels")
    parser.add_argument("--kind", default="s2", help="what simulate makes of it")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--tiles", type=int, nargs="+", default=[1000], help="sizes of the empty plans")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as scratch:
        folder = Path(scratch)
        workers = measure_workers(folder, args)
        scheduling = measure_scheduling(folder, args)
        store = measure_store(folder, args.seed)
    paper = on_paper(workers, scheduling)
    figures = {"workers": workers, "scheduling": scheduling, "store": store, "paper": paper}
    figures["machine"] = {"cores": cores(), "seed": args.seed}
    show(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


# --- workers -----------------------------------------------------------------------------------------------


def measure_workers(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Seconds of the tile pass for every way to run it, in turns, and of what comes before and after it."""
    half, edge = (round((args.mpx * 1e6) ** 0.5) // part for part in (2, 1))
    small, scenes = (simulated(folder / str(size), size, args) for size in (half, edge))
    options = {"device": "cpu", "quiet": True}
    stages = [
        rsdetect.detect(*pair, out=pair[0].parent / "out", **options).record["seconds"]
        for pair in (small, scenes)
    ]
    pair, scorer = fit_pair(*map(str, scenes), DetectOptions.from_keywords(**options))
    tile_plan = plan_windows(pair, scorer)
    plan = list(tile_plan)
    counts = range(1, cores() + 1)
    seconds: dict[str, list[float]] = {}
    with ExitStack() as stack:
        ways: dict[str, dict[str, Any]] = {f"{n} threads": {"workers": n} for n in counts}
        for n in counts:
            cluster = stack.enter_context(running_cluster(folder / f"cluster-{n}", n))
            ways[f"{n} processes"] = {"workers": n, "scheduler": cluster.address}
        # In the first turn, of two tiles a worker, everything is loaded that must be.
        for turn, tiles in enumerate([plan[: 2 * cores()], *[plan] * args.repeats]):
            for way, how in ways.items():
                context = Context(pair, scorer, tile_plan, WorkStore(folder / f"{way} {turn}"), 1)
                context.store.create()
                started = time.perf_counter()
                run_tiles(context, tiles, Silence(), **how)
                if turn:
                    seconds.setdefault(way, []).append(time.perf_counter() - started)
    scored = {way: statistics.median(runs) for way, runs in seconds.items()}
    kept = sum(entry.stat().st_size for entry in context.store.folder.rglob("*.tile"))
    grown = (edge**2 - half**2) / 1e6
    return {
        "mpx": edge * edge / 1e6,
        "tiles": len(plan),
        "mpx_a_tile": max(tile.core.height * tile.core.width for tile in plan) / 1e6,
        "mpx_read_a_tile": max(tile.read.height * tile.read.width for tile in plan) / 1e6,
        "seconds": scored,
        "spread": {way: [round(taken, 3) for taken in runs] for way, runs in seconds.items()},
        "speed_up": {way: scored["1 threads"] / taken for way, taken in scored.items()},
        "seconds_an_mpx": scored["1 threads"] / (edge * edge / 1e6),
        "check_and_fit": stages[1]["check"] + stages[1]["fit"],
        # What grows with the scene, of two sizes, without what opening files costs anyway.
        "an_mpx_more": {
            stage: max(stages[1][stage] - stages[0][stage], 0) / grown for stage in ("raster", "polygons")
        },
        "bytes_an_mpx": sum(path.stat().st_size for path in scenes) / (edge * edge / 1e6),
        "stored_bytes_an_mpx": kept / (edge * edge / 1e6),
    }


def simulated(folder: Path, edge: int, args: argparse.Namespace) -> list[Path]:
    """The scenes of a pair of edge x edge pixels."""
    command = ["simulate", "--out", folder, "--kind", args.kind, "--size", edge, "--seed", args.seed]
    subprocess.run([program("rsdetect"), *map(str, command)], check=True, stdout=subprocess.DEVNULL)
    return [folder / f"{date}.tif" for date in ("before", "after")]


# --- scheduling --------------------------------------------------------------------------------------------


def measure_scheduling(folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """What a tile costs beyond its own work, for plans of several lengths."""
    with running_cluster(folder / "cluster", 1) as cluster:
        empty_plan(folder, 100, args.seed, cluster.address)  # imports, in the worker too
        return [empty_plan(folder, tiles, args.seed, cluster.address, cluster) for tiles in args.tiles]


def empty_plan(
    folder: Path, tiles: int, seed: int, address: str, cluster: Cluster | None = None
) -> dict[str, Any]:
    """Run a plan of so many tiles of which each costs next to nothing, in three ways."""
    wide = 50
    rng = np.random.default_rng(seed)
    shape = (1, SMALL * (-(-tiles // wide)), SMALL * wide)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": shape[1], "width": shape[2]}
    profile |= {"tiled": True, "blockxsize": SMALL, "blockysize": SMALL, "crs": "EPSG:32633"}
    scenes = folder / "first.tif", folder / "second.tif"
    for path in scenes:
        with rasterio.open(path, "w", transform=from_origin(0, 0, 10, 10), **profile) as raster:
            raster.write(rng.integers(0, 255, shape, dtype=np.uint8))
    options = DetectOptions.from_keywords(detector="cva", tile_size=SMALL)
    pair, scorer = fit_pair(*map(str, scenes), options)
    tile_plan = plan_windows(pair, scorer, SMALL)
    plan = list(tile_plan)[:tiles]
    context = Context(pair, scorer, tile_plan, WorkStore(folder / "store"), 1)
    context.store.create()

    def loop() -> None:
        for tile in plan:
            context.store.put(tile, to_percent(score_core(pair, scorer, tile)))

    started = time.process_time()
    plain = timed(loop)
    plain_processor = time.process_time() - started
    threads = timed(lambda: run_tiles(context, plan, Silence(), workers=1))
    if cluster is None:
        run_tiles(context, plan, Silence(), workers=1, scheduler=address)
        return {}
    parts = {"client": psutil.Process(), "scheduler": cluster.scheduler, "worker": cluster.workers[0]}
    before = {part: processor_seconds(process) for part, process in parts.items()}
    resting = cluster.scheduler.memory_info().rss
    with peak_memory(cluster.scheduler) as peak:
        spread = timed(lambda: run_tiles(context, plan, Silence(), workers=1, scheduler=address))
    used = {part: processor_seconds(process) - before[part] for part, process in parts.items()}
    used["worker"] -= plain_processor
    return {
        "tiles": tiles,
        "ms_a_tile_in_a_loop": 1e3 * plain / tiles,
        "ms_on_threads": 1e3 * (threads - plain) / tiles,
        "ms_on_cluster": 1e3 * (spread - plain) / tiles,
        **{f"processor_ms_{part}": 1e3 * taken / tiles for part, taken in used.items()},
        "scheduler_bytes": (peak[0] - resting) / tiles,
    }


def measure_store(folder: Path, seed: int) -> dict[str, float]:
    """What many files in one folder do to putting a tile down and taking it up, on the disk here."""
    edge = SMALL * round(ON_PAPER**0.5)
    plan = list(plan_tiles(Grid(None, Affine.identity(), edge, edge), SMALL, 0, 1))
    percent = np.random.default_rng(seed).integers(0, 101, (SMALL, SMALL), dtype=np.uint8)
    store = WorkStore(folder / "many")
    store.create()
    put = [timed(lambda tile=tile: store.put(tile, percent)) for tile in plan]
    get = [timed(lambda tile=tile: store.get(tile)) for tile in plan]
    tenth = len(plan) // 10
    return {
        "files": len(plan),
        "put_ms_first_tenth": 1e3 * statistics.median(put[:tenth]),
        "put_ms_last_tenth": 1e3 * statistics.median(put[-tenth:]),
        "get_ms": 1e3 * statistics.median(get),
        "look_ms": 1e3 * timed(lambda: store.unseen(plan)),
    }


# --- paper -------------------------------------------------------------------------------------------------


def on_paper(workers: dict[str, Any], scheduling: list[dict[str, Any]]) -> dict[str, Any]:
    """10 000 tiles: how long on so many workers, and at how many workers each part becomes the limit."""
    longest = scheduling[-1]
    mpx = ON_PAPER * workers["mpx_a_tile"]
    tile = workers["mpx_a_tile"] * workers["seconds_an_mpx"]
    own = tile + longest["ms_on_cluster"] / 1e3
    shared = longest["processor_ms_scheduler"] / 1e3
    alone = {
        # Samples, whose number does not grow with the scene.
        "check and fit": workers["check_and_fit"],
        **{stage: seconds * mpx for stage, seconds in workers["an_mpx_more"].items()},
    }
    read = workers["mpx_read_a_tile"] * workers["bytes_an_mpx"]
    limits = {
        "check, fit, raster and polygons, on one machine, take half of the time": ON_PAPER
        * own
        / sum(alone.values()),
        "one core is kept busy by the scheduler": own / shared,
        f"scenes are read at {SHARED_BYTES_PER_S / 1e9:g} GB/s (assumed)": SHARED_BYTES_PER_S * own / read,
        f"the file system answers {SHARED_CALLS_PER_S} calls a second (assumed)": SHARED_CALLS_PER_S
        * own
        / CALLS_A_TILE,
    }
    return {
        "tiles": ON_PAPER,
        "mpx": mpx,
        "seconds_a_tile": tile,
        "share_of_scheduling_on_threads": longest["ms_on_threads"] / 1e3 / tile,
        "share_of_scheduling_on_cluster": longest["ms_on_cluster"] / 1e3 / tile,
        "seconds_on_one_machine": alone,
        "seconds_by_workers": {
            n: ON_PAPER * max(own / n, shared) + sum(alone.values()) for n in WORKERS_ON_PAPER
        },
        "workers_at_which": dict(sorted(limits.items(), key=lambda item: item[1])),
        "scheduler_mib": longest["scheduler_bytes"] * ON_PAPER / 2**20,
        "tiles_at_which_the_scheduler_holds_4_gib": 4 * GIB / max(longest["scheduler_bytes"], 1),
        "store_gib": workers["stored_bytes_an_mpx"] * mpx / GIB,
    }


def show(figures: dict[str, Any]) -> None:
    """Print it all as tables."""
    console = Console(width=110)
    workers, paper, store = figures["workers"], figures["paper"], figures["store"]
    table = Table("tile pass", "seconds, median", "runs", "against one thread")
    for way, seconds in workers["seconds"].items():
        runs = ", ".join(f"{taken:.2f}" for taken in workers["spread"][way])
        table.add_row(way, f"{seconds:.2f}", runs, f"{workers['speed_up'][way]:.2f}")
    console.print(f"{workers['mpx']:.1f} Mpx, {workers['tiles']} tiles, {figures['machine']['cores']} cores")
    console.print(table)
    table = Table("scheduling, ms a tile", *(f"{plan['tiles']} tiles" for plan in figures["scheduling"]))
    for key in figures["scheduling"][0]:
        if key != "tiles":
            table.add_row(key, *(f"{plan[key]:.3g}" for plan in figures["scheduling"]))
    for way in ("threads", "cluster"):
        share = paper[f"share_of_scheduling_on_{way}"]
        table.add_row(f"share of a tile of {paper['seconds_a_tile']:.2f} s, {way}", f"{share:.2%}")
    console.print(table)
    table = Table(f"work store, {store['files']} files in one folder", "ms")
    for key, value in store.items():
        if key != "files":
            table.add_row(key.replace("_", " "), f"{value:.3g}")
    console.print(table)
    table = Table(f"{ON_PAPER} tiles on paper, {paper['mpx']:.0f} Mpx", "")
    for n, seconds in paper["seconds_by_workers"].items():
        table.add_row(f"{n} workers", f"{seconds:.0f} s")
    for stage, seconds in paper["seconds_on_one_machine"].items():
        table.add_row(f"of that on one machine: {stage}", f"{seconds:.0f} s")
    for limit, n in paper["workers_at_which"].items():
        table.add_row(limit, f"from {n:.0f} workers")
    table.add_row("memory of the scheduler for the plan", f"{paper['scheduler_mib']:.0f} MiB")
    table.add_row("4 GiB of it", f"from {paper['tiles_at_which_the_scheduler_holds_4_gib']:,.0f} tiles")
    table.add_row("work store", f"{paper['store_gib']:.2f} GiB")
    console.print(table)


# --- what it is made of ------------------------------------------------------------------------------------


@contextmanager
def running_cluster(folder: Path, processes: int) -> Iterator[Cluster]:
    """A scheduler and workers on this machine, all of them processes."""
    folder.mkdir()
    told = str(folder / "scheduler.json")
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = ["worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--memory-limit", "0"]
    started = []
    try:
        for arguments in (scheduler, *[worker] * processes):
            command = [program("dask"), *arguments, "--scheduler-file", told]
            with (folder / "log").open("ab") as log:
                started.append(subprocess.Popen(command, env=threads, cwd=folder, stdout=log, stderr=log))
            while not Path(told).exists():
                time.sleep(0.05)
        with Client(scheduler_file=told, set_as_default=False) as client:
            client.wait_for_workers(processes, timeout=60)
        first, *others = (psutil.Process(process.pid) for process in started)
        yield Cluster(json.loads(Path(told).read_text())["address"], first, others)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


@contextmanager
def peak_memory(process: psutil.Process) -> Iterator[list[int]]:
    """The most bytes that a process holds meanwhile, sampled twenty times a second."""
    peak, over = [process.memory_info().rss], threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            peak[0] = max(peak[0], process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield peak
    finally:
        over.set()
        looking.join()


def timed(work: Any) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def processor_seconds(process: psutil.Process) -> float:
    """Seconds that a process has kept a core busy."""
    times = process.cpu_times()
    return float(times.user + times.system)


def program(name: str) -> str:
    """A program of this environment."""
    return str(Path(sys.executable).with_name(name))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
