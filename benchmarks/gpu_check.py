"""Compare `rsdetect detect` on the GPU with the same job on the processor: the raster, and Mpx/s.

    python benchmarks/gpu_check.py --json benchmarks/gpu_check.json      # or `make gpu-check`
    python benchmarks/gpu_check.py --device cpu --mpx 1                  # does it run at all

For each size the sample is repeated to a pair of that many million pixels, and scored by both. The whole
check ends within `--minutes`: a job on the processor that would take longer is left out, as the JSON states.
It exits with 1 where a raster of the GPU is not that of the processor: percents that differ by more than
1, or more than 1 in 1 000 pixels on the other side of the threshold.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"
ROWS = 512  # of both rasters that are compared at once
MOST_PERCENT = 1
MOST_FLIPPED = 1e-3


def main() -> None:
    """Run the jobs, compare the rasters, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--mpx", type=float, nargs="+", default=[25, 100])
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    end = time.monotonic() + args.minutes * 60
    figures: dict[str, Any] = {"device": args.device, "detector": "siamese", "backend": "torch", "sizes": {}}
    rate = math.inf  # of the processor, Mpx/s
    with tempfile.TemporaryDirectory(prefix="rsdetect-gpu-") as scratch:
        for mpx in args.mpx:
            pair = _pair(Path(scratch) / f"pair{mpx:g}", mpx)
            gpu = _job(pair, Path(scratch) / f"gpu{mpx:g}", args.device, end)
            sizes = figures["sizes"][f"{mpx:g}"] = {"gpu": gpu}
            if time.monotonic() + 1.2 * mpx / rate > end:
                sizes["processor"] = "left out: it would take too long"
                continue
            sizes["processor"] = _job(pair, Path(scratch) / f"cpu{mpx:g}", "cpu", end)
            rate = sizes["processor"]["mpx_per_s"]
            sizes["ratio"] = round(gpu["mpx_per_s"] / rate, 2)
            sizes["rasters"] = _differences(
                Path(scratch) / f"gpu{mpx:g}", Path(scratch) / f"cpu{mpx:g}", gpu["threshold"]
            )
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")
    compared = [size["rasters"] for size in figures["sizes"].values() if "rasters" in size]
    sys.exit(0 if compared and all(rasters["equal_enough"] for rasters in compared) else 1)


def _pair(folder: Path, mpx: float) -> tuple[Path, Path]:
    """The sample's scenes, repeated to `mpx` million pixels."""
    folder.mkdir()
    edge = round(math.sqrt(mpx * 1e6))
    for name in ("before.tif", "after.tif"):
        with rasterio.open(SAMPLE / name) as source:
            pixels, profile = source.read(), source.profile
        profile.update(
            width=edge, height=edge, tiled=True, blockxsize=512, blockysize=512, compress="deflate"
        )
        across = np.tile(pixels, (1, 1, -(-edge // pixels.shape[2])))[..., :edge]
        with rasterio.open(folder / name, "w", **profile) as target:
            for top in range(0, edge, ROWS):
                rows = np.arange(top, min(top + ROWS, edge)) % pixels.shape[1]
                target.write(across[:, rows], window=Window(0, top, edge, len(rows)))
    return folder / "before.tif", folder / "after.tif"


def _job(pair: tuple[Path, Path], out: Path, device: str, end: float) -> dict[str, Any]:
    """`rsdetect detect` as a process of its own."""
    command = [sys.executable, "-m", "rsdetect.cli", "detect", *map(str, pair), "--out", str(out), "--quiet"]
    command += ["--detector", "siamese", "--device", device, "--backend", "torch"]
    started = time.monotonic()
    subprocess.run(command, check=True, cwd=ROOT, timeout=max(end - started, 1))
    seconds = time.monotonic() - started
    record = json.loads((out / "run.json").read_text())
    mpx = record["counts"]["pixels"] / 1e6
    return {
        "seconds": round(seconds, 2),
        "mpx_per_s": round(mpx / seconds, 3),
        "stages_s": record["seconds"],
        "threshold": record["detector"]["threshold"],
    }


def _differences(gpu: Path, processor: Path, threshold: float) -> dict[str, Any]:
    """Differences of the finished rasters, in percent of probability."""
    largest, differing, flipped, pixels = 0, 0, 0, 0
    level = math.ceil(threshold * 100)
    name = "change_probability.tif"
    with rasterio.open(gpu / name) as first, rasterio.open(processor / name) as second:
        for top in range(0, first.height, ROWS):
            window = Window(0, top, first.width, min(ROWS, first.height - top))
            one, other = (raster.read(1, window=window).astype(int) for raster in (first, second))
            apart = np.abs(one - other)
            largest = max(largest, int(apart.max()))
            differing += int(np.count_nonzero(apart))
            flipped += int(np.count_nonzero((one >= level) != (other >= level)))
            pixels += apart.size
    return {
        "largest_difference_percent": largest,
        "share_that_differs": differing / pixels,
        "share_on_the_other_side": flipped / pixels,
        "equal_enough": largest <= MOST_PERCENT and flipped / pixels <= MOST_FLIPPED,
    }


if __name__ == "__main__":
    main()
