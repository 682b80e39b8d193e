"""Commands under a limit of address space or data (`ulimit -v`, `ulimit -d`; Linux).

A library whose allocation fails may abort the process, exit, or wait for a thread that was never started, and
no exception reaches Python. Under such a limit the command therefore runs in a child process, and its parent,
which has imported no library, ends with status 3 where the child does not end by itself, or is stuck.
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
_STATUS = 3
_SIGNALS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))
_SECONDS_TO_END = 4.0  # after a signal; longer than rsdetect.interruption gives
_POLL_SECONDS = 0.05
_SECONDS_STUCK = 10.0  # from which on a child is ended
_LEAST_BUSY, _LEAST_OF_KERNEL = 0.2, 0.6  # share of a core, and of that time, of a child that spins
_MOST_IDLE, _MOST_LEFT = 0.01, 8 * 2**20  # share of a core, and bytes, of a child that waits in vain
_end_of_child: int | None = None  # of a pipe to the parent
_KILL_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl.h


def address_space_left(process: str = "self") -> int | None:
    """Bytes that a process can still map under the limits of this one; None = unlimited, or not known."""
    limits = _limits()
    if not limits:
        return None
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return None
    used = {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in status.splitlines())
        if name in ("VmSize", "VmData")
    }
    if not used:  # the process has ended
        return None
    return max(0, min(limit - used[name] for name, limit in limits.items()))


def run_in_child() -> int | None:
    """Status of the command that a child process runs, in the parent; None where this process runs it.

    Without a limit, or where the system is not Linux, no child is started.
    """
    global _end_of_child
    if not _limits():
        return None
    import ctypes

    read_end, write_end = os.pipe()
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
    signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
    sys.unraisablehook = _end_without_memory
    return None


def _end_without_memory(failed: sys.UnraisableHookArgs) -> None:
    """End the child where a thread got no memory to start: the thread that started it waits for ever."""
    if issubclass(failed.exc_type, MemoryError):
        os._exit(1)
    sys.__unraisablehook__(failed)


def ends_by_itself() -> None:
    """Let the parent know that the status of this process is rsdetect's own."""
    if _end_of_child is not None:
        with suppress(OSError):
            os.write(_end_of_child, b".")


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
    rest: tuple[str, ...] = ()  # of what would change

    def is_stuck(self) -> bool:
        """True once the child has been stuck for `_SECONDS_STUCK`."""
        now = time.monotonic()
        seconds = now - self.since
        if seconds < _SECONDS_STUCK:
            return False
        try:
            stat = Path(f"/proc/{self.child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            moved = Path(f"/proc/{self.child}/io").read_text(encoding="ascii").splitlines()[:2]
        except OSError:
            return False
        # Fields 10, 12, 14, 15 and 23 of proc(5): faults, those that read, user, system, size.
        user, kernel = (int(stat[number - 3]) / os.sysconf("SC_CLK_TCK") for number in (14, 15))
        rest = (*(stat[number - 3] for number in (10, 12, 23)), *moved)
        in_kernel, busy = kernel - self.kernel, kernel - self.kernel + user - self.user
        spins = busy > _LEAST_BUSY * seconds and in_kernel > _LEAST_OF_KERNEL * busy
        left = address_space_left(str(self.child))
        waits = busy < _MOST_IDLE * seconds and left is not None and left < _MOST_LEFT
        same = rest == self.rest
        self.since, self.kernel, self.user, self.rest = now, kernel, user, rest
        return same and (spins or waits)


@dataclass
class _Parent:
    """The process that waits for the command in `child`, and passes the first signal on."""

    child: int
    read_end: int
    signalled_at: float | None = None

    def wait(self, mask: set[int | signal.Signals]) -> int:
        """Status of the command, which is 3 where the child did not end by itself.

        `mask` holds the signals that stay blocked once the handlers are there.
        """
        for each in _SIGNALS:
            signal.signal(each, self._pass_on)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        watch = _Watch(self.child)
        while True:
            found, status = os.waitpid(self.child, os.WNOHANG)
            if found:
                break
            if self.signalled_at is not None and time.monotonic() - self.signalled_at > _SECONDS_TO_END:
                os.kill(self.child, signal.SIGKILL)
            if watch.is_stuck():
                os.kill(self.child, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        if os.WIFEXITED(status) and (os.WEXITSTATUS(status) == _STATUS or os.read(self.read_end, 1)):
            return os.WEXITSTATUS(status)  # with the message of the child, or of its guard
        message = ADVICE if self.signalled_at is None else "interrupted; the same command resumes the job."
        with suppress(OSError):
            os.write(2, f"Error: {message}\n".encode())
        return _STATUS

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if self.signalled_at is None:
            self.signalled_at = time.monotonic()
            os.kill(self.child, number)
