"""Standard error of a command: messages of rsdetect, and nothing of the libraries.

GDAL, PROJ, OpenMP, BLAS and the C++ runtime write to descriptor 2 when they please. While a command runs,
that descriptor leads nowhere, and `sys.stderr` writes to a copy of the original one.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rsdetect.limited_memory import leave_lost_error

_STDERR = 2
_original: int | None = None  # a copy of the stderr of the process, while descriptor 2 leads nowhere


def descriptor() -> int:
    """Descriptor of the stderr that users see."""
    return _STDERR if _original is None else _original


@contextmanager
def without_libraries() -> Iterator[None]:
    """Inside, only `sys.stderr` reaches the stderr of the process, unless it is another file already.

    Warnings of Python's libraries, and errors in threads and destructors, are not printed.
    """
    global _original
    before = sys.stderr
    try:
        ours = before is not None and before.fileno() == _STDERR
        kept = os.dup(_STDERR) if ours else -1
    except (OSError, ValueError, AttributeError):  # closed, or replaced by something without a descriptor
        ours = False
    if not ours:
        yield
        return
    hooks = warnings.showwarning, sys.unraisablehook, threading.excepthook
    sys.stderr = os.fdopen(kept, "w", 1, before.encoding, "backslashreplace")
    _original = kept
    warnings.showwarning, sys.unraisablehook, threading.excepthook = _ignore, _ignore_error, _ignore_error
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        with suppress(OSError):  # what a full disk did not take
            sys.stderr.close()
        sys.stderr, _original = before, None
        warnings.showwarning, sys.unraisablehook, threading.excepthook = hooks


def _ignore(*_: object, **__: object) -> None:
    pass


def _ignore_error(lost: sys.UnraisableHookArgs | threading.ExceptHookArgs) -> None:
    leave_lost_error(lost.exc_type)
