"""Time `rsdetect detect` on simulated pairs, beside the bare forward pass of the same network and its peers.

    python benchmarks/end_to_end.py                         # 25 Mpx, four bands of 16 bits
    python benchmarks/end_to_end.py --mpx 25 100 400 --peers --json end_to_end.json

Prints for each size Mpx/s, the peak memory of the process tree, the share of time of each stage, and the
pipeline efficiency: the rate of the whole job over that of the same folded network on arrays in memory. The
bare rate is the best of several windows, threads and allocators, and everything is measured by turns in one
run, because timings on a shared machine drift. With `--peers` also a plain loop over windows (rasterio and
torch, the same folded network and halo) and rioxarray with Dask's `map_overlap`, both up to the score; with
`--busy` all of it once more while another process takes one core.
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
from pathlib import Path
from typing import Any

import psutil
import rasterio
from rasterio.windows import Window

DRAWN = 5000  # edge in pixels of the scene that is simulated; larger ones repeat it
PEER_EDGE = 5000  # pixels of the part that the peers score
BUSY = "while True: sum(range(10**6))"


def main() -> None:
    """Simulate, measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mpx", type=float, nargs="+", default=[25], help="sizes in million pixels")
    parser.add_argument("--detector", default="siamese")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--peers", action="store_true", help="time the peers, too")
    parser.add_argument("--busy", action="store_true", help="once more with one core taken")
    parser.add_argument("--scenes", type=Path, help="folder for the scenes, kept")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "backend": args.backend}
    with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as scratch:
        scenes = args.scenes or Path(scratch)
        figures["jobs"] = [_job(args, simulated_pair(scenes, mpx), mpx, Path(scratch)) for mpx in args.mpx]
        for wanted, label in ((args.peers, "peers"), (args.busy, "peers, one core taken")):
            if wanted:
                figures[label] = _against_peers(args, scenes, Path(scratch), busy="taken" in label)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def _job(args: argparse.Namespace, scenes: Path, mpx: float, scratch: Path) -> dict[str, Any]:
    runs, bare = [], []
    for _ in range(args.repeats):
        bare.append(_child("bare", {}))
        runs.append(_detect(scenes, scratch / "out", args))
    bare.append(_child("bare", {}))
    run = sorted(runs, key=lambda one: one["seconds"])[len(runs) // 2]
    best = max(statistics.median(one[way] for one in bare) for way in bare[0])
    run |= {"mpx": mpx, "bare_mpx_per_s": round(best, 3), "efficiency": round(run["mpx_per_s"] / best, 3)}
    run["tile_pass_efficiency"] = round(run["tile_pass_mpx_per_s"] / best, 3)
    print("\n".join(f"{name:24} {value}" for name, value in run.items()), flush=True)
    return run


def simulated_pair(folder: Path, mpx: float) -> Path:
    """A pair of `mpx` million pixels: a simulated one, repeated where it is not large enough."""
    edge = round((mpx * 1e6) ** 0.5)
    drawn = folder / f"drawn{min(edge, DRAWN)}"
    if not (drawn / "before.tif").exists():
        command = ["simulate", "--out", str(drawn), "--kind", "s2", "--size", str(min(edge, DRAWN))]
        subprocess.run([_rsdetect(), *command, "--seed", "1"], check=True)
    if edge <= DRAWN:
        return drawn
    large = folder / f"repeated{edge}"
    large.mkdir(exist_ok=True)
    for name in ("before.tif", "after.tif"):
        if not (large / name).exists():
            _repeat(drawn / name, large / name, edge)
    return large


def _repeat(source: Path, target: Path, edge: int) -> None:
    with rasterio.open(source) as small:
        profile = small.profile | {"width": edge, "height": edge, "num_threads": "all_cpus"}
        with rasterio.open(target, "w", **profile | {"bigtiff": "if_safer"}) as large:
            large.descriptions = small.descriptions
            large.update_tags(**small.tags())
            pixels = small.read()
            for row in range(0, edge, DRAWN):
                for col in range(0, edge, DRAWN):
                    high, wide = min(DRAWN, edge - row), min(DRAWN, edge - col)
                    large.write(pixels[:, :high, :wide], window=Window(col, row, wide, high))


def _detect(scenes: Path, out: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Run the job as a process of its own, and watch the memory of its tree."""
    command = [_rsdetect(), "detect", str(scenes / "before.tif"), str(scenes / "after.tif"), "--overwrite"]
    command += ["--detector", args.detector, "--backend", args.backend, "--device", "cpu", "--quiet"]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.DEVNULL)
    peak = _Peak(process.pid)
    status = process.wait()
    seconds = time.perf_counter() - started
    peak.stop()
    if status != 0:
        raise SystemExit(f"detect ended with status {status}")
    record = json.loads((out / "run.json").read_text())
    pixels, spent = record["counts"]["pixels"], record["seconds"]
    return {
        "seconds": round(seconds, 2),
        "seconds_per_mpx": round(seconds / pixels * 1e6, 4),
        "mpx_per_s": round(pixels / 1e6 / seconds, 3),
        "tile_pass_mpx_per_s": round(pixels / 1e6 / spent["score"], 3),
        "peak_memory_mib": round(peak.bytes / 2**20),
        "tile_shape_px": record["plan"]["tile_shape_px"],
        "blocks": record["plan"]["reading"]["blocks"],
        "decoded_again": record["plan"]["reading"]["decoded_again"],
        "regions": record["counts"]["regions"],
        "share_start": round(1 - sum(spent.values()) / seconds, 3),
        **{f"share_{stage}": round(taken / seconds, 3) for stage, taken in spent.items()},
    }


def _against_peers(args: argparse.Namespace, scenes: Path, scratch: Path, *, busy: bool) -> dict[str, float]:
    """Mpx/s up to the scores, of the same pixels, by turns; and how many times that of a peer we do."""
    pair = simulated_pair(scenes, PEER_EDGE**2 / 1e6)
    where = {"folder": str(pair), "store": str(scratch / "store")}
    neighbour = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
    rates: dict[str, list[float]] = {"rsdetect": [], "plain": [], "overlap": []}
    try:
        for _ in range(max(args.repeats, 2)):
            for way in rates:
                rates[way].append(_child(way, where)["mpx_per_s"])
    finally:
        if neighbour:
            neighbour.kill()
            neighbour.wait()
    found = {way: round(statistics.median(several), 3) for way, several in rates.items()}
    found |= {f"over {way}": round(found["rsdetect"] / found[way], 2) for way in ("plain", "overlap")}
    print("one core taken:" if busy else "peers:", found, flush=True)
    return found


def _child(way: str, where: dict[str, str]) -> dict[str, float]:
    """Measured in a fresh process, as an allocator is set once and caches fill once."""
    script = Path(__file__).with_name("peers.py")
    told = subprocess.run(
        [sys.executable, str(script), way, json.dumps(where)], check=True, capture_output=True, text=True
    )
    rates: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return rates


class _Peak:
    """The most memory that a process and its children held at once, sampled ten times a second.

    The system's own count of the process alone misses no moment: the larger of the two is reported.
    """

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._process = psutil.Process(pid)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(0.1):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                held = sum(one.memory_info().rss for one in tree)
                self.bytes = max(self.bytes, held, _most_so_far(self._process.pid))
            except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
                continue


def _most_so_far(pid: int) -> int:
    """The most memory that a process has held, in bytes; 0 where the system does not count it."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if sys.platform == "linux" else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _rsdetect() -> str:
    return str(Path(sys.executable).with_name("rsdetect"))


if __name__ == "__main__":
    main()
