"""The output folder of a job: where everything lies in it, and one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.files import clear_unfinished


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
        made = [path for path in (self.inner, self.out, *self.out.parents) if not path.exists()]
        try:
            self.inner.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.inner / "lock")
            lock.acquire(timeout=wait_s)
        except Timeout:
            raise JobInterrupted(
                f"another run is at work in {self.out}; it was left alone, and nothing was done here."
            ) from None
        except OSError as error:
            _remove_empty(made)
            raise OutputError(f"{self.out} cannot be written: {error.strerror or error}.") from error
        for folder in (self.out, self.scenes, self.baselines):
            clear_unfinished(folder)
        try:
            yield
        finally:
            if not self.journal.exists():
                (self.inner / "lock").unlink(missing_ok=True)
                _remove_empty(made)
            lock.release()


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
