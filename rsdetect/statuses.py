"""The exit status of what ends a command, and the words for it.

What may pass is 3 (memory, disk, network, interruption), what is wrong in the input is 2, and only what
neither explains is 1.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from rsdetect.errors import (
    DetectorError,
    DoubtError,
    GridMismatch,
    JobInterrupted,
    ModelError,
    NothingToCompare,
    OutputError,
    ReadError,
    RsdetectError,
    SceneError,
)
from rsdetect.interruption import was_interrupted
from rsdetect.limited_memory import ADVICE, INTERRUPTED, address_space_left, was_short

# What the machine lacks for now.
_MAY_PASS = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EIO", "ENOMEM", "EMFILE", "ENFILE", "EAGAIN", "EBUSY", "ETIMEDOUT", "ESTALE"),
        *("ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EHOSTUNREACH", "ENETUNREACH", "EPIPE", "ETXTBSY"),
    )
    if hasattr(errno, name)
}
# SQLite's primary result codes of a busy or locked database, no memory, a failing and a full disk.
_MAY_PASS_IN_SQLITE = (5, 6, 7, 10, 13)
_MEMORY_WORDS = (
    *("alloc", "out of memory", "not enough memory", "can't start new thread", "failed to map segment"),
    *("pthread_create failed", "resource temporarily unavailable", "thread constructor failed"),
)
# Of OpenVINO and oneDNN, whose errors often give no reason.
_WORDS_UNDER_A_LIMIT = ("exception from src/", "could not create a")
# Errors about what a file contains, as libraries read it.
_OF_CONTENT = (SceneError, GridMismatch, NothingToCompare, DoubtError, ModelError, DetectorError, ReadError)
# Modules whose errors have their reason in rsdetect, in its input or in the text that is parsed.
_MODULES_WITH_REASONS = ("rsdetect", "pydantic_core", "json", "yaml", "tomllib")


def status_of(error: BaseException) -> tuple[int, str]:
    """Status and message of an error that ended a command."""
    error = _before_typer(error)
    if was_interrupted(error):
        return 3, INTERRUPTED
    if _is_memory(error):
        return 3, ADVICE
    if isinstance(error, RsdetectError):
        may_pass = any(_may_pass(each) for each in _causes(error))
        return 3 if may_pass else error.exit_status, str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if _may_pass(error):
            return 3, f"{place}{error.strerror}; fix that and run the same command again."
        return 2, f"{place}{error.strerror or error}."
    if _may_pass(error):  # SQLite's, and of loading libraries
        return 3, f"{error}; fix that and run the same command again."
    if text := _fault_of_input(error):
        return 2, text
    return 1, f"a defect of rsdetect ({type(error).__name__}: {error}); --debug shows where."


def _before_typer(error: BaseException) -> BaseException:
    """Error that typer has converted into its `Abort`: a file's `EOFError`, or an interruption."""
    if type(error).__name__ != "Abort":
        return error
    return error.__cause__ if isinstance(error.__cause__, EOFError) else KeyboardInterrupt()


def _fault_of_input(error: BaseException) -> str:
    """Message for an error of Python that is due to a name or a file that was given; empty for others."""
    if isinstance(error, UnicodeError):
        return f"a name or text is no UTF-8 ({error.reason if hasattr(error, 'reason') else error})."
    if isinstance(error, RecursionError):
        return "a file of the input is nested too deeply."
    if isinstance(error, EOFError):
        return "a file that was read ends too early; --debug shows where it was read."
    return ""


def write_error(what: str, error: OSError) -> RsdetectError:
    """Error for a file that cannot be written: `JobInterrupted` if that may be transient, else `OutputError`.

    Parameters
    ----------
    what
        The subject of the sentence, usually the path.
    """
    text = f"{what} cannot be written: {error.strerror or error}"
    if _may_pass(error) or error.errno is None:  # GDAL's errors have no number
        return JobInterrupted(f"{text}; fix this and run the same command again.")
    return OutputError(f"{text}.")


def _may_pass(error: BaseException) -> bool:
    """True for an error of the system or of SQLite that a repeated command may not meet."""
    if isinstance(error, OSError):
        return error.errno in _MAY_PASS
    if isinstance(error, ImportError):  # of a library that could not be read
        return os.strerror(errno.EIO) in str(error)
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _MAY_PASS_IN_SQLITE


def _is_memory(error: BaseException) -> bool:
    """True where memory ran out, in Python or in a C++ library, by the text of its error."""
    is_limited = address_space_left() is not None
    words = (*_MEMORY_WORDS, *_WORDS_UNDER_A_LIMIT) if is_limited else _MEMORY_WORDS
    if any(
        isinstance(each, MemoryError) or any(word in _text_of_library(each) for word in words)
        for each in _chain(error)
    ):
        return True
    return (is_limited and _lost_a_crs(error)) or (was_short() and _is_doubtful(error))


def _lost_a_crs(error: BaseException) -> bool:
    """True where PROJ could not parse the CRS of a file whose CRS it had parsed when the file was opened.

    Much address space may be left then: PROJ asked for it while other threads had it.
    """
    chain = iter(_chain(error))
    opened_before = any(isinstance(each, ReadError) for each in chain)
    return opened_before and any(type(each).__name__ == "CRSError" for each in chain)  # below it


def _is_doubtful(error: BaseException) -> bool:
    """True for an error that a library without memory may have caused; PROJ then gives no CRS, say."""
    chain = list(_chain(error))
    missing = os.strerror(errno.ENOENT).lower()
    if any(getattr(each, "errno", None) is not None or missing in str(each).lower() for each in chain):
        return False
    return any(
        isinstance(each, (*_OF_CONTENT, SystemError, ImportError, RuntimeError))
        or type(each).__module__.partition(".")[0] not in ("builtins", *_MODULES_WITH_REASONS)
        for each in chain
    )


def _text_of_library(error: BaseException) -> str:
    """Text of an error in lower case; of rsdetect's and the system's, which name files, no file name."""
    if isinstance(error, RsdetectError):
        return ""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).lower()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Errors that were converted into this one, not those during whose handling it was raised."""
    while error.__cause__ is not None:
        error = error.__cause__
        yield error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
