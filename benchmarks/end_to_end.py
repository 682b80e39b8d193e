"""Time `rsdetect detect` on a simulated pair, beside the bare forward pass of the same network.

    python benchmarks/end_to_end.py                     # 100 Mpx, four bands of 16 bits
    python benchmarks/end_to_end.py --mpx 25 --json end_to_end.json

Prints Mpx/s, peak memory of the process tree, seconds a stage, and the pipeline efficiency: the rate of the
whole job over the rate of the same folded network on arrays in memory. The bare rate is measured before and
after the job, in the same run, because timings on a shared machine drift; the best of several ways to run
the network (one thread, all threads, one network a core) is taken, so that the ratio flatters nobody.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from rsdetect.detectors.learned import DEFAULT_MODEL
from rsdetect.nets.checkpoint import load_model
from rsdetect.nets.fold import fold

REPEATS = 3


def main() -> None:
    """Simulate, measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mpx", type=float, default=100, help="size of the pair in million pixels")
    parser.add_argument("--kind", default="s2", help="what simulate makes: s2 or vhr")
    parser.add_argument("--detector", default="siamese")
    parser.add_argument(
        "--scenes", type=Path, help="folder with before.tif and after.tif, kept; made if empty"
    )
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as scratch:
        scenes = args.scenes or Path(scratch) / "scenes"
        edge = round((args.mpx * 1e6) ** 0.5)
        _simulate(scenes, args.kind, edge)
        bare = [_bare_rates()] if args.detector == "siamese" else []
        figures = _detect(scenes, Path(scratch) / "out", args.detector)
        if bare:
            bare.append(_bare_rates())
            figures |= _efficiency(bare, figures["mpx_per_s"])
    figures |= {"mpx": edge * edge / 1e6, "kind": args.kind, "detector": args.detector, "cores": _cores()}
    for name, value in figures.items():
        print(f"{name:32} {value}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def _simulate(folder: Path, kind: str, edge: int) -> None:
    if (folder / "before.tif").exists():
        return
    command = ["simulate", "--out", str(folder), "--kind", kind, "--size", str(edge), "--seed", "1"]
    subprocess.run([_rsdetect(), *command], check=True)


def _detect(scenes: Path, out: Path, detector: str) -> dict[str, Any]:
    """Run the job as a process of its own, and watch the memory of its tree."""
    shutil.rmtree(out, ignore_errors=True)
    command = [_rsdetect(), "detect", str(scenes / "before.tif"), str(scenes / "after.tif")]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--out", str(out), "--detector", detector, "--quiet"])
    peak = _Peak(process.pid)
    status = process.wait()
    seconds = time.perf_counter() - started
    peak.stop()
    if status != 0:
        raise SystemExit(f"detect ended with status {status}")
    record = json.loads((out / "run.json").read_text())
    pixels = record["counts"]["pixels"]
    return {
        "seconds": round(seconds, 2),
        "mpx_per_s": round(pixels / 1e6 / seconds, 3),
        "scoring_mpx_per_s": round(pixels / 1e6 / record["seconds"]["score"], 3),
        "peak_memory_mib": round(peak.bytes / 2**20),
        "regions": record["counts"]["regions"],
        **{f"seconds_{stage}": taken for stage, taken in record["seconds"].items()},
    }


class _Peak:
    """The most memory that a process and its children held at once, looked at ten times a second."""

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
                self.bytes = max(self.bytes, sum(one.memory_info().rss for one in tree))
            except psutil.NoSuchProcess:
                return


def _bare_rates() -> dict[str, float]:
    """Mpx/s of the folded network on arrays in memory, for several ways to run it."""
    module, _ = load_model(DEFAULT_MODEL)
    net = fold(module)
    rates = {}
    for edge in (512, 1024):
        pair = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 3, edge, edge)).astype(np.float32))
        pair = pair.contiguous(memory_format=torch.channels_last)
        for label, threads, side_by_side in (
            (f"{edge} px, one network on {_cores()} threads", _cores(), 1),
            (f"{edge} px, {_cores()} networks on a thread each", 1, _cores()),
        ):
            rates[label] = _rate(net, pair, threads, side_by_side)
    return rates


def _rate(net: Any, pair: torch.Tensor, threads: int, side_by_side: int) -> float:
    def forward(_: int) -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            net(pair[:1], pair[1:])

    rates = []
    with ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(forward, range(side_by_side)))
        for _ in range(REPEATS):
            passes = 2 * side_by_side
            started = time.perf_counter()
            list(pool.map(forward, range(passes)))
            taken = time.perf_counter() - started
            rates.append(passes * pair.shape[-1] * pair.shape[-2] / 1e6 / taken)
    return statistics.median(rates)


def _efficiency(bare: list[dict[str, float]], achieved: float) -> dict[str, Any]:
    best = {label: max(run[label] for run in bare) for label in bare[0]}
    label, rate = max(best.items(), key=lambda item: item[1])
    return {
        "bare_forward_mpx_per_s": round(rate, 3),
        "bare_forward_best_at": label,
        "pipeline_efficiency": round(achieved / rate, 3),
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _rsdetect() -> str:
    return str(Path(sys.executable).with_name("rsdetect"))


if __name__ == "__main__":
    main()
