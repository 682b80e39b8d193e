"""Calls of the system that fail once, by strace."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

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


def traced(options, arguments, log):
    """Run the command line under strace; status, stderr and what strace saw."""
    command = ["strace", "-f", "-qq", "-y", "-s", "200", "-o", str(log), *options]
    program = (sys.executable, "-m", "rsdetect.cli", *map(str, arguments))
    done = subprocess.run([*command, *program], capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stderr, log.read_text(errors="replace")


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
