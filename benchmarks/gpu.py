"""Measure the network, its runner and `rsdetect detect` on a GPU.

    python benchmarks/gpu.py --json gpu.json                 # torch and numpy, and this folder's parent
    python benchmarks/gpu.py --scenes DIR --json gpu.json    # and detect on DIR/before.tif and DIR/after.tif
    python benchmarks/gpu.py --device cpu --edge 64          # does it run at all

Prints, and writes as JSON:

- forward passes on arrays in the GPU's memory: float32, half precision, `torch.compile` and a CUDA graph, for
  several batches. The last two are not in `rsdetect`; they go in where this shows that they pay.
- the runner (`rsdetect.backends.cuda`), fed by threads from the machine's memory, and its rate over the best
  forward pass: what copying and waiting cost.
- what half precision costs: differences of the logits from float32, by the same weights.
- that the runner survives with a small share of the GPU's memory.
- with `--scenes`, seconds from the scenes to the polygons, and how busy `nvidia-smi` saw the GPU. This needs
  all that `rsdetect` needs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # where rsdetect is not installed

from rsdetect.backends.cuda import CudaNetwork
from rsdetect.nets.fold_batchnorm import fold_batchnorm
from rsdetect.nets.siamese import SiameseNet

BANDS = 6
BATCHES = (1, 4, 16)
THREADS = (1, 4, 16)
TILES = 64  # that each feeding thread count is timed on
SMALL_SHARE = 0.02  # of the GPU's memory
Step = Callable[[], Any]


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--model", help="a model file; without it random weights, which are as fast")
    parser.add_argument("--edge", type=int, default=1152, help="of a read window in pixels")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--scenes", type=Path, help="folder with before.tif and after.tif")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    args = parser.parse_args()
    torch.manual_seed(0)
    net = _network(args.model)
    figures: dict[str, Any] = {"device": _name(args.device), "torch": torch.__version__, "edge": args.edge}
    figures["forward_mpx_per_s"] = _forward(net, args.device, args.edge, args.repeats)
    best = max(figures["forward_mpx_per_s"].values())
    figures["runner_mpx_per_s"] = _runner(net, args.device, args.edge)
    figures["runner_over_forward"] = max(figures["runner_mpx_per_s"].values()) / best
    figures["half_precision"] = _differences(net, args.device)
    if args.device != "cpu":
        figures["with_little_memory"] = _with_little_memory(net, args.device, args.edge)
    if args.scenes:
        figures["detect"] = _detect(args.scenes, args.device)
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


def _network(model: str | None) -> SiameseNet:
    if model is None:
        return SiameseNet(BANDS).eval()
    from rsdetect.nets.checkpoint import load_model  # which needs pydantic and safetensors

    return load_model(model)[0]


def _forward(net: SiameseNet, device: str, edge: int, repeats: int) -> dict[str, float]:
    """Way and batch to Mpx/s."""
    rates = {}
    for precision in (torch.float32, torch.float16):
        folded = fold_batchnorm(net).to(device, precision, memory_format=torch.channels_last)
        for batch in BATCHES:
            before, after = (
                torch.randn(batch, net.bands, edge, edge, device=device, dtype=precision).contiguous(
                    memory_format=torch.channels_last
                )
                for _ in range(2)
            )
            for way, step in _ways(folded, before, after):
                rate = batch * edge * edge / 1e6 / _seconds(step, device, repeats)
                label = f"{str(precision).removeprefix('torch.')}, {way}, batch of {batch}"
                rates[label] = float(f"{rate:.4g}")  # small sizes on a busy machine are far below 1
                print(f"{label:48} {rate:10.1f} Mpx/s", file=sys.stderr)
    return rates


def _ways(net: SiameseNet, before: torch.Tensor, after: torch.Tensor) -> Iterator[tuple[str, Step]]:
    @torch.inference_mode()
    def eager() -> torch.Tensor:
        return net(before, after)

    yield "as it is", eager
    if before.device.type == "cpu":
        return
    yield "CUDA graph", _graph(eager)
    try:
        compiled = torch.compile(net, dynamic=False)
        with torch.inference_mode():
            compiled(before, after)
    except Exception as error:  # no compiler, or no Triton: said, and the others go on
        print(f"torch.compile: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
        return
    yield "torch.compile", torch.inference_mode()(lambda: compiled(before, after))


def _graph(step: Step) -> Step:
    """`step` as one launch; it is run before, on a stream of its own, as the capture wants it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _seconds(step: Step, device: str, repeats: int) -> float:
    """Median over some rounds of a few steps each."""
    for _ in range(3):
        step()
    _wait(device)
    rounds = []
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(repeats):
            step()
        _wait(device)
        rounds.append((time.perf_counter() - started) / repeats)
    return statistics.median(rounds)


