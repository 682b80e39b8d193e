"""How much memory a job may take, and what follows from it: tiles, tiles in flight, GDAL's cache.

The rule, with MiB for 2**20 bytes: 400 MiB are for the program itself. Of what is left, one part in eight is
GDAL's cache (16 to 256 MiB), one in four keeps what tiles share of decoded blocks, and the rest is divided
among the tiles in flight, which are as large as that allows.
"""

from __future__ import annotations

import ctypes
import gc
import os
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rsdetect.errors import InputError

MIB = 2**20
# GDAL would take 5 % of the machine's memory in every process. A row of blocks of two wide scenes fits
# into this; rasterio takes the number as bytes.
GDAL_CACHE_BYTES = 256 * MIB

_PROGRAM = 400 * MIB  # Python, PyTorch, GDAL and the libraries around them
_LEAST = 512 * MIB
_USUAL, _USUAL_PER_WORKER = 640 * MIB, 192 * MIB
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{unit}I": 2 ** (10 * power) for power, unit in enumerate("KMGT", 1)}
_KEPT_BYTES = 2**30  # of freed memory that the C library keeps


@dataclass(frozen=True)
class MemoryBudget:
    """What a job may take, in bytes."""

    total: int  # of the process and its children
    gdal_cache: int
    shared_blocks: int  # kept for tiles that are yet to come
    tile: int  # for one tile in flight

    @classmethod
    def of(cls, total: int, workers: int) -> MemoryBudget:
        """Divide `total` bytes for `workers` tiles in flight.

        >>> MemoryBudget.of(1024 * MIB, workers=2).tile // MIB
        195
        """
        left = max(total, _LEAST) - _PROGRAM
        cache = min(max(left // 8, 16 * MIB), GDAL_CACHE_BYTES)
        shared = left // 4
        return cls(total, cache, shared, (left - cache - shared) // workers)


def parse_memory(text: str) -> int:
    """Bytes that `--memory` names; `InputError` where that is no size or too little.

    >>> parse_memory("2GB"), parse_memory("1.5 GiB")
    (2000000000, 1610612736)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if not found or found[2] not in _UNITS:
        raise InputError(f"`memory` {text!r} is no size; write it like 2GB or 1500MB.")
    size = int(float(found[1]) * _UNITS[found[2]])
    if size < _LEAST:
        raise InputError(f"`memory` {text} is too little: a job takes 512MiB at least.")
    return size


def usual_memory(workers: int) -> int:
    """Bytes taken where nobody says: half of what is free, and no more than pays.

    640 MiB and 192 MiB more for each tile in flight are enough for tiles of which the halo is a few percent.
    """
    return max(_LEAST, min(_USUAL + _USUAL_PER_WORKER * workers, free_memory() // 2))


def free_memory() -> int:
    """Bytes that this process may still take: of the machine, and of the control group where there is one."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_groups()])


def peak_memory() -> int:
    """The most bytes that this process has held, and the children it waited for (not on Windows)."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        now = psutil.Process().memory_info()
        return int(getattr(now, "peak_wset", now.rss))
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
    peaks = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(peaks) * unit


def _left_in_groups(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> list[int]:
    """What the control groups of this process (Linux, both versions) leave of their limits, in bytes."""
    try:
        groups = [line.split(":", 2) for line in mine.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []
    left = []
    for _, controllers, path in groups:
        if controllers == "":
            folder, names = root, ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            folder, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        inner = folder / path.lstrip("/")
        while True:  # a limit further up holds, too
            left += _left_in(inner, *names)
            if inner == folder or folder not in inner.parents:
                break
            inner = inner.parent
    return left


def _left_in(folder: Path, limit: str, usage: str) -> list[int]:
    try:
        most, used = ((folder / name).read_text(encoding="utf-8").strip() for name in (limit, usage))
    except OSError:
        return []
    # Without a limit version 2 says "max", and version 1 a number beyond any machine.
    return [max(0, int(most) - int(used))] if most.isdigit() and int(most) < 2**60 else []


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed for what is asked for next, where it can be told so (glibc).

    By itself it maps and unmaps every array above 32 MB anew and gives the end of its heaps back, so that the
    system clears the same pages again and again: two networks side by side ran 1.5 times as fast without.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    trim, mmap = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt(trim, _KEPT_BYTES)
    # Before version 2.35 no more than half a heap, and more is refused.
    if not mallopt(mmap, _KEPT_BYTES):
        mallopt(mmap, 32 * 2**20)


def return_free_memory() -> None:
    """Give memory that was freed back to the system, where the C library keeps it (glibc).

    Tiles and activations leave heaps of freed memory behind, one a thread, and what comes next would be
    added to them.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
