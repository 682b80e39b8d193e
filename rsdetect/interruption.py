"""Interruption of a process by Ctrl-C or SIGTERM: it ends within seconds, even while a thread waits.

The first signal raises `KeyboardInterrupt` in the main thread, so that a job clears up. A library may catch
it, or raise an error of its own instead: `was_interrupted` is true for every error that follows a signal.
Further signals change nothing, so that they do not interrupt the clearing up.

Before the process ends it waits for threads that read or compute, and these may wait for a server. A guard
therefore ends the process after `SECONDS_TO_CLEAR_UP`: a thread, which the signal handler in C wakes through
a pipe even while the main thread is in a library. No Python thread runs while GDAL holds the interpreter
lock, as it does in some of its waits for servers. Before a file on another machine is opened, the guard
therefore moves into a process of its own (`guard_from_outside`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from rsdetect.limited_memory import INTERRUPTED, has_parent, leave_to_parent
from rsdetect.stderr import descriptor

SECONDS_TO_CLEAR_UP = 3.5
_INTERRUPTED = 3  # exit status
MESSAGE = f"Error: {INTERRUPTED}\n"

# Waits for a signal's number on stdin, gives its parent time, and ends it by SIGQUIT.
_OUTSIDE = f"""
import os, signal, sys, time
for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(each, signal.SIG_IGN)
parent, token = map(int, sys.argv[1:])
if os.read(0, 1):
    time.sleep({SECONDS_TO_CLEAR_UP})
    if os.getppid() == parent:
        if os.read(token, 1):
            os.write(2, {MESSAGE.encode()!r})
        else:
            time.sleep({SECONDS_TO_CLEAR_UP})
    if os.getppid() == parent:
        os.kill(parent, signal.SIGQUIT)
"""

_HAND_OVER = b"\0"  # no signal has this number


@dataclass
class _Guard:
    """The pipe that signals are written to, and who reads it.

    One byte is the right to say how the command ended: it is read by the command or by the guard, so that
    only one of them prints a message. Under a limit of memory neither does, and the parent prints it.
    """

    read_end: int
    write_end: int
    token: int  # read end of a pipe that holds the byte
    seconds: float
    received: bool = False  # a signal
    thread: threading.Thread | None = None
    outside: subprocess.Popen[bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)  # the command has ended

    def watch(self) -> None:
        """Wait for a signal, then for the process to end by itself; in a thread."""
        if os.read(self.read_end, 1) in (b"", _HAND_OVER):
            return
        if self.over.wait(self.seconds):
            return
        if self.may_say():
            leave_to_parent()
            with suppress(OSError):
                os.write(descriptor(), MESSAGE.encode())
        elif self.over.wait(self.seconds):
            return
        os._exit(_INTERRUPTED)

    def may_say(self) -> bool:
        """True for the first who asks."""
        return os.read(self.token, 1) != b""


_guard: _Guard | None = None


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal: the first one raises `KeyboardInterrupt`."""
    if _guard is not None and not _guard.received:
        _guard.received = True
        raise KeyboardInterrupt


def was_interrupted(error: BaseException) -> bool:
    """True for `KeyboardInterrupt`, an error raised while one was handled, and any error after a signal."""
    if _guard is not None and _guard.received:
        return True
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        if isinstance(found, KeyboardInterrupt):
            return True
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return False


def require_last_word() -> None:
    """Return if the command may print how it ended; from now on no signal interrupts it.

    If its guard does, the process ends here.
    """
    guard = _guard
    if guard is None:
        return
    guard.received = True
    if not guard.may_say():
        time.sleep(guard.seconds)


@contextmanager
def ending_in_time(seconds: float = SECONDS_TO_CLEAR_UP) -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM raise `KeyboardInterrupt` and leave `seconds` to clear up.

    In another thread than the main one, which gets no signals, nothing happens.
    """
    global _guard
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        yield
        return
    earlier = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    ends = os.pipe()
    os.set_blocking(ends[1], False)
    _guard = guard = _Guard(*ends, _one_byte(), seconds)
    for each in earlier:
        signal.signal(each, _interrupt)
    woken = signal.set_wakeup_fd(guard.write_end, warn_on_full_buffer=False)
    guard.thread = thread = threading.Thread(target=guard.watch, name="guard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        guard.received = True
        guard.over.set()
        _guard = None
        signal.set_wakeup_fd(woken)
        for each, handler in earlier.items():
            signal.signal(each, handler)
        with guard.lock:  # of a thread that asks for a guard outside
            if guard.outside is not None:
                guard.outside.kill()
                guard.outside.wait()
            with suppress(BlockingIOError):  # full, so that the thread has something to read
                os.write(guard.write_end, _HAND_OVER)  # to close it would not do: a fork may have it, too
            thread.join()
            for end in (*ends, guard.token):
                os.close(end)


def _one_byte() -> int:
    """Read end of a pipe that holds one byte, and nothing after it."""
    read_end, write_end = os.pipe()
    os.write(write_end, b".")
    os.close(write_end)
    return read_end


def leave_threads(earlier: set[threading.Thread], status: int) -> None:
    """End the process of a command that has failed, if threads that it started still wait or compute.

    The interpreter would wait for them without any guard, for minutes where a server is silent.

    Parameters
    ----------
    earlier
        Threads that were there before the command.
    status
        Exit status.
    """
    if any(not each.daemon for each in set(threading.enumerate()) - earlier):
        os._exit(status)


def guard_from_outside() -> None:
    """Let another process guard this one's end, from now on; nothing outside of `ending_in_time`."""
    guard = _guard
    if guard is None:
        return
    with guard.lock:
        if guard.outside is not None or guard.thread is None or guard.over.is_set():
            return
        # One reader of the pipe at a time: the thread would take the signal's number, and then wait for the
        # interpreter lock to do anything about it.
        os.write(guard.write_end, _HAND_OVER)
        guard.thread.join()
        # SIGQUIT has the number of the exit status. So C's `_exit` as its handler ends the
        # process with that status, without the interpreter lock.
        assert int(signal.SIGQUIT) == _INTERRUPTED
        import ctypes

        libc = ctypes.CDLL(None)
        libc.signal.argtypes, libc.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        libc.signal(signal.SIGQUIT, ctypes.cast(libc._exit, ctypes.c_void_p))
        guard.outside = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-c", _OUTSIDE, str(os.getpid()), str(guard.token)],
            pass_fds=(guard.token,),
            stdin=guard.read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if has_parent() else descriptor(),  # a parent writes the message
        )
