"""Progress of a job: stage, bar and time left on a terminal, a bar in a notebook, else lines in the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rsdetect.amounts import duration_text

_log = logging.getLogger(__name__)
PROGRESS = 25  # level of a line on progress in the log, between INFO and WARNING
_SECONDS_BETWEEN_LINES = 60.0  # in a log
_SECONDS_BETWEEN_UPDATES = 0.2


class Progress(Protocol):
    """Progress: receives the number of finished pixels."""

    def advance(self, pixels: int) -> None:
        """Add finished pixels to the progress. Called from one thread."""
        ...


class Silence:
    """Progress that shows nothing."""

    def advance(self, pixels: int) -> None:
        """Report no progress."""


class _LoggedProgress:
    """Progress as lines in the log, a minute apart, so that short jobs have none."""

    def __init__(self, label: str, total: int) -> None:
        self._label, self._total, self._done = label, total, 0
        self._started = self._logged = time.monotonic()

    def advance(self, pixels: int) -> None:
        self._done += pixels
        now = time.monotonic()
        if now - self._logged >= _SECONDS_BETWEEN_LINES and self._done < self._total:
            self._logged = now
            left = (now - self._started) * (self._total - self._done) / max(1, self._done)
            share = self._done / self._total
            _log.log(PROGRESS, f"{self._label}: {share:.0%}, about {duration_text(left)} left")


class _NotebookBar:
    """Progress bar below a notebook cell. It requires only IPython, no widgets, which some frontends lack."""

    def __init__(self, label: str, total: int) -> None:
        from IPython.display import HTML, display

        self._label, self._total, self._done = label, total, 0
        self._page = HTML
        self._started = self._shown = time.monotonic()
        self._handle = display(HTML(self._bar()), display_id=True)

    def advance(self, pixels: int) -> None:
        self._done += pixels
        now = time.monotonic()
        if now - self._shown >= _SECONDS_BETWEEN_UPDATES or self._done >= self._total:
            self._shown = now
            self._handle.update(self._page(self._bar()))

    def _bar(self) -> str:
        seconds = self._shown - self._started
        rate = f", {self._done / seconds / 1e6:.2f} Mpx/s" if seconds > 0 else ""
        bar = f'<progress value="{self._done}" max="{self._total}"></progress>'
        return f"{self._label} {bar} {self._done / self._total:.0%}{rate}"


def _in_notebook() -> bool:
    """True in a notebook kernel, whose cells show HTML; false in a terminal, also IPython's."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _on_terminal() -> bool:
    """True if progress can be shown on stderr."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # closed, or there is none
        return False


@contextmanager
def show_stage(label: str, *, quiet: bool = False) -> Iterator[None]:
    """Show what a job is doing, on a terminal until it is done; and in the log, if this has all lines."""
    _log.info(label)
    if quiet or _in_notebook() or not _on_terminal():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(label, total=None)
        yield


@contextmanager
def show_progress(label: str, total: int, *, quiet: bool = False) -> Iterator[Progress]:
    """Show the progress over `total` pixels on a terminal or in a notebook, or log it."""
    _log.info(label)
    if quiet or total == 0:
        yield Silence()
        return
    if _in_notebook():
        yield _NotebookBar(label, total)
        return
    if not _on_terminal():
        yield _LoggedProgress(label, total)
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
