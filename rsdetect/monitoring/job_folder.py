"""Job folder: the paths in a job's output folder, and the lock that admits one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.files import clear_unfinished
from rsdetect.folders import HeldFolder, refuse_place


class FolderBusy(JobInterrupted):
    """Another run holds the folder of the job."""


@dataclass(frozen=True)
class JobFolder:
    """Job folder: the paths in the output folder of a monitoring job."""

    out: Path

    @property
    def events(self) -> Path:
        """GeoPackage with events and observations."""
        return self.out / "events.gpkg"

    @property
    def summary(self) -> Path:
        """Summary of the job's last run, as JSON."""
        return self.out / "summary.json"

    @property
    def heartbeat(self) -> Path:
        """How the last run went, as JSON; it is written when a run begins and when it ends."""
        return self.out / "heartbeat.json"

    @property
    def report(self) -> Path:
        """The page of the last run."""
        return self.out / "report.html"

    @property
    def reports(self) -> Path:
        """A page for each run that had news."""
        return self.out / "reports"

    @property
    def timelines(self) -> Path:
        """Default folder of the timelines of events and points."""
        return self.out / "timelines"

    @property
    def steps(self) -> Path:
        """Folder with one output folder of `rsdetect detect` per comparison."""
        return self.out / "steps"

    @property
    def inner(self) -> Path:
        """Folder with the files that only the job itself uses."""
        return self.out / ".monitor"

    @property
    def pictures(self) -> Path:
        """Pictures of the report, to be used again."""
        return self.inner / "pictures.json"

    @property
    def journal(self) -> Path:
        """Journal of the job, a SQLite file."""
        return self.inner / "journal.sqlite"

    @property
    def scenes(self) -> Path:
        """Folder with copies of scenes that cannot be read in place."""
        return self.inner / "scenes"

    @property
    def baselines(self) -> Path:
        """Folder with baselines composed from several scenes."""
        return self.inner / "baselines"

    @contextmanager
    def held(self, wait_s: float) -> Iterator[None]:
        """Lock the job folder against other runs; it is removed again where nothing was begun.

        Raises
        ------
        JobInterrupted
            Another run still holds the folder after `wait_s` seconds.
        OutputError
            The folder cannot be written, or contains files of something else.
        """
        results = (self.events, self.report, self.summary)
        refuse_place(self.out, *(path.name for path in results))
        # The journal last: another run, which may begin at this moment, writes it first.
        others = [path for path in (self.events, self.steps, self.out / "run.json") if path.exists()]
        if others and not self.journal.exists():
            raise OutputError(f"{others[0]} does not belong to this job; choose another output folder.")
        busy = FolderBusy(f"another run is active in {self.out}; it continues, and nothing was done here.")
        held = HeldFolder.hold(
            self.out, self.inner.name, busy=busy, wait_s=wait_s, known=self.journal.is_file()
        )
        try:
            clear_unfinished(self.out, *(path.name for path in results))
            for folder in (self.scenes, self.baselines, self.reports):
                clear_unfinished(folder)
            yield
        finally:
            held.release(trace=self.journal.exists())
