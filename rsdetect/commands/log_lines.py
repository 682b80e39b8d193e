"""Log lines of a command: on stderr, and in the file of `--log-file`."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path

from rsdetect.commands.messages import for_the_terminal
from rsdetect.errors import InputError
from rsdetect.progress import PROGRESS

_TIME = "%Y-%m-%d %H:%M:%S"
_DIGITS_TO_0 = bytes.maketrans(b"123456789", b"000000000")
_START = b"0000-00-00 00:00:00 "  # of a log, by other digits


class _LogFormatter(logging.Formatter):
    """Format of a log line: warnings are marked, arguments are options, and there are no secrets."""

    def __init__(self, *, with_time: bool) -> None:
        super().__init__("%(asctime)s %(message)s" if with_time else "%(message)s", _TIME)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        if record.levelno >= logging.WARNING:
            record.message = f"Warning: {record.message}"
        return for_the_terminal(super().formatMessage(record))


class StderrLog(logging.Handler):
    """Log lines on stderr as it is at that time, because a progress bar replaces it."""

    def __init__(self, *, quiet: bool, is_terminal: bool) -> None:
        """Handle warnings and, if stderr is no terminal, progress; errors alone if `quiet`."""
        level = logging.WARNING if is_terminal else PROGRESS
        super().__init__(logging.ERROR if quiet else level)
        self.setFormatter(_LogFormatter(with_time=not is_terminal))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a log line, if stderr can be written."""
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{self.format(record)}\n")
            sys.stderr.flush()


class FileLog(logging.Handler):
    """Log lines in a file, which is open for each line only: it may be rotated, and keeps no handle."""

    def __init__(self, path: Path) -> None:
        """Handle all lines from INFO.

        Raises
        ------
        InputError
            The file cannot be written, or is no log: a scene, say.
        """
        super().__init__(logging.INFO)
        self.setFormatter(_LogFormatter(with_time=True))
        self._path = path
        try:
            self._append("")
        except OSError as error:
            raise InputError(f"`log_file` {path} cannot be written: {error.strerror or error}.") from error
        except ValueError:
            raise InputError(f"`log_file` {path} exists and is no log; choose another file.") from None

    def emit(self, record: logging.LogRecord) -> None:
        """Append a log line, if the file can be written: a job does not end because its log is full."""
        with suppress(OSError, ValueError):
            self._append(f"{self.format(record)}\n")

    def _append(self, text: str) -> None:
        """Append to the log; raises ValueError for another file, which a result that replaced the log is."""
        with self._path.open("a+b") as file:
            file.seek(0)
            start = file.read(len(_START)).translate(_DIGITS_TO_0)
            if start != _START[: len(start)]:  # a full disk may have cut it off
                raise ValueError
            file.write(text.encode())


def note_in_file(text: str) -> None:
    """Append a message to the log file, if there is one."""
    log = logging.getLogger("rsdetect")
    for handler in log.handlers:
        if isinstance(handler, FileLog):
            handler.handle(log.makeRecord(log.name, logging.INFO, "", 0, text, (), None))
