"""Commands under a limit of address space: whatever a library does, the status is 3 and memory is named."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from support.jobs import COMMAND

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")

RUN = """
import ctypes, os, resource, signal, sys, threading, time
from rsdetect import limited_memory
limited_memory._SECONDS_TO_END = 0.2
limited_memory._SECONDS_STUCK = {stuck}
resource.setrlimit(resource.RLIMIT_{limit}, (2**31, 2**31))
{before}
status = limited_memory.run_in_child()
if status is None:
    try:
        status = 0
        {command}
    finally:
        limited_memory.ends_by_itself()
sys.exit(status)
"""


def run(command, limit="AS", before="", stuck=60):
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(command=command, limit=limit, before=before, stuck=stuck)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        ("os.abort()", "AS"),
        ("os.abort()", "DATA"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "AS"),
        ("ctypes.string_at(0)", "AS"),
        ("os._exit(1)", "AS"),  # as OpenMP and OpenBLAS do
    ],
)
def test_a_library_that_ends_the_process_is_a_lack_of_memory(command, limit):
    child = run(command, limit)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 3
    assert said.startswith("Error: the memory") and "--memory" in said and said.count("\n") == 1


CALLS = "calling, taken = ctypes.CDLL(None).getrandom, ctypes.create_string_buffer(2**20)"


def test_a_library_that_asks_for_memory_for_ever_is_ended():
    """It spends its time in the kernel, as here, and nothing else changes."""
    child = run("while True: calling(taken, 2**20, 0)", before=CALLS, stuck=1)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 3
    assert said.startswith("Error: the memory") and said.count("\n") == 1


def test_a_command_that_waits_without_any_memory_left_is_ended():
    """As for a thread of a library that could not start."""
    child = run(
        "ctypes.CDLL(None).mmap(None, ctypes.c_size_t(most), 0, 0x22, -1, 0); time.sleep(600)",
        before="most = limited_memory.address_space_left() - 2**21",
        stuck=1,
    )
    _, said = child.communicate(timeout=60)
    assert child.returncode == 3
    assert said.startswith("Error: the memory") and said.count("\n") == 1


def test_a_thread_that_gets_no_memory_to_start_ends_the_command():
    """The thread that starts it would wait for ever (CPython before 3.13)."""
    child = run(
        "threading.Thread._bootstrap = lambda _: (_ for _ in ()).throw(MemoryError); "
        "threading.Thread(target=print).start()"
    )
    _, said = child.communicate(timeout=60)
    assert child.returncode == 3
    assert said.startswith("Error: the memory") and said.count("\n") == 1


def test_nothing_is_known_of_the_memory_of_a_process_that_has_ended():
    child = run(
        "child = os.fork() or os._exit(0); os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT); "
        "print(limited_memory.address_space_left(str(child)))"
    )
    assert child.communicate(timeout=60) == ("None\n", "")


@pytest.mark.parametrize(
    "command",
    [
        "while time.monotonic() < end: sum(range(1000))",
        "time.sleep(2.5)",
        "while time.monotonic() < end: calling(taken, 2**20, 0), os.write(null, b'-')",
    ],
    ids=["computes", "sleeps", "writes"],
)
def test_a_command_that_works_or_waits_is_not_taken_for_spinning(command):
    before = f"{CALLS}; null = os.open(os.devnull, os.O_WRONLY); end = time.monotonic() + 2.5"
    child = run(command, before=before, stuck=1)
    assert child.communicate(timeout=60) == ("", "")
    assert child.returncode == 0


@pytest.mark.parametrize(
    ("command", "status"),
    [("pass", 0), ("status = 2", 2), ("sys.exit(1)", 1), ("os._exit(3)", 3)],  # the last as the guard does
)
def test_a_status_of_the_command_is_passed_on(command, status):
    child = run(command)
    assert child.communicate(timeout=60) == ("", "")
    assert child.returncode == status


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_ignores_signals_ends_by_the_first(first):
    child = run(
        "[signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)]; "
        "print(1, flush=True); time.sleep(600)"
    )
    assert child.stdout.readline() == "1\n"
    child.send_signal(first)
    _, said = child.communicate(timeout=60)
    assert (child.returncode, said) == (3, "Error: interrupted; the same command resumes the job.\n")


def test_a_signal_right_after_the_fork_waits_for_the_handlers():
    child = run(
        "time.sleep(600)",
        before="fork = os.fork\n"
        "os.fork = lambda: (child := fork()) and (os.kill(os.getpid(), signal.SIGTERM), child)[1]",
    )
    _, said = child.communicate(timeout=60)
    assert (child.returncode, said) == (3, "Error: interrupted; the same command resumes the job.\n")


def test_a_command_dies_with_its_parent():
    child = run("print(os.getpid(), flush=True); time.sleep(600)")
    assert child.stdout.readline().strip().isdigit()
    child.kill()
    assert child.communicate(timeout=60)[0] == ""  # ends when the last process that has the pipe does


def test_a_command_that_cannot_load_its_libraries_names_memory():
    limited = 'ulimit -v 200000; exec "$@"'
    done = subprocess.run(
        ["bash", "-c", limited, "bash", *COMMAND, "check", "a.tif", "b.tif"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: the memory") and done.stderr.count("\n") == 1
