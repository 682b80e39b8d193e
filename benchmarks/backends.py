"""Time the backends against each other: the network alone, and `rsdetect detect` from scenes to polygons.

    python benchmarks/backends.py                          # forward passes, then detect on 25 Mpx
    python benchmarks/backends.py --model m.safetensors --mpx 100 --json backends.json

The model needs ranges in its card (`rsdetect quantise MODEL`). Forward passes run as in a job: one network
for all workers, one thread inside each, as many workers as cores. Each repetition runs all of them one after
the other, and the tables give medians and the ratio to torch, because timings on a shared machine drift.
bfloat16 is not a backend; it is timed because some processors have units for it.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rsdetect.backends.select import load_network
from rsdetect.detectors.learned import DEFAULT_MODEL
from rsdetect.nets.checkpoint import load_weights
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.siamese import SiameseNet

SHAPES = ((640, 640), (640, 2176), (1152, 1152))  # read windows, (height, width)
BACKENDS = ("torch", "openvino", "onnx")
ROWS = 128  # of a strip that torch is given at a time
BANDS = (0, 1, 2, 3)  # of the model: red, green, blue and near infrared
Forward = Callable[[np.ndarray], Any]


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or file of a model with ranges")
    parser.add_argument("--mpx", type=float, default=25, help="size of the pair in million pixels; 0 = none")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scenes", type=Path, help="folder for before.tif and after.tif, kept")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    figures: dict[str, Any] = {"cores": _cores(), "units": _units()}
    print(f"{_cores()} cores with {figures['units']}")
    figures["forward"] = _forward(args.model, args.repeats)
    if args.mpx:
        figures["end_to_end"] = _end_to_end(args.model, args.mpx, args.scenes, min(args.repeats, 3))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def _forward(model: str, repeats: int) -> dict[str, dict[str, dict[str, float]]]:
    """Window, then way of running, then Mpx/s of all workers and the ratio to torch."""
    weights, card = load_weights(model)
    weights = weights.narrow(BANDS)
    net = SiameseNet.of(weights)
    ways: dict[str, Forward] = {
        backend: load_network(weights, card, backend, "cpu").logits for backend in BACKENDS
    }
    ways["torch, bfloat16"] = _bfloat16(net)
    found = {}
    for height, width in SHAPES:
        down = _down(load_network(weights, card, "torch", "cpu"), height, width)
        every = ways | {"torch, down a strip": down}
        dates = np.random.default_rng(0).normal(size=(2, len(BANDS), height, width)).astype(np.float32)
        rates = _rates(every, np.clip(dates, -6, 6), repeats)
        label = f"{height} x {width}"
        found[label] = {
            way: {"mpx_per_s": round(rate, 2), "to_torch": round(rate / rates["torch"], 2)}
            for way, rate in rates.items()
        }
        _table(f"forward, {label}, Mpx/s", found[label])
    return found


def _rates(ways: dict[str, Forward], dates: np.ndarray, repeats: int) -> dict[str, float]:
    workers = _cores()
    rates: dict[str, list[float]] = {way: [] for way in ways}
    with ThreadPoolExecutor(workers) as pool:
        for repeat in range(repeats + 1):  # the first is for warming up
            for way, forward in ways.items():
                torch.set_num_threads(1)
                passes = 2 * workers
                started = time.perf_counter()
                list(pool.map(forward, [dates] * passes))
                taken = time.perf_counter() - started
                if repeat:
                    rates[way].append(passes * dates.shape[2] * dates.shape[3] / 1e6 / taken)
    return {way: statistics.median(several) for way, several in rates.items()}


def _bfloat16(net: Any) -> Forward:
    half = copy.deepcopy(fold_batchnorm(net)).to(torch.bfloat16)

    def forward(dates: np.ndarray) -> np.ndarray:
        torch.set_num_threads(1)
        with torch.inference_mode():
            x = torch.from_numpy(dates).to(torch.bfloat16, memory_format=torch.channels_last)
            return half(x[:1], x[1:])[0].float().numpy()

    return forward


def _down(network: Any, height: int, width: int) -> Forward:
    """The window as a strip, from its top to its bottom."""

    def forward(dates: np.ndarray) -> None:
        torch.set_num_threads(1)
        rows = network.rows(ROWS, width, tuple(range(dates.shape[1])))
        for top in range(0, height - ROWS + 1, ROWS):
            rows.push(torch.from_numpy(dates[:, :, top : top + ROWS]))

    return forward


def _end_to_end(model: str, mpx: float, scenes: Path | None, repeats: int) -> dict[str, dict[str, float]]:
    """Backend, then Mpx/s from opening the scenes to the finished folder, of the tile pass, and ratios."""
    seconds: dict[str, list[float]] = {backend: [] for backend in BACKENDS}
    scoring: dict[str, list[float]] = {backend: [] for backend in BACKENDS}
    with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as scratch:
        folder = scenes or Path(scratch) / "scenes"
        edge = round((mpx * 1e6) ** 0.5)
        if not (folder / "before.tif").exists():
            size = ("--kind", "s2", "--size", str(edge), "--seed", "1")
            subprocess.run([_rsdetect(), "simulate", "--out", str(folder), *size], check=True)
        pixels = 0
        for _ in range(repeats):
            for backend in BACKENDS:
                record, taken = _detect(folder, Path(scratch) / "out", model, backend)
                seconds[backend].append(taken)
                scoring[backend].append(record["seconds"]["score"])
                pixels = record["counts"]["pixels"]
    medians = {backend: statistics.median(several) for backend, several in seconds.items()}
    tiles = {backend: statistics.median(several) for backend, several in scoring.items()}
    found = {
        backend: {
            "mpx_per_s": round(pixels / 1e6 / medians[backend], 2),
            "to_torch": round(medians["torch"] / medians[backend], 2),
            "scoring_mpx_per_s": round(pixels / 1e6 / tiles[backend], 2),
            "scoring_to_torch": round(tiles["torch"] / tiles[backend], 2),
        }
        for backend in BACKENDS
    }
    _table(f"detect, {pixels / 1e6:.0f} Mpx", found)
    return found


def _detect(scenes: Path, out: Path, model: str, backend: str) -> tuple[dict[str, Any], float]:
    shutil.rmtree(out, ignore_errors=True)
    pair = str(scenes / "before.tif"), str(scenes / "after.tif")
    options = ("--model", model, "--backend", backend, "--device", "cpu", "--quiet")
    started = time.perf_counter()
    subprocess.run([_rsdetect(), "detect", *pair, "--out", str(out), *options], check=True)
    return json.loads((out / "run.json").read_text()), time.perf_counter() - started


def _table(title: str, rows: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(rows.values())))
    print(f"\n{title}\n{'':22}" + "".join(f"{column:>20}" for column in columns))
    for name, row in rows.items():
        print(f"{name:22}" + "".join(f"{row[column]:20}" for column in columns))


def _units() -> str:
    """What this processor has for few bits."""
    found = torch.cpu.get_capabilities()
    units = ("avx2", "avx512_f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
    return " ".join(unit for unit in units if found.get(unit)) or "no units that we know"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rsdetect() -> str:
    return str(Path(sys.executable).with_name("rsdetect"))


if __name__ == "__main__":
    main()
