"""Runs of the command line in forks of a process that has imported everything, killed or traced on request.

A program of its own, so that what is forked has one thread. A line of JSON in, two lines out: `{"pid": ...}`
when the run has begun, and `{"status": ..., "changes": ..., "out": ..., "err": ...}` when it has ended, where
the status of a run that was killed is -9.

Changes are what Python makes known by its audit events: opening for writing, renames, removals, new folders,
links and databases. Those that GDAL makes by itself are not among them.
"""

from __future__ import annotations

import atexit
import functools
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
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
# What most commands import, at once or when they first need it.
IMPORTED = (
    "dask.threaded",
    "geopandas",
    "rsdetect.cli",
    "rsdetect.commands.summary",
    "rsdetect.detectors.cva",
    "rsdetect.jobs.detect",
    "rsdetect.scenes.verify",
    "scipy.fft",
    "scipy.ndimage",
    "skimage.filters",
    "skimage.registration._phase_cross_correlation",
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
STARTED_WITH = frozenset(os.environ)
_SET_PTRACER, _ANY = 0x59616D61, -1  # prctl: any process of this user may trace this one


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


def wait_for_tracer():
    """Return at SIGUSR1, by one call of the system, so that the calls that follow can be counted."""
    import ctypes

    ctypes.CDLL(None).prctl(_SET_PTRACER, _ANY, 0, 0, 0)
    signal.sigwait({signal.SIGUSR1})


def in_fork(arguments, cwd, environment, prepare, folder, kill, traced, seen):
    """The run itself; never returns."""
    status = 1
    try:
        os.chdir(cwd)
        for name in STARTED_WITH - environment.keys():  # another test had set it when the program was started
            os.environ.pop(name, None)
        os.environ.update(environment)
        if traced:
            wait_for_tracer()
        exec(prepare, {})
        sys.argv = ["rsdetect", *arguments]
        if folder:
            count_changes(str(Path(folder).resolve()), kill, seen)
        from rsdetect.cli import main

        main()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        # As the interpreter ends: it waits for threads, calls what is registered, and flushes.
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def run(answer, **job):
    """One run in a fork; `answer` sends a line."""
    seen = mmap.mmap(-1, 8)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})  # kept until the fork waits for it
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            in_fork(seen=seen, **job)
        answer({"pid": child})
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
    changes = int.from_bytes(seen[:8], "little")
    answer({"status": status, "changes": changes, "out": texts[0], "err": texts[1]})


def serve(modules):
    """Answer until the other side closes; imports `modules` first."""
    import gc
    import importlib

    from rsdetect.jobs.record import describe_machine
    from rsdetect.pages.templates import _template_environment

    for each in (*IMPORTED, *modules):
        importlib.import_module(each)
    # What each run would look up or compile for itself.
    describe_machine("cpu")
    templates = _template_environment()
    for name in templates.list_templates(extensions=["html", "qgs"]):
        templates.get_template(name)
    gc.collect()
    gc.freeze()
    answers = os.fdopen(os.dup(1), "w")

    def answer(content):
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    for line in sys.stdin:
        run(answer, **json.loads(line))


class ForkedCommands:
    """The other side: starts the program, and asks it for one run after the other."""

    def __init__(self, *modules):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | ONE_THREAD,
        )

    def start(self, *arguments, folder="", kill=0, prepare="", traced=False, **environment):
        """Begin a run; its process.

        Parameters
        ----------
        folder, kill
            The run is killed before this change (from 1) of files below this folder; 0 = never.
        prepare
            Python code to execute first, in the process of the run.
        traced
            Wait for SIGUSR1, as who traces it sends it.
        environment
            Variables beside those of this process.
        """
        job = {
            "arguments": [str(each) for each in arguments],
            "cwd": str(Path.cwd()),
            "environment": os.environ | ONE_THREAD | environment,
            "folder": str(folder),
            "kill": kill,
            "prepare": prepare,
            "traced": traced,
        }
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())["pid"]

    def result(self):
        """Status, number of changes under `folder`, stdout and stderr of the run, when it has ended."""
        return json.loads(self._process.stdout.readline())

    def run(self, *arguments, timeout=600, **how):
        """The result of a whole run, which is killed after `timeout` seconds; the rest as in `start`."""
        pid = self.start(*arguments, **how)
        watch = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
        watch.start()
        try:
            return self.result()
        finally:
            watch.cancel()
            watch.join()

    def close(self):
        """End the program."""
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@functools.cache
def forked_commands(*modules):
    """The program that all tests of this process share, one for each set of modules that it imports."""
    program = ForkedCommands(*modules)
    atexit.register(program.close)
    return program


if __name__ == "__main__":
    serve(sys.argv[1:])
