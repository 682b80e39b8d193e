"""The output folder: claimed by one run at a time, and filled only with what is whole."""

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
    """An output folder that this process holds, as a context manager.

    On the way out the work folder goes, unless it holds tiles or results that the same command can carry
    on from. An `OSError` inside (a full disk, say) leaves as `JobInterrupted`.
    """

    folder: Path
    held: HeldFolder

    RASTER: ClassVar[str] = "change_probability.tif"
    RASTER_STYLE: ClassVar[str] = "change_probability.qml"
    POLYGONS: ClassVar[str] = "changes.gpkg"
    RECORD: ClassVar[str] = "run.json"  # appears last: a folder with a record is complete
    WORK: ClassVar[str] = ".work"
    FIT: ClassVar[str] = ".fit.safetensors"  # in the work folder

    @classmethod
    def claim(cls, folder: Path, *, overwrite: bool) -> Outputs:
        """Hold `folder` for new results.

        Raises
        ------
        OutputError
            It holds results already, cannot be written, or another run is at work in it.
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
        """Make `folder` where it is missing, and keep other runs out of it.

        Raises
        ------
        OutputError
            It cannot be written, or another run is at work in it.
        """
        busy = OutputError(f"another run is at work in {folder}; wait for it or choose another.")
        held = HeldFolder.hold(folder, cls.WORK, busy=busy)
        clear_unfinished(folder)
        return cls(folder, held)

    def work_folder(self, key: str, *, resume: bool, alone: bool = True) -> Path:
        """The folder for work in progress with this fingerprint.

        Without `resume` what it holds is removed; with `alone` what other jobs left is removed, too.
        """
        for entry in self._work.iterdir():
            if entry.is_dir() and (alone if entry.name != key else not resume):
                shutil.rmtree(entry)
        return self._work / key

    def fit_file(self, key: str, *, resume: bool) -> Path:
        """The file for a fit that is worth keeping; those of other keys go, and without `resume` this one."""
        kept = self._work / f"{key}{self.FIT}"
        for entry in self._work.glob(f"*{self.FIT}"):
            if entry != kept or not resume:
                entry.unlink()
        return kept

    def publish(self, work: Path) -> None:
        """Move finished files to their final names, the record last, and remove the work folder."""
        # Without a record the folder is not complete, and with the mark the same command may go on here.
        (self.folder / self.RECORD).unlink(missing_ok=True)
        self._publishing.touch()
        for name in (self.RASTER, self.RASTER_STYLE, self.POLYGONS, self.RECORD):
            self.move(work, name)
        self._clear_work()

    def move(self, work: Path, name: str) -> None:
        """Move one finished file to its final name, in the place of an older one."""
        close_handles()  # Windows renames no file that is open, and this thread may have read both
        move(work / name, self.folder / name)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()
        if isinstance(error, OSError):
            raise JobInterrupted(
                f"{error.filename or self.folder} cannot be written: {error.strerror or error}; mend that "
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
            if self._publishing.exists():  # an earlier run was stopped between its last file and clearing up
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
        """Remove all but the lock, which is open; the mark that says where to go on goes last."""
        for entry in sorted(self._work.iterdir(), key=lambda entry: entry == self._publishing):
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink(missing_ok=True)

    def _is_worth_keeping(self) -> bool:
        kept = ("*/tiles/*.tile", f"*{self.FIT}")
        return self._publishing.exists() or any(any(self._work.glob(pattern)) for pattern in kept)
