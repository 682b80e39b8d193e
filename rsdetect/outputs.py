"""The output folder: claimed by one run at a time, and filled only with what is whole."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from filelock import FileLock, Timeout

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.files import clear_unfinished, move
from rsdetect.geopackage import write_raster_style


@dataclass(frozen=True)
class Outputs:
    """An output folder that this process holds, as a context manager.

    On the way out the work folder goes, unless it holds tiles or results that the same command can carry
    on from. An `OSError` inside (a full disk, say) leaves as `JobInterrupted`.
    """

    folder: Path
    lock: FileLock
    made: tuple[Path, ...]  # folders that were not there before, the innermost first

    RASTER: ClassVar[str] = "change_probability.tif"
    RASTER_STYLE: ClassVar[str] = "change_probability.qml"
    POLYGONS: ClassVar[str] = "changes.gpkg"
    RECORD: ClassVar[str] = "run.json"  # appears last: a folder with a record is complete
    WORK: ClassVar[str] = ".work"

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
        work = folder / cls.WORK
        made: list[Path] = []
        try:
            made += (path for path in (work, folder, *folder.parents) if not path.exists())
            work.mkdir(parents=True, exist_ok=True)
            probe = work / ".probe"
            probe.touch()
            probe.unlink()
            lock = FileLock(work / "lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(f"another run is at work in {folder}; wait for it or choose another.") from None
        except OSError as error:
            _remove_empty(made)
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from error
        clear_unfinished(folder)
        return cls(folder, lock, tuple(made))

    def work_folder(self, key: str, *, resume: bool, alone: bool = True) -> Path:
        """The folder for work in progress with this fingerprint.

        Without `resume` what it holds is removed; with `alone` what other jobs left is removed, too.
        """
        for entry in self._work.iterdir():
            if entry.is_dir() and (alone if entry.name != key else not resume):
                shutil.rmtree(entry)
        return self._work / key

    def publish(self, work: Path) -> None:
        """Move finished files to their final names, the record last, and remove the work folder."""
        write_raster_style(work / self.RASTER_STYLE)
        # Without a record the folder is not complete, and with the mark the same command may go on here.
        (self.folder / self.RECORD).unlink(missing_ok=True)
        self._publishing.touch()
        for name in (self.RASTER, self.RASTER_STYLE, self.POLYGONS, self.RECORD):
            self.move(work, name)
        shutil.rmtree(self._work)

    def move(self, work: Path, name: str) -> None:
        """Move one finished file to its final name, in the place of an older one."""
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
                "and run the same command to carry on."
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
                    f"{self.folder} holds the results of an earlier run; add --overwrite to replace them."
                )
        if overwrite or self._publishing.exists():
            return
        for name in (self.RASTER, self.RASTER_STYLE, self.POLYGONS):
            if (self.folder / name).exists():
                raise OutputError(f"{self.folder / name} exists; add --overwrite to replace it.")

    def _let_go(self) -> None:
        try:
            if not self._is_worth_keeping():
                shutil.rmtree(self._work, ignore_errors=True)
                _remove_empty(self.made)
        finally:
            self.lock.release()

    def _is_worth_keeping(self) -> bool:
        return self._publishing.exists() or any(self._work.glob("*/tiles/*.tile"))


def _remove_empty(folders: tuple[Path, ...] | list[Path]) -> None:
    """Leave no trace of a run that never began to work."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return
