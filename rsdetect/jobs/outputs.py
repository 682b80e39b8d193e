"""Output folder of a job: claimed by one run at a time, and filled only with complete files."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.files import clear_unfinished, move
from rsdetect.folders import LOCK, HeldFolder
from rsdetect.scenes.handles import close_handles


@dataclass(frozen=True)
class Outputs:
    """Output folder that this process holds, as a context manager.

    On exit the work folder is removed, unless it has tiles or results from which the same command can resume.
    An `OSError` inside (for example a full disk) becomes `JobInterrupted`.
    """

    folder: Path
    held: HeldFolder

    RASTER: ClassVar[str] = "change_probability.tif"
    RASTER_STYLE: ClassVar[str] = "change_probability.qml"
    POLYGONS: ClassVar[str] = "changes.gpkg"
    RECORD: ClassVar[str] = "run.json"  # written last: a folder with a record is complete
    WORK: ClassVar[str] = ".work"
    FIT: ClassVar[str] = ".fit.safetensors"  # in the work folder

    @classmethod
    def claim(cls, folder: Path, *, overwrite: bool) -> Outputs:
        """Claim the output folder `folder` for new results.

        Raises
        ------
        OutputError
            It has results already, cannot be written, or another run is active in it.
        """
        outputs = cls.hold(folder)
        try:
            outputs._refuse_results(overwrite)
        except BaseException:
            outputs._let_go()
            raise
        return outputs

    @classmethod
    def hold(cls, folder: Path) -> Outputs:
        """Create the output folder if missing, and lock out other runs.

        Raises
        ------
        OutputError
            It cannot be written, or another run is active in it.
        """
        busy = OutputError(f"another run is active in {folder}; wait for it or choose another.")
        held = HeldFolder.hold(folder, cls.WORK, busy=busy)
        clear_unfinished(folder)
        return cls(folder, held)

    def work_folder(self, key: str, *, resume: bool, alone: bool = True) -> Path:
        """Work folder in the output folder for this fingerprint.

        Without `resume` its content is removed; with `alone` also that of other jobs.
        """
        for entry in self._work.iterdir():
            if entry.is_dir() and (alone if entry.name != key else not resume):
                shutil.rmtree(entry)
        return self._work / key

    def fit_file(self, key: str, *, resume: bool) -> Path:
        """File for a stored fit; those of other keys are removed, and without `resume` this one."""
        kept = self._work / f"{key}{self.FIT}"
        for entry in self._work.glob(f"*{self.FIT}"):
            if entry != kept or not resume:
                entry.unlink()
        return kept

    def publish(self, work: Path) -> None:
        """Publish finished files under their final names, the record last, and remove the work folder."""
        # Without a record the folder is incomplete, and with the mark the same command may resume here.
        (self.folder / self.RECORD).unlink(missing_ok=True)
        self._publishing.touch()
        for name in (self.RASTER, self.RASTER_STYLE, self.POLYGONS, self.RECORD):
            self.move(work, name)
        self._clear_work()

    def move(self, work: Path, name: str) -> None:
        """Move one finished output file to its final name, replacing an older one."""
        close_handles()  # Windows cannot rename open files, and this thread may have read both
        move(work / name, self.folder / name)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()
        if isinstance(error, OSError):
            raise JobInterrupted(
                f"{error.filename or self.folder} cannot be written: {error.strerror or error}; fix this "
                "and run the same command to resume."
            ) from error

    @property
    def _work(self) -> Path:
        return self.folder / self.WORK

    @property
    def _publishing(self) -> Path:
        return self._work / "publishing"

    def _refuse_results(self, overwrite: bool) -> None:
        if (self.folder / self.RECORD).exists():
            if self._publishing.exists():  # an earlier run was stopped between its last file and the clean-up
                self._publishing.unlink()
                for entry in self._work.iterdir():
                    if entry.is_dir():
                        shutil.rmtree(entry)
            if not overwrite:
                raise OutputError(
                    f"{self.folder} holds the results of an earlier run; add `overwrite=True` to replace "
                    "them."
                )
        if overwrite or self._publishing.exists():
            return
        for name in (self.RASTER, self.RASTER_STYLE, self.POLYGONS):
            if (self.folder / name).exists():
                raise OutputError(f"{self.folder / name} exists; add `overwrite=True` to replace it.")

    def _let_go(self) -> None:
        keep = True
        try:
            keep = self._is_worth_keeping()
            if not keep:
                with suppress(OSError):
                    self._clear_work()
        finally:
            self.held.let_go(trace=keep)

    def _clear_work(self) -> None:
        """Clear the work folder except the lock, which is open; the resume mark is removed last."""
        for entry in sorted(self._work.iterdir(), key=lambda entry: entry == self._publishing):
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink(missing_ok=True)

    def _is_worth_keeping(self) -> bool:
        kept = ("*/tiles/*.tile", f"*{self.FIT}")
        return self._publishing.exists() or any(any(self._work.glob(pattern)) for pattern in kept)
