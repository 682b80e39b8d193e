"""Commands under a limit of address space or data (`ulimit -v`, `ulimit -d`; Linux).

A library whose allocation fails may abort the process, exit, or wait for a thread that was never started, and
no exception reaches Python. Under such a limit the command therefore runs in a child process, and its parent,
which has imported no library, ends with status 3 where the child does not end by itself, or is stuck.

Only the parent writes how the command ended, once the child has: a process without memory may fail again
while it writes a message, and a signal need not come from a user (OpenBLAS raises SIGINT where it gets no
thread). What the parent cannot know, the child gives to it through a pipe.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

ADVICE = (
    "the memory or the threads that this process may take are used up; give the job less (--memory, "
    "--workers), or the process more (ulimit -v and -u, the container's limits), and run the same command "
    "again."
)
INTERRUPTED = "interrupted; the same command resumes the job."
_STATUS = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
_SECONDS_TO_END = 4.0  # after a signal; longer than rsdetect.interruption gives
_POLL_SECONDS = 0.05
_SECONDS_STUCK = 10.0  # from which on a child is ended
_MOST_SECONDS_TO_READ = 1.0  # what is known of a child
_LEAST_BUSY, _LEAST_OF_KERNEL = 0.2, 0.6  # share of a core, and of that time, of a child that spins
_SHORT = 64 * 2**20  # bytes; libraries map stacks, heaps of threads and blocks of GDAL's cache in such pieces
_MOST_IDLE, _MOST_LEFT = 0.01, 8 * 2**20  # share of a core, and bytes, of a child that waits in vain
_end_of_child: int | None = None  # of a pipe to the parent
_PROCESSES = Path("/proc")
_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl.h


def address_space_left(process: str = "self") -> int | None:
    """Bytes that a process can still map under the limits of this one; None = unlimited, or not known."""
    limits = _limits()
    used = _sizes(process) if limits else {}
    if not used:  # unlimited, or the process has ended
        return None
    return max(0, min(limit - used[name] for name, limit in limits.items()))


def _sizes(process: str) -> dict[str, int]:
    """Sizes of a process in bytes by their name in proc(5); empty if it has ended."""
    try:
        status = (_PROCESSES / process / "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return {}
    return {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in status.splitlines())
        if name in ("VmPeak", "VmSize", "VmData")
    }


def run_in_child() -> int | None:
    """Status of the command that a child process runs, in the parent; None where this process runs it.

    Without a limit, or where the system is not Linux, no child is started.
    """
    global _end_of_child
    if not _limits():
        return None
    import ctypes

    read_end, write_end = os.pipe()
    parent = os.getpid()
    # A signal waits for the parent's handlers: its default action would end the parent without a message.
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    child = os.fork()
    if child:
        os.close(write_end)
        return _Parent(child, read_end).wait(earlier)
    _end_of_child = write_end
    os.close(read_end)
    os.setpgid(0, 0)  # a signal to the group comes once, from the parent
    ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed before
        os._exit(_STATUS)
    signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
    sys.unraisablehook = _leave_or_print
    return None


def _leave_or_print(lost: sys.UnraisableHookArgs) -> None:
    leave_lost_error(lost.exc_type)
    sys.__unraisablehook__(lost)


def has_parent() -> bool:
    """True in a child, whose parent writes how the command ended."""
    return _end_of_child is not None


def leave_to_parent() -> None:
    """End the child, so that its parent gives the reason: a signal that it got, else no memory.

    Without a parent return.
    """
    if has_parent():
        os._exit(1)


def leave_lost_error(kind: type[BaseException]) -> None:
    """End the child where an error of this kind, which nothing receives, is a lack of memory.

    The thread that starts a thread which gets no memory waits for it for ever (CPython before 3.13), as does
    one that waits for the work of a thread that has ended.
    """
    if issubclass(kind, MemoryError):
        leave_to_parent()


def ends_by_itself(status: int, message: str = "") -> None:
    """Let the parent know the status of the command, and the line that it writes on stderr.

    Both hold however this process ends after that.
    """
    if _end_of_child is not None:
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        line = f"{message}\n".encode(encoding, "backslashreplace") if message else b""
        with suppress(OSError):
            os.write(_end_of_child, bytes([status]) + line)


def was_short() -> bool:
    """True if a limit has been nearly reached, so that any library may have failed for want of memory."""
    limits = _limits()
    if not limits:
        return False
    sizes = _sizes("self")
    used = {"VmSize": sizes.get("VmPeak", 0), "VmData": sizes.get("VmData", 0)}
    return any(limit - used[name] < _SHORT for name, limit in limits.items())


def _limits() -> dict[str, int]:
    """Limits in bytes by the line of /proc/self/status that they bound."""
    if not sys.platform.startswith("linux"):
        return {}
    try:
        import resource
    except ImportError:
        return {}
    both = {"VmSize": resource.RLIMIT_AS, "VmData": resource.RLIMIT_DATA}
    found = {name: resource.getrlimit(which)[0] for name, which in both.items()}
    return {name: limit for name, limit in found.items() if limit != resource.RLIM_INFINITY}


@dataclass
class _Watch:
    """Watch over a child that got no memory and goes on for ever, without an error.

    It spins, as OpenBLAS does, which asks again and again: its time is the kernel's. Or it waits for a thread
    that could not start, with no memory left. Its page faults, its size and what it reads and writes do not
    change then.
    """

    child: int
    since: float = field(default_factory=time.monotonic)
    kernel: float = 0.0  # seconds until then
    user: float = 0.0
    queued: float = 0.0
    rest: tuple[str, ...] = ()  # of what would change

    def is_stuck(self) -> bool:
        """True once the child has been stuck for `_SECONDS_STUCK`."""
        now = time.monotonic()
        seconds = now - self.since
        if seconds < _SECONDS_STUCK:
            return False
        process = _PROCESSES / str(self.child)
        try:
            stat = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            moved = (process / "io").read_text(encoding="ascii").splitlines()[:2]
            queued = _seconds_queued(process)
        except OSError:
            return False
        # Fields 10, 12, 14, 15 and 23 of proc(5): faults, those that read, user, system, size.
        user, kernel = (int(stat[number - 3]) / os.sysconf("SC_CLK_TCK") for number in (14, 15))
        rest = (*(stat[number - 3] for number in (10, 12, 23)), *moved)
        in_kernel, busy = kernel - self.kernel, kernel - self.kernel + user - self.user
        wanted = busy + queued - self.queued
        asks = busy > _MOST_IDLE * seconds and wanted > _LEAST_BUSY * seconds
        spins = asks and in_kernel > _LEAST_OF_KERNEL * busy
        left = address_space_left(str(self.child))
        waits = wanted < _MOST_IDLE * seconds and left is not None and left < _MOST_LEFT
        same = rest == self.rest
        self.since, self.kernel, self.user, self.queued = time.monotonic(), kernel, user, queued
        # Of several moments where this process was stopped meanwhile: compared with nothing.
        self.rest = rest if self.since - now < _MOST_SECONDS_TO_READ else ()
        return same and bool(self.rest) and (spins or waits)


def _seconds_queued(process: Path) -> float:
    """Seconds that the threads of a process were ready and had no core, as on a busy machine."""
    queued = 0.0
    for thread in (process / "task").iterdir():
        with suppress(OSError, IndexError):  # a thread that has ended; a kernel that does not count
            queued += int((thread / "schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    return queued


@dataclass
class _Parent:
    """The process that waits for the command in `child`, and passes the first signal on."""

    child: int
    read_end: int
    signalled_at: float | None = None
    given: bytes = b""  # what the child let it know

    def wait(self, mask: set[int | signal.Signals]) -> int:
        """Status of the command, which is 3 where the child did not end by itself; the message is written.

        `mask` holds the signals that stay blocked once the handlers are there.
        """
        for each in _SIGNALS:
            signal.signal(each, self._pass_on)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.set_blocking(self.read_end, False)  # a process that the child has forked may hold the other end
        watch = _Watch(self.child)
        while not os.waitpid(self.child, os.WNOHANG)[0]:
            self._receive()
            if self.signalled_at is not None and time.monotonic() - self.signalled_at > _SECONDS_TO_END:
                os.kill(self.child, signal.SIGKILL)
            if watch.is_stuck():
                os.kill(self.child, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        self._receive()
        if self.given:
            status, (line, end, _) = self.given[0], self.given[1:].partition(b"\n")
        else:
            status, end = _STATUS, b"\n"
            line = f"Error: {ADVICE if self.signalled_at is None else INTERRUPTED}".encode()
        if end:
            with suppress(OSError):
                os.write(2, line + end)
        return status

    def _receive(self) -> None:
        with suppress(BlockingIOError):
            while piece := os.read(self.read_end, 2**16):
                self.given += piece

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if self.signalled_at is None:
            self.signalled_at = time.monotonic()
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(self.child, number)
