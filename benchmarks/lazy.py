"""A pair of lazy DataArrays, 40 000 x 40 000 pixels, within `memory="1GB"`; exits with 1 where it is not.

    python benchmarks/lazy.py --json lazy.json
    python benchmarks/lazy.py --edge 8192                  # a minute

Every chunk is a fresh array that counts itself, so that the figures state how many were alive at a time. The
peak is that of the whole process, by the system's own count.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import rsdetect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.counted_chunks import CountedChunks

CHUNK = 1000  # pixels
LIMIT = 10**9  # bytes
GROUND = np.random.default_rng(1).integers(60, 120, (CHUNK, CHUNK), dtype=np.uint8)


def chunk(seed: list[int], edge: int) -> NDArray[np.uint8]:
    """Ground that differs from chunk to chunk; on the second date slightly noisy, with one new building."""
    date, row, col = seed
    pixels = np.roll(GROUND, (row * 37, col * 91), axis=(0, 1))
    if date == 2:
        pixels += np.roll(GROUND, 13, axis=1) % 3
        pixels[200:230, 400:450] += 110
    return pixels


def main() -> int:
    """Run one job and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--edge", type=int, default=40_000, help="pixels, rounded down to whole chunks")
    parser.add_argument("--json", type=Path, help="file for the figures")
    asked = parser.parse_args()
    edge = asked.edge - asked.edge % CHUNK
    counted = CountedChunks(chunk)
    before, after = (counted.scene(edge, CHUNK, date) for date in (1, 2))
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        made = rsdetect.detect(before, after, out=folder, detector="cva", memory="1GB", min_area=1000)
        record = made.record
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures = {
        "edge": edge,
        "seconds": round(time.monotonic() - started),
        "seconds_by_stage": record["seconds"],
        "peak_mib": round(peak / 2**20),
        "chunks": 2 * (edge // CHUNK) ** 2,
        "chunks_alive_at_most": counted.most,
        "chunks_computed": counted.ever,
        "polygons": record["counts"]["regions"],
        "reading": record["plan"]["reading"],
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n", encoding="utf-8")
    return 0 if peak <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
