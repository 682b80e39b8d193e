"""A folder that one run holds at a time, and the folder of unfinished work in it."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from rsdetect.errors import JobInterrupted, OutputError, RsdetectError
from rsdetect.files import atomic_path, clear_unfinished, is_passing, remove_folder

LOCK = ".rsdetect.lock"
MARK = ".rsdetect"  # in a work folder: rsdetect made it and may remove what it knows in it
_MARK_TEXT = "rsdetect keeps unfinished work in this folder and removes it when it is done.\n"


@dataclass(frozen=True)
class HeldFolder:
    """An output folder from which this process keeps other runs out.

    The lock lies in the folder itself, outside of the work folder, which comes and goes while it is held.
    """

    folder: Path
    inner: Path  # the work folder below it
    lock: FileLock
    made: tuple[Path, ...]  # folders that were not there before, the innermost first
    was_left: bool  # the lock of a run that was killed was still there

    @classmethod
    def hold(
        cls, folder: Path, inner: str, *, busy: RsdetectError, wait_s: float = 0.0, known: bool = False
    ) -> HeldFolder:
        """Make `folder` where it is missing, and keep other runs out of it.

        Parameters
        ----------
        inner
            Name of the work folder in it.
        busy
            Raised when another run is active in it, and still is after `wait_s` seconds.
        known
            The work folder is known as rsdetect's by what it holds, with or without the mark.

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
            lock = FileLock(lock_path)
            lock.acquire(timeout=wait_s)
        except Timeout:
            raise busy from None
        except OSError as error:
            _remove_empty(made)
            raise _cannot_write(folder, error) from error
        held = cls(folder, within, lock, tuple(made), was_left)
        try:
            _refuse_foreign(within, lock_path, known)  # as it is now that nobody else changes it
            clear_unfinished(folder, inner, MARK, LOCK)
            _make_marked(within)
        except OSError as error:
            held.let_go(trace=False)
            raise _cannot_write(folder, error) from error
        except BaseException:
            held.let_go(trace=False)
            raise
        return held

    def let_go(self, *, trace: bool) -> None:
        """Let other runs in; without a `trace` the empty work folder goes, and folders that were made."""
        try:
            if not trace:
                _remove_marked(self.inner)
            with suppress(OSError):  # Windows removes no open file; filelock does it there on release
                (self.folder / LOCK).unlink(missing_ok=True)
        finally:
            self.lock.release()
        if not trace:
            _remove_empty(self.made)


def _refuse_foreign(within: Path, lock_path: Path, known: bool) -> None:
    """Refuse a work folder or a lock that another program, or a person, made."""
    what = None
    if within.is_symlink() or (within.exists() and not within.is_dir()):
        what = f"{within} is not a folder that rsdetect made"
    elif within.is_dir() and not known and not (within / MARK).is_file():
        what = f"{within} was not made by this version of rsdetect and was left as it is"
    else:
        with suppress(FileNotFoundError):
            state = lock_path.lstat()
            if not stat.S_ISREG(state.st_mode) or state.st_size:
                what = f"{lock_path} is not a lock of rsdetect"
    if what is not None:
        raise OutputError(f"{what}; move it away, or choose another folder.")


def _cannot_write(folder: Path, error: OSError) -> RsdetectError:
    what = f"{folder} cannot be written: {error.strerror or error}"
    if is_passing(error):
        return JobInterrupted(f"{what}; fix this and run the same command again.")
    return OutputError(f"{what}.")


def _make_marked(within: Path) -> None:
    """A folder with the mark in it, which appears with the mark or not at all."""
    if within.is_dir():
        probe = within / ".probe"  # a folder that is there already may be one that can only be read
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
    """From the innermost on, as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return
