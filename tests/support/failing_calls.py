"""Calls of the system that fail once, by strace."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.forked import forked_commands
from support.trials import trials

# What a job does to files, and the error that each may end with on a disk that fills up or fails.
CALLS = {
    "write": "ENOSPC",
    "pwrite64": "ENOSPC",
    "close": "EIO",
    "fsync": "EIO",
    "rename": "EIO",
    "mkdir": "ENOSPC",
    "unlink": "EIO",
    "rmdir": "EIO",
}
_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$", re.M)


@dataclass(frozen=True)
class Failure:
    """The n-th call of a kind fails, in every thread."""

    call: str
    number: int

    def options(self):
        error = CALLS[self.call]
        return "-e", f"trace={self.call}", "-e", f"inject={self.call}:error={error}:when={self.number}"

    def __str__(self):
        return f"{self.call} {self.number} ({CALLS[self.call]})"


@dataclass(frozen=True)
class Command:
    """A command whose calls fail, and how its results are compared.

    Parameters
    ----------
    arguments
        Of the command line.
    out
        Folder whose files are met.
    reset
        Makes what was there before the command.
    result
        What is compared of `out`.
    files
        Names in `out` that must be there at the end, and no others.
    """

    name: str
    arguments: tuple[object, ...]
    out: Path
    reset: object
    result: object
    files: object


def traced(options, arguments, log):
    """Run the command line under strace; status, stderr and what strace saw."""
    forked = forked_commands()
    pid = forked.start(*arguments, traced=True)
    tracer = ["strace", "-f", "-qq", "-y", "-s", "200", "-o", str(log), *options, "-p", str(pid)]
    with subprocess.Popen(tracer, stderr=subprocess.DEVNULL) as process:
        while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
            assert process.poll() is None, "strace cannot trace"
            time.sleep(0.01)
        os.kill(pid, signal.SIGUSR1)
        done = forked.result()
    return done["status"], done["err"], log.read_text(errors="replace")


def require_strace(folder):
    """Skip where strace is missing or may not trace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if subprocess.run(
        ["strace", "-o", folder / "probe", "true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("processes cannot be traced here")


def failures(folder, arguments, log):
    """Every failure that meets a file below `folder`, from one run that is only watched."""
    status, told, seen = traced(["-e", f"trace={','.join(CALLS)}"], arguments, log)
    assert status == 0, told
    numbers, found = Counter(), {}
    for thread, call, rest in _CALL.findall(seen):
        numbers[thread, call] += 1
        if f"{folder}/" in rest and call in CALLS:
            found[Failure(call, numbers[thread, call])] = None
    return list(found)


def hits(folder, log):
    """Files below `folder` that an injected failure met, and the others."""
    injected = [line for line in log.splitlines() if "(INJECTED)" in line]
    inside = [line for line in injected if f"{folder}/" in line]
    return inside, [line for line in injected if line not in inside]


def try_failures(command, work, count):
    """Let calls of a command fail, each once: the result is right or the status 3, and right the next time.

    Parameters
    ----------
    work
        Folder for strace's log.
    count
        How many failures meet a file of the job alone; None = all are tried.
    """
    require_strace(work)
    command.reset()
    every = failures(command.out.resolve(), command.arguments, work / "log")
    wanted, files = command.result(command.out), command.files(command.out)
    # What a failure meets depends on the order of the threads: others are tried until enough have met a file.
    chosen = every if count is None else random.Random(1).sample(every, len(every))
    met = 0
    by_name = {str(each): each for each in chosen}
    for name in trials("failing calls", command.name, by_name):
        met += _try_failure(command, by_name[name], work, (wanted, files))
        if met == count:
            break
    assert met or count is None, "no failure met a file of the job alone"


def _try_failure(command, failure, work, wanted):
    """True where the failure met a file of the job alone, and all was well."""
    command.reset()
    status, told, log = traced(failure.options(), command.arguments, work / "log")
    inside, outside = hits(command.out.resolve(), log)
    if outside or not inside:
        return False  # another file was met in another thread; the next failures are met alone
    assert status in (0, 3), (failure, inside, told)
    assert "Traceback" not in told and "defect" not in told, (failure, told)
    if status == 0:
        assert command.result(command.out) == wanted[0], (failure, inside)
    else:
        assert told.strip(), failure
    again = forked_commands().run(*command.arguments)
    if status == 0 and again["status"] == 2 and command.files(command.out) == wanted[1]:
        return True  # it had ended with complete results
    assert again["status"] == 0, (failure, inside, again["err"])
    assert (command.result(command.out), command.files(command.out)) == wanted, (failure, inside)
    return True
