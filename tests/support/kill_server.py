"""Runs of the command line in forks of this process, killed before the n-th change of files under a folder.

A program of its own, so that what is forked has one thread and everything imported. A line of JSON in, a line
out: `{"arguments": [...], "folder": "...", "kill": n}` (0 = never) gives
`{"status": ..., "changes": ..., "stderr": "..."}`, where the status of a run that was killed is -9.

Changes are what Python makes known by its audit events: opening for writing, renames, removals, new folders,
links and databases. Those that GDAL makes by itself are not among them.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Where the paths of an event stand among its arguments, and the descriptors from which they count.
EVENTS = {
    "open": [(0, None)],
    "os.rename": [(0, 2), (1, 3)],
    "os.remove": [(0, 1)],
    "os.rmdir": [(0, 1)],
    "os.mkdir": [(0, 2)],
    "os.link": [(0, 2), (1, 3)],
    "sqlite3.connect": [(0, None)],
}


def count_changes(folder, kill, seen):
    """From now on count changes under `folder` into `seen` (8 bytes that two processes share)."""
    lock, within = threading.RLock(), threading.local()

    def is_below(arguments, place, descriptor):
        path = arguments[place] if place < len(arguments) else None
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        at = arguments[descriptor] if descriptor is not None and descriptor < len(arguments) else -1
        start = Path(f"/proc/self/fd/{at}").readlink() if isinstance(at, int) and at >= 0 else Path.cwd()
        return os.path.normpath(start / os.fsdecode(path)).startswith(folder + os.sep)

    def hook(event, arguments):
        if event not in EVENTS or getattr(within, "hook", False):
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
            return
        within.hook = True
        try:
            if any(is_below(arguments, *where) for where in EVENTS[event]):
                with lock:
                    number = int.from_bytes(seen[:8], "little") + 1
                    seen[:8] = number.to_bytes(8, "little")
                    if number == kill:
                        os.kill(os.getpid(), signal.SIGKILL)
        except OSError:
            pass
        finally:
            within.hook = False

    sys.addaudithook(hook)


def run(arguments, folder, kill):
    """One run in a fork."""
    seen = mmap.mmap(-1, 8)
    with tempfile.TemporaryFile() as stderr:
        child = os.fork()
        if not child:
            os.dup2(stderr.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.argv = ["rsdetect", *arguments]
            count_changes(str(Path(folder).resolve()), kill, seen)
            status = 1
            try:
                from rsdetect.cli import main

                main()
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        stderr.seek(0)
        text = stderr.read().decode(errors="replace")
    return {"status": status, "changes": int.from_bytes(seen[:8], "little"), "stderr": text}


def serve():
    """Answer until the other side closes."""
    import dask.threaded  # noqa: F401
    import geopandas  # noqa: F401

    import rsdetect.cli
    import rsdetect.jobs.detect  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(run(**json.loads(line))) + "\n")
        answers.flush()


class KillServer:
    """The other side: starts the program, and asks it."""

    def __init__(self):
        import subprocess

        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, *arguments, folder, kill=0):
        """Status, number of changes under `folder`, and stderr."""
        asked = {"arguments": [str(each) for each in arguments], "folder": str(folder), "kill": kill}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        """End the program."""
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


if __name__ == "__main__":
    serve()
