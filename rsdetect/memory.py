"""Memory budget of a job: tile size, tiles in flight, GDAL's cache.

400 MiB (MiB = 2**20 bytes) are for the program itself. Of the rest, one eighth is GDAL's cache (16 to 256
MiB), a quarter caches decoded blocks that tiles share, and the remainder is divided among the tiles in
flight, which are as large as it allows.
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
# GDAL's default is 5 % of the machine's memory in every process. A row of blocks of two wide scenes fits into
# this; rasterio's unit is bytes.
GDAL_CACHE_BYTES = 256 * MIB

_PROGRAM = 400 * MIB  # Python, PyTorch, GDAL and their dependencies
_LEAST = 512 * MIB
_USUAL, _USUAL_PER_WORKER = 640 * MIB, 192 * MIB
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {f"{unit}I": 2 ** (10 * power) for power, unit in enumerate("KMGT", 1)}
_KEPT_BYTES = 2**30  # freed memory that the C library retains
_resident = 0  # bytes of this process after the last return of freed memory


@dataclass(frozen=True)
class MemoryBudget:
    """Memory budget of a job, in bytes."""

    total: int  # of the process and its children
    gdal_cache: int
    shared_blocks: int  # cache for later tiles
    tile: int  # per tile in flight

    @classmethod
    def of(cls, total: int, workers: int) -> MemoryBudget:
        """Memory budget of `total` bytes for `workers` tiles in flight.

        >>> MemoryBudget.of(1024 * MIB, workers=2).tile // MIB
        195
        """
        left = max(total, _LEAST) - _PROGRAM
        cache = min(max(left // 8, 16 * MIB), GDAL_CACHE_BYTES)
        shared = left // 4
        return cls(total, cache, shared, (left - cache - shared) // workers)


def parse_memory(text: str) -> int:
    """Parse `--memory` to bytes; `InputError` if it is not a size or too small.

    >>> parse_memory("2GB"), parse_memory("1.5 GiB")
    (2000000000, 1610612736)
    """
    size = parse_size("`memory`", text)
    if size < _LEAST:
        raise InputError(f"`memory` {text} is too small: a job takes 512MiB at least.")
    return size


def parse_size(name: str, text: str) -> int:
    """Parse a size of memory or of files to bytes; the `InputError` begins with the name.

    >>> parse_size("free_space", "100MB")
    100000000
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if not found or found[2] not in _UNITS:
        raise InputError(f"{name} {text!r} is not a size; write it like 2GB or 1500MB.")
    return int(float(found[1]) * _UNITS[found[2]])


def usual_memory(workers: int) -> int:
    """Default memory budget in bytes: half of the free memory, up to a useful maximum.

    The maximum, 640 MiB and 192 MiB per tile in flight, allows tiles with a halo of a few percent.
    """
    return max(_LEAST, min(_USUAL + _USUAL_PER_WORKER * workers, free_memory() // 2))


def free_memory() -> int:
    """Free memory in bytes for this process: of the machine, and of its control groups."""
    import psutil

    return min([int(psutil.virtual_memory().available), *_left_in_groups()])


def peak_memory() -> int:
    """Peak memory in bytes of this process and of finished child processes (not on Windows)."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        now = psutil.Process().memory_info()
        return int(getattr(now, "peak_wset", now.rss))
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    try:
        # A new program starts with the `ru_maxrss` of the process that started it; the kernel's own mark of
        # the address space does not.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        own = int(status.partition("VmHWM:")[2].split()[0])
    except (OSError, ValueError, IndexError):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (own + children) * unit


def _left_in_groups(root: Path = Path("/sys/fs/cgroup"), mine: Path = Path("/proc/self/cgroup")) -> list[int]:
    """Free memory in bytes in the control groups of this process (Linux, versions 1 and 2)."""
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
        while True:  # limits of parent groups also apply
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
    # Without a limit, version 2 has "max", and version 1 a very large number.
    return [max(0, int(most) - int(used))] if most.isdigit() and int(most) < 2**60 else []


@cache
def keep_freed_memory() -> None:
    """Let the C library retain freed memory for later allocations (glibc).

    By default it maps and unmaps every array above 32 MB and trims its heaps, so that the system clears the
    same pages repeatedly: with retained memory, two concurrent networks ran 1.5 times as fast.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return
    trim, mmap = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
    mallopt(trim, _KEPT_BYTES)
    # Before version 2.35 the limit is half a heap, and more is refused.
    if not mallopt(mmap, _KEPT_BYTES):
        mallopt(mmap, 32 * 2**20)


def return_free_memory(growth: int = 0) -> None:
    """Return freed memory that the C library retains to the system (glibc).

    Tiles and activations leave heaps of freed memory, one per thread, which would add to later allocations.

    Parameters
    ----------
    growth
        Bytes by which the process must have grown since the last return; below, nothing is done. Collecting
        garbage takes a third of the time of a job on a scene of 64 pixels.
    """
    global _resident
    import psutil

    process = psutil.Process()
    if process.memory_info().rss < _resident + growth:
        return
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
    _resident = process.memory_info().rss
