"""The output folder of a job: where everything lies in it, and one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.files import clear_unfinished
from rsdetect.folders import HeldFolder


@dataclass(frozen=True)
class JobFolder:
    """The paths in an output folder."""

    out: Path

    @property
    def events(self) -> Path:
        """The GeoPackage with events and observations."""
        return self.out / "events.gpkg"

    @property
    def steps(self) -> Path:
        """One folder a compared pair, each as `rsdetect detect` leaves it."""
        return self.out / "steps"

    @property
    def inner(self) -> Path:
        """What the job needs and people do not."""
        return self.out / ".monitor"

    @property
    def journal(self) -> Path:
        """What was done; SQLite."""
        return self.inner / "journal.sqlite"

    @property
    def scenes(self) -> Path:
        """Copies of scenes that cannot be compared as they are."""
        return self.inner / "scenes"

    @property
    def baselines(self) -> Path:
        """Baselines put together from several scenes."""
        return self.inner / "baselines"

    @contextmanager
    def held(self, wait_s: float) -> Iterator[None]:
        """Keep other runs out, and leave no trace where nothing was begun.

        Raises
        ------
        JobInterrupted
            Another run is at work in it, and still was after `wait_s` seconds.
        OutputError
            It cannot be written, or holds what no monitoring job left.
        """
        if not self.journal.exists():
            for path in (self.events, self.steps, self.out / "run.json"):
                if path.exists():
                    raise OutputError(f"{path} is not from this job; name another folder for its results.")
        busy = JobInterrupted(
            f"another run is at work in {self.out}; it was left alone, and nothing was done here."
        )
        held = HeldFolder.hold(self.out, self.inner.name, busy=busy, wait_s=wait_s)
        try:
            for folder in (self.out, self.scenes, self.baselines):
                clear_unfinished(folder)
            yield
        finally:
            held.let_go(trace=self.journal.exists())