def _runner(net: SiameseNet, device: str, edge: int) -> dict[str, float]:
    """Feeding threads to Mpx/s, copies to the GPU and back included."""
    network = CudaNetwork(net, device)
    tiles = [np.random.default_rng(seed).normal(size=(2, net.bands, edge, edge)) for seed in range(4)]
    tiles = [tile.astype(np.float32) for tile in tiles]
    rates = {}
    for threads in THREADS:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(network.logits, tiles * 4))
            started = time.perf_counter()
            list(pool.map(network.logits, tiles * (TILES // len(tiles))))
            rate = TILES * edge * edge / 1e6 / (time.perf_counter() - started)
        rates[f"{threads} threads"] = round(rate, 1)
        print(f"{f'runner, {threads} threads':48} {rate:10.1f} Mpx/s", file=sys.stderr)
    return rates


def _differences(net: SiameseNet, device: str) -> dict[str, float]:
    """Largest and mean difference of the logits from those of float32 on the processor."""
    dates = np.clip(np.random.default_rng(1).normal(size=(2, net.bands, 256, 256)), -6, 6).astype(np.float32)
    network = CudaNetwork(net, device)
    half = network.logits(dates)
    with torch.inference_mode():
        exact = fold_batchnorm(net)(*torch.from_numpy(dates).split(1))[0].numpy()
    swapped = network.logits(np.ascontiguousarray(dates[::-1]))
    return {
        "largest_logit_difference": float(np.abs(half - exact).max()),
        "mean_logit_difference": float(np.abs(half - exact).mean()),
        "largest_difference_when_dates_are_swapped": float(np.abs(half - swapped).max()),
        "spread_of_logits": float(np.ptp(exact)),
    }


def _with_little_memory(net: SiameseNet, device: str, edge: int) -> dict[str, Any]:
    """All answers must come although hardly any memory is given, by halved batches."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(SMALL_SHARE, device)
    try:
        network = CudaNetwork(net, device)
        tile = np.zeros((2, net.bands, edge, edge), np.float32)
        with ThreadPoolExecutor(max(THREADS)) as pool:
            answers = list(pool.map(network.logits, [tile] * 32))
        same = all(np.array_equal(answers[0], answer) for answer in answers)
        return {"share": SMALL_SHARE, "answers": len(answers), "all_the_same": same}
    except Exception as error:  # a figure like the others: the rest is to be measured, too
        return {"share": SMALL_SHARE, "failed": f"{type(error).__name__}: {error}"}
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def _detect(scenes: Path, device: str) -> dict[str, Any]:
    """The whole job as a process of its own, twice: the first also loads what the system has not read yet."""
    runs = []
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as out, _busy() as seen:
            pair = str(scenes / "before.tif"), str(scenes / "after.tif")
            started = time.perf_counter()
            command = [sys.executable, "-m", "rsdetect.cli", "detect", *pair, "--out", f"{out}/found"]
            subprocess.run([*command, "--device", device, "--backend", "torch", "--quiet"], check=True)
            taken = time.perf_counter() - started
            record = json.loads((Path(out) / "found" / "run.json").read_text())
        runs.append(
            {
                "seconds": round(taken, 2),
                "stages": record["seconds"],
                "mpx": record["counts"]["pixels"] / 1e6,
                "gpu_busy_percent_mean": round(statistics.mean(seen), 1) if seen else None,
                "gpu_busy_percent_highest": max(seen, default=None),
            }
        )
    return {"runs": runs}


@contextmanager
def _busy() -> Iterator[list[float]]:
    """Per cent of the last moments in which a kernel ran, as nvidia-smi reports them every 200 ms."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "200"]
    seen: list[float] = []
    try:
        process = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
    except OSError:
        yield seen
        return

    def read() -> None:
        assert process.stdout is not None
        seen.extend(float(line) for line in process.stdout if line.strip().isdigit())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield seen
    finally:
        process.terminate()
        reader.join()


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _name(device: str) -> str:
    return "cpu" if device == "cpu" else torch.cuda.get_device_name(device)


if __name__ == "__main__":
    main()
