"""Folders locked by one run at a time, with the folder of unfinished work in them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from rsdetect.errors import OutputError, RsdetectError
from rsdetect.files import atomic_path, clear_unfinished, remove_folder
from rsdetect.statuses import write_error

# A path has lost one of the two slashes of an address. Names of one letter are drives of Windows.
_ADDRESS = re.compile(
    r"(https?|ftps?|sftp|s3|gs|az|abfss?|adl|wasbs?|hdfs|oss|swift|file):/|/vsi\w+[/?]", re.I
)
LOCK = ".rsdetect.lock"
_LOOK_S = 0.5  # `is_held` takes the lock for a moment, which no run is refused for
MARK = ".rsdetect"  # in a work folder: created by rsdetect, which may remove known files in it
_MARK_TEXT = "rsdetect keeps unfinished work in this folder and removes it when it is done.\n"


@dataclass(frozen=True)
class HeldFolder:
    """Output folder that this process has locked against other runs.

    The lock is in the folder itself, outside the work folder, which is created and removed meanwhile.
    """

    folder: Path
    inner: Path  # the work folder below it
    lock: FileLock
    made: tuple[Path, ...]  # folders that were created, the innermost first
    was_left: bool  # the lock of a killed run still existed

    @classmethod
    def hold(
        cls, folder: Path, inner: str, *, busy: RsdetectError, wait_s: float = 0.0, known: bool = False
    ) -> HeldFolder:
        """Create `folder` if it is missing, and lock it against other runs.

        Parameters
        ----------
        inner
            Name of the work folder in it.
        busy
            Raised if another run still holds the folder after `wait_s` seconds.
        known
            The work folder belongs to rsdetect by its content, with or without the mark.

        Raises
        ------
        OutputError
            It cannot be written, or the work folder or the lock is not rsdetect's.
        JobInterrupted
            The disk is full or fails.
        """
        within, lock_path = folder / inner, folder / LOCK
        made: list[Path] = []
        try:
            _refuse_foreign(within, lock_path, known)
            made += (path for path in (folder, *folder.parents) if not path.exists())
            folder.mkdir(parents=True, exist_ok=True)
            was_left = lock_path.exists()
            lock = _locked(lock_path, max(wait_s, _LOOK_S))
        except Timeout:
            raise busy from None
        except OSError as error:
            _remove_empty(made)
            raise write_error(str(folder), error) from error
        held = cls(folder, within, lock, tuple(made), was_left)
        try:
            _refuse_foreign(within, lock_path, known)  # again, now that no other run changes it
            clear_unfinished(folder, inner, MARK, LOCK)
            _make_marked(within)
        except OSError as error:
            held.release(trace=False)
            raise write_error(str(folder), error) from error
        except BaseException:
            held.release(trace=False)
            raise
        return held

    def release(self, *, trace: bool) -> None:
        """Release the folder for other runs.

        Without a `trace` the empty work folder and the created folders are removed.
        """
        try:
            if not trace:
                _remove_marked(self.inner)
            with suppress(OSError):  # Windows removes no open file; filelock does it there on release
                (self.folder / LOCK).unlink(missing_ok=True)
        finally:
            self.lock.release()
        if not trace:
            _remove_empty(self.made)


def is_held(folder: Path) -> bool:
    """True if a run holds the folder at the moment."""
    lock_path = folder / LOCK
    if not lock_path.exists():
        return False
    lock = FileLock(lock_path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False  # not ours to lock: of another user, or read-only
    lock.release()
    return False


def _locked(lock_path: Path, wait_s: float) -> FileLock:
    """Lock of a folder, once it is free; `Timeout` if it is not within `wait_s` seconds."""
    lock = FileLock(lock_path)
    try:
        lock.acquire(timeout=wait_s)
    except FileNotFoundError:  # the run that had it has removed the folder
        raise Timeout(str(lock_path)) from None
    return lock


def refuse_place(folder: Path, *names: str) -> None:
    """Refuse a place where no results can appear.

    Parameters
    ----------
    folder
        The output folder.
    names
        File names of the results in it.

    Raises
    ------
    OutputError
        The place is an address, or a folder has the name of a result.
    """
    if _ADDRESS.match(folder.as_posix()):
        address = re.sub(r"(?<!file):/+", "://", folder.as_posix())
        raise OutputError(f"{address} is an address, and results are written to local folders only.")
    for path in (folder / name for name in names):
        # Unlike Path.is_dir, False for a name that is too long; writing fails on that, with its own message.
        if os.path.isdir(path) and not path.is_symlink():  # noqa: PTH112
            raise OutputError(
                f"{path} is a folder, and a result has the same name; move it away, or choose another place."
            )


def _refuse_foreign(within: Path, lock_path: Path, known: bool) -> None:
    """Raise for a work folder or a lock that rsdetect did not create in the folder."""
    what = None
    if within.is_symlink() or (within.exists() and not within.is_dir()):
        what = f"{within} is not a folder made by rsdetect"
    elif within.is_dir() and not known and not (within / MARK).is_file():
        what = f"{within} was not made by this version of rsdetect and was left as it is"
    else:
        with suppress(FileNotFoundError):
            state = lock_path.lstat()
            if not stat.S_ISREG(state.st_mode) or state.st_size:
                what = f"{lock_path} is not a lock of rsdetect"
    if what is not None:
        raise OutputError(f"{what}; move it away, or choose another folder.")


def _make_marked(within: Path) -> None:
    """Create the work folder with its mark, both or neither."""
    if within.is_dir():
        probe = within / ".probe"  # an existing folder may be read-only
        probe.touch()
        probe.unlink()
        if not (within / MARK).exists():
            (within / MARK).write_text(_MARK_TEXT, encoding="utf-8")
        return
    with atomic_path(within) as unfinished:
        unfinished.mkdir()
        (unfinished / MARK).write_text(_MARK_TEXT, encoding="utf-8")


def _remove_marked(within: Path) -> None:
    """Remove a work folder that holds the mark and nothing else."""
    with suppress(OSError):
        if [entry.name for entry in within.iterdir()] == [MARK]:
            remove_folder(within)


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders from the innermost on, as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return
