"""Cost of the checks and syncs of `rsdetect detect`, in processor time, which a busy machine changes little.

    python benchmarks/checks.py                             # 25 Mpx, cva
    python benchmarks/checks.py --mpx 100 --repeats 5

Two figures for each pair of runs: the processor time of all threads within the checks, measured around them
in a run that has them, and the difference (user + system, of `wait4`) from a run of the same job without.
The finished raster is read once in both, and that is no part of the cost.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

_within = threading.local()
# What is measured, or left out: by module and name.
CHECKS = {
    "scores": [("scoring.engine", "tally_of_scores"), ("scoring.core", "require_complete")],
    "raster": [("scoring.raster", "checksum_of"), ("scoring.overviews", "CellSums.add")],
    "overviews": [("scoring.raster", "_require_same_overviews")],
    "polygons": [("jobs.polygons", "_require_all_pixels")],
    "rows": [("geopackage.file", "_Digest.through"), ("geopackage.file", "_require_same")],
    "inputs": [("scenes.watched", "WatchedFile.difference")],
    "syncs": [("files", "_flush")],
}


def main() -> None:
    """Run pairs of jobs by turns, and print the cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mpx", type=float, default=25, help="size in million pixels")
    parser.add_argument("--detector", default="cva")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scenes", type=Path, help="folder for the scenes, kept")
    parser.add_argument("--child", choices=["measured", "without"], help=argparse.SUPPRESS)
    parser.add_argument("--pair", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        _child(args)
        return
    from end_to_end import simulated_pair

    with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as scratch:
        pair = simulated_pair(args.scenes or Path(scratch), args.mpx)
        runs = [{way: _run(args, pair, way) for way in ("measured", "without")} for _ in range(args.repeats)]
    whole = statistics.median(run["without"]["processor_s"] for run in runs)
    costs = [run["measured"]["costs"] for run in runs]
    for name in CHECKS:
        spent = statistics.median(cost.get(name, {"seconds": 0.0})["seconds"] for cost in costs)
        calls = costs[0].get(name, {"calls": 0})["calls"]
        print(f"{name:10} {spent:8.3f} s {calls:9,} calls")
    measured = statistics.median(sum(each["seconds"] for each in cost.values()) for cost in costs)
    apart = statistics.median(run["measured"]["processor_s"] - run["without"]["processor_s"] for run in runs)
    print(f"job without them {whole:.2f} s; measured {measured:.3f} s, {measured / whole:.2%}; ", end="")
    print(f"by difference {apart:.2f} s, {apart / whole:.2%}")


def _run(args: argparse.Namespace, pair: Path, way: str) -> dict[str, Any]:
    """Run the job in a process of its own: its processor time, and what it measured."""
    command = [sys.executable, __file__, "--child", way, "--pair", str(pair), "--detector", args.detector]
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"detect ended with status {status}")
        out.seek(0)
        costs = json.loads(out.read())
    return {"processor_s": used.ru_utime + used.ru_stime, "costs": costs}


def _child(args: argparse.Namespace) -> None:
    import rsdetect

    importlib.import_module("rsdetect.jobs.detect")
    costs: dict[str, dict[str, float]] = defaultdict(lambda: {"seconds": 0.0, "calls": 0})
    lock = threading.Lock()

    def add(name: str, seconds: float) -> None:
        with lock:
            costs[name]["seconds"] += seconds
            costs[name]["calls"] += 1

    for name, places in CHECKS.items():
        for module, attribute in places:
            _replace(module, attribute, name, add if args.child == "measured" else None)
    with tempfile.TemporaryDirectory(prefix="rsdetect-bench-") as out:
        rsdetect.detect(
            *(str(args.pair / f"{date}.tif") for date in ("before", "after")),
            out=out,
            detector=args.detector,
            quiet=True,
        )
    print(json.dumps(costs))


def _replace(module: str, attribute: str, name: str, add: Any) -> None:
    """Replace a check by one that is measured, or by nothing."""
    holder = importlib.import_module(f"rsdetect.{module}")
    *outer, last = attribute.split(".")
    for each in outer:
        holder = getattr(holder, each)
    genuine = getattr(holder, last)
    if last == "through":
        replacement = (
            functools.partialmethod(_rows_measured, genuine, name, add) if add else _rows_as_they_are
        )
    elif add is None:
        replacement = _WITHOUT.get(last, _nothing)
    else:
        replacement = _measured(genuine, name, add)
    setattr(holder, last, replacement)


def _measured(genuine: Any, name: str, add: Any) -> Any:
    @functools.wraps(genuine)
    def measured(*args: Any, **keywords: Any) -> Any:
        if getattr(_within, "check", False):  # part of another one
            return genuine(*args, **keywords)
        _within.check = True
        start = time.thread_time()
        try:
            return genuine(*args, **keywords)
        finally:
            add(name, time.thread_time() - start)
            _within.check = False

    return measured


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _rows_as_they_are(_: Any, rows: Any) -> Any:
    return rows


def _rows_measured(digest: Any, genuine: Any, name: str, add: Any, rows: Any) -> Any:
    """Rows through a digest, of which only its own work is measured; a batch of rows is one call."""
    spent = 0.0
    for row in rows:
        start = time.thread_time()
        (same,) = genuine(digest, (row,))
        spent += time.thread_time() - start
        yield same
    add(name, spent)


# What stands for a check that is left out, if not nothing.
_WITHOUT = {
    "tally_of_scores": lambda *_: importlib.import_module("rsdetect.scoring.tally").TileTally(0, 0, 0),
    "checksum_of": lambda _: 0,
    "difference": lambda _: "",
}

if __name__ == "__main__":
    main()
