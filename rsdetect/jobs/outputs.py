"""Outputs of a job: the output folder, locked by one run at a time, in which only complete files appear.

Results are written into a folder `results` below the work folder. Renaming that one to `publish` is the
commit point: if a run is stopped afterwards, the next command that opens the output folder moves the files
to their final names, the record last. Until then the old results are not changed.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from rsdetect.errors import InputError, JobInterrupted, OutputError, RsdetectError
from rsdetect.files import clear_unfinished, move, remove_folder, replace, sync_entries
from rsdetect.folders import LOCK, HeldFolder, refuse_place
from rsdetect.reading import refuse_endless
from rsdetect.scenes.handles import close_handles

_RESULTS, _PUBLISH = "results", "publish"
_KEY = re.compile(r"[0-9a-f]{16}|vectorize")  # fingerprints of jobs


@dataclass(frozen=True)
class Outputs:
    """Output folder held by this process, as a context manager.

    On exit the work folder is removed, unless it contains tiles or results from which the same command can
    resume. An `OSError` inside (e.g. a full disk) is raised as `JobInterrupted`.
    """

    folder: Path
    held: HeldFolder
    was_left: bool = False  # an earlier run was stopped here before cleaning up

    RASTER: ClassVar[str] = "change_probability.tif"
    RASTER_NAMES: ClassVar[str] = "change_probability.tif.aux.xml"  # of kinds; goes with a new raster
    RASTER_STYLE: ClassVar[str] = "change_probability.qml"
    POLYGONS: ClassVar[str] = "changes.gpkg"
    PROJECT: ClassVar[str] = "changes.qgz"
    ZONES: ClassVar[str] = "zones.csv"
    PAGE: ClassVar[str] = "report.html"
    RECORD: ClassVar[str] = "run.json"  # appears last: a folder with a record is complete
    RESULTS: ClassVar[tuple[str, ...]] = (
        *(RASTER, RASTER_NAMES, RASTER_STYLE, POLYGONS, PROJECT, ZONES, PAGE, RECORD),
    )
    WORK: ClassVar[str] = ".work"
    FIT: ClassVar[str] = ".fit.safetensors"  # in the work folder
    REGISTRATION: ClassVar[str] = ".registration.json"  # as FIT

    @classmethod
    def claim(cls, folder: Path, *, overwrite: bool) -> Outputs:
        """Hold the output folder for new results.

        If an earlier run was stopped between its last file and its end, the existing results may be those of
        the same command: then `was_left` is true, and the caller compares the record.

        Raises
        ------
        OutputError
            It holds results already, or cannot be written.
        JobInterrupted
            Another run is active in it, or the disk fails.
        """
        outputs = cls.hold(folder)
        try:
            outputs._refuse_results(overwrite)
        except BaseException:
            outputs._release()
            raise
        return outputs

    @classmethod
    def hold(cls, folder: Path) -> Outputs:
        """Hold the output folder: create it if missing, lock it, and finish an interrupted publishing.

        Raises
        ------
        OutputError
            It cannot be written, or a folder has the name of a result.
        JobInterrupted
            Another run is active in it, or the disk fails.
        """
        refuse_place(folder, *cls.RESULTS)
        busy = JobInterrupted(f"another run is active in {folder}; wait for it or choose another.")
        held = HeldFolder.hold(folder, cls.WORK, busy=busy)
        outputs = cls(folder, held, held.was_left or cls.is_publishing(folder))
        try:
            clear_unfinished(folder, *cls.RESULTS)
            clear_unfinished(outputs._work)
            outputs._publish()
        except OSError as error:
            outputs._release()
            raise outputs._interruption(error) from error
        except BaseException:
            outputs._release()
            raise
        return outputs

    @classmethod
    def is_publishing(cls, folder: Path) -> bool:
        """True if the output folder has some files of a run that was stopped while publishing."""
        return (folder / cls.WORK / _PUBLISH).is_dir()

    @classmethod
    def settle(cls, folder: Path) -> None:
        """Finish an interrupted publishing in the output folder, before it is read.

        Raises
        ------
        OutputError, JobInterrupted
            As `hold`.
        """
        publishing = cls.is_publishing(folder)
        if not publishing and not (folder / LOCK).exists():
            return
        try:
            outputs = cls.hold(folder)
        except RsdetectError:
            if publishing:
                raise
            return  # another run is active, and has published nothing yet
        outputs._clear_finished()
        outputs._release()

    def work_folder(self, key: str, *, resume: bool, alone: bool = True) -> Path:
        """Folder for unfinished outputs of the job with this fingerprint.

        Without `resume` its content is removed; with `alone` also that of other jobs.
        """
        for entry in self._work.iterdir():
            if _is_job_folder(entry) and (alone if entry.name != key else not resume):
                remove_folder(entry)
        return self._work / key

    def fit_file(self, key: str, *, resume: bool, ending: str = FIT) -> Path:
        """File for a fit of a job; those of other keys are removed, and without `resume` this one too."""
        kept = self._work / f"{key}{ending}"
        for entry in self._work.glob(f"*{ending}"):
            if entry != kept or not resume:
                entry.unlink()
        return kept

    def results_folder(self, work: Path) -> Path:
        """New, empty folder for finished outputs in the work folder of a job."""
        results = work / _RESULTS
        remove_folder(results)
        results.mkdir(parents=True)
        return results

    def publish(self, work: Path) -> None:
        """Publish the files of `results_folder` as the outputs, and remove the job's work folder."""
        close_handles()  # Windows cannot rename an open file, and this thread may have read both
        move(work / _RESULTS, self._work / _PUBLISH)
        self._publish()
        with suppress(OSError):  # the results are published; the next run removes the rest
            remove_folder(work)

    def clear(self) -> None:
        """Remove all unfinished outputs; the next run retries failed removals."""
        for entry in self._work.iterdir():
            with suppress(OSError):
                if _is_job_folder(entry):
                    remove_folder(entry)
                elif entry.name.endswith((self.FIT, self.REGISTRATION)):
                    entry.unlink()

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()
        if isinstance(error, OSError):
            raise self._interruption(error) from error

    @property
    def _work(self) -> Path:
        return self.folder / self.WORK

    def _publish(self) -> None:
        """Move the files in `publish` to their final names, the record last."""
        publish = self._work / _PUBLISH
        if not publish.is_dir():
            return
        close_handles()
        for name in self.RESULTS:
            finished = publish / name
            if not finished.exists():
                continue
            # None is wanted: an older one goes.
            if name in (self.PROJECT, self.ZONES, self.PAGE) and not finished.stat().st_size:
                (self.folder / name).unlink(missing_ok=True)
                finished.unlink()
            else:
                replace(finished, self.folder / name)
        sync_entries(self.folder)
        remove_folder(publish)

    def _clear_finished(self) -> None:
        """Remove the work folder of the job whose results are in the output folder."""
        with suppress(OSError, ValueError, KeyError, TypeError, InputError):
            refuse_endless(self.folder / self.RECORD)
            record = json.loads((self.folder / self.RECORD).read_text(encoding="utf-8"))
            finished = self._work / str(record["fingerprint"])
            if _is_job_folder(finished):
                remove_folder(finished)

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
        """Error for an output folder with the results of another run."""
        return OutputError(
            f"{folder} holds the results of an earlier run; add `overwrite=True` to replace them. For "
            f"another threshold or minimum area nothing is scored again: rsdetect vectorize {folder}"
        )

    def _interruption(self, error: OSError) -> JobInterrupted:
        return JobInterrupted(
            f"{error.filename or self.folder} cannot be written: {error.strerror or error}; fix this "
            "and run the same command to resume."
        )

    def _release(self) -> None:
        keep = True
        try:
            keep = self._is_worth_keeping()
            if not keep:
                with suppress(OSError):
                    self.clear()
        finally:
            self.held.release(trace=keep)

    def _is_worth_keeping(self) -> bool:
        kept = ("*/tiles/*.tile", f"*{self.FIT}")
        return self.is_publishing(self.folder) or any(any(self._work.glob(pattern)) for pattern in kept)


def _is_job_folder(entry: Path) -> bool:
    return _KEY.fullmatch(entry.name) is not None and entry.is_dir() and not entry.is_symlink()
