"""The output folder: claimed by one run at a time, and filled only with what is whole.

Results are written into a folder `results` below the work folder. Renaming that one to `publish` is the
commit point: whatever stops a run afterwards, the next command that opens the output folder moves the files
to their final names, the record last. Until then the old results stay as they are.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.files import clear_unfinished, move, remove_folder, replace, sync_entries
from rsdetect.folders import HeldFolder
from rsdetect.scenes.handles import close_handles

_RESULTS, _PUBLISH = "results", "publish"
_KEY = re.compile(r"[0-9a-f]{16}|vectorize")  # fingerprints of jobs


@dataclass(frozen=True)
class Outputs:
    """An output folder that this process holds, as a context manager.

    On the way out the work folder goes, unless it holds tiles or results that the same command can carry
    on from. An `OSError` inside (a full disk, say) leaves as `JobInterrupted`.
    """

    folder: Path
    held: HeldFolder
    was_left: bool = False  # an earlier run was stopped here before it had cleared up

    RASTER: ClassVar[str] = "change_probability.tif"
    RASTER_STYLE: ClassVar[str] = "change_probability.qml"
    POLYGONS: ClassVar[str] = "changes.gpkg"
    RECORD: ClassVar[str] = "run.json"  # appears last: a folder with a record is complete
    RESULTS: ClassVar[tuple[str, ...]] = (RASTER, RASTER_STYLE, POLYGONS, RECORD)
    WORK: ClassVar[str] = ".work"
    FIT: ClassVar[str] = ".fit.safetensors"  # in the work folder

    @classmethod
    def claim(cls, folder: Path, *, overwrite: bool) -> Outputs:
        """Hold `folder` for new results.

        Where an earlier run was stopped between its last file and its end, the results that are there may be
        those of the same command: then `was_left` is true, and the caller compares the record.

        Raises
        ------
        OutputError
            It holds results already, cannot be written, or another run is active in it.
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
        """Make `folder` where it is missing, keep other runs out of it, and finish what was being published.

        Raises
        ------
        OutputError
            It cannot be written, or another run is active in it.
        JobInterrupted
            The disk fails.
        """
        busy = OutputError(f"another run is active in {folder}; wait for it or choose another.")
        held = HeldFolder.hold(folder, cls.WORK, busy=busy)
        outputs = cls(folder, held, held.was_left or cls.is_publishing(folder))
        try:
            clear_unfinished(folder, *cls.RESULTS)
            clear_unfinished(outputs._work)
            outputs._publish()
        except OSError as error:
            outputs._let_go()
            raise outputs._stopped_by(error) from error
        except BaseException:
            outputs._let_go()
            raise
        return outputs

    @classmethod
    def is_publishing(cls, folder: Path) -> bool:
        """Whether the files in `folder` are partly those of a run that was stopped while it published."""
        return (folder / cls.WORK / _PUBLISH).is_dir()

    @classmethod
    def settle(cls, folder: Path) -> None:
        """Finish what was being published in `folder` when its run was stopped, before it is read.

        Raises
        ------
        OutputError, JobInterrupted
            As `hold`.
        """
        if cls.is_publishing(folder):
            cls.hold(folder)._let_go()

    def work_folder(self, key: str, *, resume: bool, alone: bool = True) -> Path:
        """The folder for work in progress with this fingerprint.

        Without `resume` what it holds is removed; with `alone` what other jobs left is removed, too.
        """
        for entry in self._work.iterdir():
            if _is_ours(entry) and (alone if entry.name != key else not resume):
                remove_folder(entry)
        return self._work / key

    def fit_file(self, key: str, *, resume: bool) -> Path:
        """The file for a fit that is worth keeping; those of other keys go, and without `resume` this one."""
        kept = self._work / f"{key}{self.FIT}"
        for entry in self._work.glob(f"*{self.FIT}"):
            if entry != kept or not resume:
                entry.unlink()
        return kept

    def results_folder(self, work: Path) -> Path:
        """A new, empty folder for finished files below the work folder of a job."""
        results = work / _RESULTS
        remove_folder(results)
        results.mkdir(parents=True)
        return results

    def publish(self, work: Path) -> None:
        """Make the files of `results_folder` the results of this folder, and remove that job's folder."""
        close_handles()  # Windows renames no file that is open, and this thread may have read both
        move(work / _RESULTS, self._work / _PUBLISH)
        self._publish()
        with suppress(OSError):  # the results are there, and what is left goes with the next run
            remove_folder(work)

    def clear(self) -> None:
        """Remove all unfinished work; what cannot be removed goes with the next run."""
        for entry in self._work.iterdir():
            with suppress(OSError):
                if _is_ours(entry):
                    remove_folder(entry)
                elif entry.name.endswith(self.FIT):
                    entry.unlink()

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._let_go()
        if isinstance(error, OSError):
            raise self._stopped_by(error) from error

    @property
    def _work(self) -> Path:
        return self.folder / self.WORK

    def _publish(self) -> None:
        """Move what is in `publish` to its final names, the record last."""
        publish = self._work / _PUBLISH
        if not publish.is_dir():
            return
        close_handles()
        for name in self.RESULTS:
            if (publish / name).exists():
                replace(publish / name, self.folder / name)
        sync_entries(self.folder)
        remove_folder(publish)

    def _refuse_results(self, overwrite: bool) -> None:
        if overwrite:
            return
        if (self.folder / self.RECORD).exists():
            if not self.was_left:
                raise self.refusal(self.folder)
            return
        for name in self.RESULTS:
            if (self.folder / name).exists():
                raise OutputError(f"{self.folder / name} exists; add `overwrite=True` to replace it.")

    @staticmethod
    def refusal(folder: Path) -> OutputError:
        """What to raise where the results of another run are in `folder`."""
        return OutputError(
            f"{folder} holds the results of an earlier run; add `overwrite=True` to replace them."
        )

    def _stopped_by(self, error: OSError) -> JobInterrupted:
        return JobInterrupted(
            f"{error.filename or self.folder} cannot be written: {error.strerror or error}; fix this "
            "and run the same command to resume."
        )

    def _let_go(self) -> None:
        keep = True
        try:
            keep = self._is_worth_keeping()
            if not keep:
                with suppress(OSError):
                    self.clear()
        finally:
            self.held.let_go(trace=keep)

    def _is_worth_keeping(self) -> bool:
        kept = ("*/tiles/*.tile", f"*{self.FIT}")
        return self.is_publishing(self.folder) or any(any(self._work.glob(pattern)) for pattern in kept)


def _is_ours(entry: Path) -> bool:
    return _KEY.fullmatch(entry.name) is not None and entry.is_dir() and not entry.is_symlink()
