"""The exit status of what ends a command, and the words for it.

What may pass is 3 (memory, disk, network, interruption), what is wrong in the input is 2, and only what
neither explains is 1.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from rsdetect.errors import RsdetectError

# What the machine lacks for now.
_MAY_PASS = {
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EIO", "ENOMEM", "EMFILE", "ENFILE", "EAGAIN", "EBUSY", "ETIMEDOUT", "ESTALE"),
        *("ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EHOSTUNREACH", "ENETUNREACH", "EPIPE", "ETXTBSY"),
    )
    if hasattr(errno, name)
}
_MEMORY_WORDS = (
    *("bad_alloc", "out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory"),
    *("unable to allocate", "failed to allocate", "can't start new thread", "failed to map segment"),
    *("pthread_create failed", "memory allocation", "resource temporarily unavailable"),
)


def status_of(error: BaseException) -> tuple[int, str]:
    """Status and message of an error that ended a command."""
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":  # typer's
        return 3, "interrupted; the same command resumes the job."
    if _is_memory(error):
        return 3, (
            "the memory that this process may take is used up; give the job less (--memory, --workers), or "
            "the process more (ulimit -v, the container's limit), and run the same command again."
        )
    if isinstance(error, RsdetectError):
        return error.exit_status, str(error)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if error.errno in _MAY_PASS:
            return 3, f"{place}{error.strerror}; fix that and run the same command again."
        return 2, f"{place}{error.strerror or error}."
    if isinstance(error, UnicodeError):
        return 2, f"a name or text is no UTF-8 ({error.reason if hasattr(error, 'reason') else error})."
    if isinstance(error, RecursionError):
        return 2, "a file of the input is nested too deeply."
    return 1, f"a defect of rsdetect ({type(error).__name__}: {error}); --debug shows where."


def _is_memory(error: BaseException) -> bool:
    """True where memory ran out, in Python or in a C++ library, by the text of its error."""
    return any(
        isinstance(each, MemoryError) or any(word in str(each).lower() for word in _MEMORY_WORDS)
        for each in _chain(error)
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
