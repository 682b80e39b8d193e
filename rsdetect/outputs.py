"""The output folder: claimed by one run at a time, and filled only with what is whole."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from filelock import FileLock, Timeout

from rsdetect.errors import OutputError
from rsdetect.geopackage import write_raster_style


@dataclass(frozen=True)
class Outputs:
    """An output folder that this process holds, as a context manager."""

    folder: Path
    lock: FileLock
    made: tuple[Path, ...]  # folders that were not there before

    RASTER: ClassVar[str] = "change_probability.tif"
    RASTER_STYLE: ClassVar[str] = "change_probability.qml"
    POLYGONS: ClassVar[str] = "changes.gpkg"
    RECORD: ClassVar[str] = "run.json"  # appears last: a folder with a record is complete
    WORK: ClassVar[str] = ".work"

    @classmethod
    def claim(cls, folder: Path, *, overwrite: bool) -> Outputs:
        """Make `folder` where it is missing, and keep other runs out of it.

        Raises
        ------
        OutputError
            It holds results already, cannot be written, or another run is at work in it.
        """
        finished = folder / cls.RECORD
        if finished.exists() and not overwrite:
            raise OutputError(
                f"{folder} holds the results of an earlier run; add --overwrite to replace them."
            )
        work = folder / cls.WORK
        missing = tuple(path for path in (work, folder, *folder.parents) if not path.exists())
        try:
            work.mkdir(parents=True, exist_ok=True)
            probe = work / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from error
        lock = FileLock(work / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(f"another run is at work in {folder}; wait for it or choose another.") from None
        if not overwrite and not cls._was_publishing(folder):
            foreign = [name for name in (cls.RASTER, cls.POLYGONS) if (folder / name).exists()]
            if foreign:
                lock.release()
                raise OutputError(f"{folder / foreign[0]} exists; add --overwrite to replace it.")
        return cls(folder, lock, missing)

    def work_folder(self, key: str, *, resume: bool) -> Path:
        """The folder for work in progress with this fingerprint; that of other jobs is removed."""
        work = self.folder / self.WORK
        for entry in work.iterdir():
            if entry.is_dir() and (entry.name != key or not resume):
                shutil.rmtree(entry)
        return work / key

    def publish(self, work: Path) -> None:
        """Move finished files to their final names, the record last, and remove the work folder."""
        (self.folder / self.WORK / "publishing").touch()
        write_raster_style(work / self.RASTER_STYLE)
        (self.folder / self.RECORD).unlink(missing_ok=True)
        for name in (self.RASTER, self.RASTER_STYLE, self.POLYGONS, self.RECORD):
            (work / name).replace(self.folder / name)
        shutil.rmtree(self.folder / self.WORK)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()
        if isinstance(error, OutputError) or not self._holds_work():
            self._remove_empty()

    @classmethod
    def _was_publishing(cls, folder: Path) -> bool:
        return (folder / cls.WORK / "publishing").exists()

    def _holds_work(self) -> bool:
        work = self.folder / self.WORK
        return work.exists() and any(entry.is_dir() for entry in work.iterdir())

    def _remove_empty(self) -> None:
        """Leave no trace of a run that never began to work."""
        (self.folder / self.WORK / "lock").unlink(missing_ok=True)
        for path in (self.folder / self.WORK, *self.made):
            try:
                path.rmdir()
            except OSError:
                return
