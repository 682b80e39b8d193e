"""A folder that one run holds at a time, by a lock that goes with its process."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from rsdetect.errors import OutputError, RsdetectError

LOCK = "lock"


@dataclass(frozen=True)
class HeldFolder:
    """An output folder from which this process keeps other runs out."""

    folder: Path
    inner: Path  # below it; holds the lock
    lock: FileLock
    made: tuple[Path, ...]  # folders that were not there before, the innermost first

    @classmethod
    def hold(cls, folder: Path, inner: str, *, busy: RsdetectError, wait_s: float = 0.0) -> HeldFolder:
        """Make `folder` where it is missing, and keep other runs out of it.

        Parameters
        ----------
        inner
            Name of the folder in it that holds the lock.
        busy
            Raised when another run is at work in it, and still is after `wait_s` seconds.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        within = folder / inner
        made: list[Path] = []
        try:
            made += (path for path in (within, folder, *folder.parents) if not path.exists())
            within.mkdir(parents=True, exist_ok=True)
            probe = within / ".probe"  # a lock that is there already may be one that can only be read
            probe.touch()
            probe.unlink()
            lock = FileLock(within / LOCK)
            lock.acquire(timeout=wait_s)
        except Timeout:
            raise busy from None
        except OSError as error:
            _remove_empty(made)
            raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from error
        return cls(folder, within, lock, tuple(made))

    def let_go(self, *, trace: bool) -> None:
        """Let other runs in; without a `trace` the lock goes, and the folders that it leaves empty."""
        if not trace:
            with suppress(OSError):  # Windows removes no open file; filelock does it there on release
                (self.inner / LOCK).unlink(missing_ok=True)
        self.lock.release()
        if not trace:
            _remove_empty((self.inner, *(path for path in self.made if path != self.inner)))


def _remove_empty(folders: Iterable[Path]) -> None:
    """From the innermost on, as far as they are empty."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return
