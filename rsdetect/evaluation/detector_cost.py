"""Cost of a detector: seconds of its calls, and the rise of the memory of this process while they run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rsdetect.memory import return_free_memory

_INTERVAL_S = 0.002


@dataclass
class Cost:
    """Cost of a detector, added up over its calls."""

    fit_s: float = 0.0  # loading and fitting
    score_s: float = 0.0  # of all tiles, over the threads that scored side by side
    fit_bytes: int = 0  # highest rise of memory while it was loaded and fitted
    kept_bytes: int = 0  # of that, what stayed
    tile_bytes: int = 0  # highest rise while one tile was scored

    @property
    def memory_bytes(self) -> int:
        """Memory for the detector with one tile in flight, beyond the program and the scenes."""
        return max(self.fit_bytes, self.kept_bytes + self.tile_bytes)


@dataclass
class Rise:
    """Rise of the resident memory of this process, in bytes; a cost that `measured_rise` fills in."""

    highest: int = 0
    kept: int = 0


@contextmanager
def measured_rise() -> Iterator[Rise]:
    """Measure the rise of memory while the body runs; nothing else may run in this process."""
    import psutil

    process, rise, done = psutil.Process(), Rise(), threading.Event()
    return_free_memory()
    start = process.memory_info().rss

    def watch() -> None:
        while not done.wait(_INTERVAL_S):
            rise.highest = max(rise.highest, process.memory_info().rss - start)

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    watcher.start()
    try:
        yield rise
    finally:
        rise.highest = max(rise.highest, process.memory_info().rss - start)
        done.set()
        watcher.join()
        return_free_memory()
        rise.kept = max(0, process.memory_info().rss - start)


class Clock:
    """Clock of a detector's calls: wall seconds since the last reading."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds of cost since the last lap."""
        now = time.perf_counter()
        self._last, spent = now, now - self._last
        return spent
