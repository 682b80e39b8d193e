"""How far a job is: a bar on a terminal, one line a minute where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_SECONDS_BETWEEN_LINES = 60.0


class Progress(Protocol):
    """Something that is told of finished pixels."""

    def advance(self, pixels: int) -> None:
        """`pixels` more are finished. Called from one thread."""
        ...


class Silence:
    """Tells nobody."""

    def advance(self, pixels: int) -> None:
        """Do nothing."""


class _Lines:
    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._done = label, total, 0
        self._started = self._told = time.monotonic()

    def advance(self, pixels: int) -> None:
        self._done += pixels
        now = time.monotonic()
        if now - self._told < _SECONDS_BETWEEN_LINES:
            return
        self._told = now
        rate = self._done / (now - self._started)
        left = (self._total - self._done) / rate
        print(
            f"{self._label}: {self._done / self._total:.0%} done, {rate / 1e6:.2f} Mpx/s, "
            f"{left / 60:.0f} min left",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def show_progress(label: str, total: int, *, quiet: bool = False) -> Iterator[Progress]:
    """Show on stderr how many of `total` pixels are done."""
    if quiet or total == 0:
        yield Silence()
        return
    if not sys.stderr.isatty():
        yield _Lines(label, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total, rate="")

        class _Bar:
            def advance(self, pixels: int) -> None:
                speed = bar.tasks[0].speed
                bar.update(task, advance=pixels, rate=f"{speed / 1e6:.2f} Mpx/s" if speed else "")

        yield _Bar()
