"""Messages of commands: results on stdout, everything else on stderr."""

from __future__ import annotations

import shutil
import sys
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsdetect.deprecation import replace_deprecated
from rsdetect.errors import JobInterrupted

if TYPE_CHECKING:
    pass


def print_json(content: Mapping[str, Any]) -> None:
    """Print one strict JSON object on stdout, instead of messages."""
    from rsdetect.files import as_json

    _write_result(as_json(content))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines for people on stdout, without secrets."""
    _write_result("".join(f"{for_the_terminal(line)}\n" for line in lines))


def _write_result(text: str) -> None:
    """Write a result on stdout; a message of a command where this fails."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError, AttributeError) as error:  # full disk, or closed from the start
        told = getattr(error, "strerror", None) or "it is closed"
        raise JobInterrupted(f"stdout cannot be written: {told}; what was computed is kept.") from error


def log_to_stderr(*, quiet: bool, log_file: Path | None = None) -> None:
    """Log warnings of the package as messages on stderr, one line each.

    Without a terminal they have time stamps, and a long job logs its progress.

    Parameters
    ----------
    log_file
        File that all lines and messages are appended to, with time stamps.

    Raises
    ------
    InputError
        The file cannot be written, or is no log.
    """
    import logging

    from rsdetect.commands.log_lines import FileLog, StderrLog

    log = logging.getLogger("rsdetect")
    log.handlers = [StderrLog(quiet=quiet, is_terminal=terminal_columns() is not None)]
    if log_file is not None:
        log.handlers.append(FileLog(log_file))
    log.setLevel(min(handler.level for handler in log.handlers))
    log.propagate = False
    # Warnings of libraries are suppressed; rsdetect reports what is relevant to users.
    logging.getLogger().handlers = [logging.NullHandler()]


def print_warnings(warnings: tuple[str, ...]) -> None:
    """Print the warnings of a report as messages on stderr."""
    for warning in warnings:
        print_message(f"Warning: {warning}")


def current_options(*, quiet: bool, **given: Any) -> dict[str, Any]:
    """Options under their current names; the warnings of deprecated ones are printed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        options = replace_deprecated(given)
    if not quiet:
        print_warnings(tuple(str(each.message) for each in caught))
    return options


def print_message(text: str) -> None:
    """Print a message of one line on stderr, if it can be written: stdout is for results."""
    with suppress(OSError, ValueError, AttributeError):
        print(for_the_terminal(text), file=sys.stderr, flush=True)
    note_message(text)


def note_message(text: str) -> None:
    """Append a message to the log file, if there is one."""
    if "rsdetect.commands.log_lines" in sys.modules:
        from rsdetect.commands.log_lines import note_in_file

        note_in_file(text)


def print_summary(record: Mapping[str, Any], folder: Path, *, quiet: bool) -> None:
    """Print what a job found on stderr: in one line if `quiet`, else with the files and how to open them."""
    from rsdetect.commands.summary import summary_lines

    for line in islice(summary_lines(record, folder, terminal_columns()), 1 if quiet else None):
        print_message(line)


def terminal_columns() -> int | None:
    """Width of the terminal that stderr writes to; None = it is none."""
    try:
        return shutil.get_terminal_size().columns if sys.stderr.isatty() else None
    except (OSError, ValueError, AttributeError):
        return None


def for_the_terminal(text: str) -> str:
    """Message as it is printed: arguments as options, without secrets."""
    # Imported with the first message: `--help` has none, and their patterns take time to compile.
    from rsdetect.commands.wording import as_options
    from rsdetect.secrets import without_secrets

    return as_options(without_secrets(text))
