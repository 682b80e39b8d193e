"""Commands under a limit of address space: whatever a library does, the status is 3 and memory is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from rsdetect import limited_memory
from rsdetect.interruption import MESSAGE
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
    status = 0
    {command}
    limited_memory.ends_by_itself(status)
sys.exit(status)
"""

MAIN = """
import atexit, os, resource, signal, sys, threading, time
from rsdetect import cli, interruption
from rsdetect.errors import InputError
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
def fail(error):
    raise error
def strike():
    os.kill(os.{struck}(), signal.SIGINT)
    time.sleep(600)
def lose(then):
    try:
        strike()
    except KeyboardInterrupt:
        then()
cli.app = lambda standalone_mode: {command}
{before}
sys.argv[1:] = {options}
cli.main()
"""


@pytest.fixture
def run():
    """Start a command; what is left of it at the end of the test is ended."""
    started = []

    def start(command, limit="AS", before="", stuck=60):
        code = RUN.format(command=command, limit=limit, before=before, stuck=stuck)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([sys.executable, "-c", code], text=True, **pipes))
        return started[-1]

    yield start
    for child in started:
        with child:
            child.kill()


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        ("os.abort()", "AS"),
        ("os.abort()", "DATA"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "AS"),
        ("ctypes.string_at(0)", "AS"),
        ("os._exit(1)", "AS"),  # as OpenMP and OpenBLAS do
        ("os._exit(3)", "AS"),  # as the guard does
        ("signal.signal(signal.SIGINT, signal.SIG_DFL); signal.raise_signal(signal.SIGINT)", "AS"),
    ],
)
def test_a_library_that_ends_the_process_is_a_lack_of_memory(run, command, limit):
    child = run(command, limit)
    _, said = child.communicate()
    assert child.returncode == 3
    assert said.startswith("Error: the memory") and "--memory" in said and said.count("\n") == 1


CALLS = "calling, taken = ctypes.CDLL(None).getrandom, ctypes.create_string_buffer(2**20)"


@pytest.mark.parametrize(
    ("command", "before", "stuck"),
    [
        ("while True: calling(taken, 2**20, 0)", CALLS, 1),  # the time is the kernel's; nothing else changes
        (  # as for a thread of a library that could not start
            "ctypes.CDLL(None).mmap(None, ctypes.c_size_t(most), 0, 0x22, -1, 0); time.sleep(600)",
            "most = limited_memory.address_space_left() - 2**21",
            1,
        ),
        (  # the thread that starts it would wait for ever (CPython before 3.13)
            "threading.Thread._bootstrap = lambda _: (_ for _ in ()).throw(MemoryError); "
            "threading.Thread(target=print).start()",
            "",
            60,
        ),
    ],
    ids=["asks for memory for ever", "waits without any left", "starts a thread that gets none"],
)
def test_a_command_that_would_never_end_for_want_of_memory_is_ended(run, command, before, stuck):
    child = run(command, before=before, stuck=stuck)
    _, said = child.communicate()
    assert child.returncode == 3
    assert said.startswith("Error: the memory") and said.count("\n") == 1


def test_nothing_is_known_of_the_memory_of_a_process_that_has_ended(run):
    child = run(
        "child = os.fork() or os._exit(0); os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT); "
        "print(limited_memory.address_space_left(str(child)))"
    )
    assert child.communicate() == ("None\n", "")


@pytest.mark.parametrize(
    ("kernel", "queued", "stuck"), [(0.3, 9, True), (3, 0, True), (0.3, 0, False), (0.01, 9, False)]
)
def test_a_child_that_spins_on_a_busy_machine_gets_little_time(tmp_path, monkeypatch, kernel, queued, stuck):
    """Seconds of ten that two threads have spent in the kernel, and have waited for a core."""
    monkeypatch.setattr(limited_memory, "_PROCESSES", tmp_path)
    monkeypatch.setattr(limited_memory, "_MOST_SECONDS_TO_READ", 600)

    def readings(kernel, queued):
        fields = ["0"] * 50
        fields[15 - 3] = str(round(kernel * os.sysconf("SC_CLK_TCK")))
        (tmp_path / "7" / "stat").write_text(f"7 (a) b) {' '.join(fields)}")
        (tmp_path / "7" / "io").write_text("rchar: 1\nwchar: 1\nsyscr: 1\n")
        for thread in ("7", "8"):
            (tmp_path / "7" / "task" / thread).mkdir(parents=True, exist_ok=True)
            (tmp_path / "7" / "task" / thread / "schedstat").write_text(f"1 {int(queued * 1e9 / 2)} 1\n")

    (tmp_path / "7").mkdir()
    watch = limited_memory._Watch(7, since=time.monotonic() - 10)
    readings(1, 1)
    assert not watch.is_stuck()
    watch.since -= 10
    readings(1 + kernel, 1 + queued)
    assert watch.is_stuck() == stuck


def test_what_is_read_of_a_command_while_its_parent_is_stopped_is_not_compared(monkeypatch):
    clock = iter([20, 20.1, 30.2, 40, 49.9, 50, 50.1])
    monkeypatch.setattr(limited_memory, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    watch = limited_memory._Watch(os.getpid(), since=0)
    assert not watch.is_stuck() and watch.since == 20.1 and watch.rest
    assert not watch.is_stuck() and watch.since == 40 and not watch.rest
    assert not watch.is_stuck() and watch.since == 40
    assert not watch.is_stuck() and watch.since == 50.1 and watch.rest


@pytest.mark.parametrize(
    "command",
    [
        "while time.monotonic() < end: sum(range(1000))",
        "time.sleep(2.5)",
        "while time.monotonic() < end: calling(taken, 2**20, 0), os.write(null, b'-')",
    ],
    ids=["computes", "sleeps", "writes"],
)
def test_a_command_that_works_or_waits_is_not_taken_for_spinning(run, command):
    before = f"{CALLS}; null = os.open(os.devnull, os.O_WRONLY); end = time.monotonic() + 2.5"
    child = run(command, before=before, stuck=1)
    assert child.communicate() == ("", "")
    assert child.returncode == 0


@pytest.mark.parametrize(("command", "status"), [("pass", 0), ("status = 2", 2)])
def test_a_status_of_the_command_is_passed_on(run, command, status):
    child = run(command)
    assert child.communicate() == ("", "")
    assert child.returncode == status


@pytest.mark.parametrize("end", ["status = 2", "os._exit(3)", "os.abort()"])
@pytest.mark.parametrize("length", [1, 10**6], ids=["short", "more than a pipe holds"])
def test_the_message_of_a_command_is_written_once_however_it_ends(run, end, length):
    child = run(f"limited_memory.ends_by_itself(2, 'Error: ' + 'x' * {length}); {end}")
    assert child.communicate() == ("", f"Error: {'x' * length}\n")
    assert child.returncode == 2


def test_the_message_of_a_command_has_the_encoding_of_its_stderr(run):
    child = run(
        "sys.stderr.reconfigure(encoding='ascii'); limited_memory.ends_by_itself(2, 'Error: \u00e9.')"
    )
    assert child.communicate() == ("", "Error: \\xe9.\n")


def test_a_command_that_is_killed_after_a_signal_has_one_message(run):
    """It ignores the signal, so that its parent kills it."""
    child = run(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); limited_memory.ends_by_itself(2, 'Error: wrong.'); "
        "print(1, flush=True); time.sleep(600)"
    )
    assert child.stdout.readline() == "1\n"
    child.terminate()
    assert child.communicate() == ("", "Error: wrong.\n")
    assert child.returncode == 2


def test_a_process_that_the_command_has_forked_and_left_delays_nothing(run):
    child = run("print(os.fork() or time.sleep(600), flush=True); os._exit(1)")
    left = int(child.stdout.readline())
    _, said = child.stdout.close(), child.stderr.readline()
    assert child.wait() == 3 and said.startswith("Error: the memory")
    os.kill(left, signal.SIGKILL)
    child.stderr.close()


def test_a_command_was_short_of_memory_if_its_peak_was_near_the_limit(run):
    child = run(
        "print(limited_memory.was_short()); import mmap; "
        "mmap.mmap(-1, limited_memory.address_space_left() - 2**25).close(); "
        "print(limited_memory.was_short(), limited_memory.address_space_left() > 2**30)"
    )
    assert child.communicate() == ("False\nTrue True\n", "")


def run_main(command, before="", struck="getpid", options=()):
    code = MAIN.format(command=command, before=before, struck=struck, options=options)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("command", "before"),
    [
        ("fail(MemoryError())", ""),
        ("fail(MemoryError())", "cli.status_of = lambda _: fail(SystemError('error return'))"),
        ("fail(ValueError())", "cli._end = lambda *_: fail(MemoryError())"),
        ("None", "cli._close_streams = lambda: fail(MemoryError())"),
        (
            "threading.Thread(target=print).start()",
            "threading.Thread._bootstrap = lambda _: fail(MemoryError())",
        ),
        ("(threading.Thread(target=fail, args=[MemoryError()]).start(), threading.Event().wait())", ""),
    ],
    ids=["the command", "its status", "its message", "its end", "a thread that starts", "a thread"],
)
def test_wherever_memory_runs_out_the_parent_gives_the_one_message(command, before):
    status, said = run_main(command, before)
    assert status == 3
    assert said.startswith("Error: the memory") and said.count("\n") == 1


SOON = "genuine = cli.ending_in_time; cli.ending_in_time = lambda: genuine(0.1)"
OUTSIDE = "interruption._OUTSIDE = interruption._OUTSIDE.replace('sleep(3.5)', 'sleep(0.1)')"


@pytest.mark.parametrize(("struck", "names"), [("getpid", "memory"), ("getppid", "interruption")])
@pytest.mark.parametrize(
    ("command", "before"),
    [
        ("strike()", ""),
        ("lose(lambda: fail(ValueError()))", ""),
        ("lose(lambda: time.sleep(600))", SOON),
        ("(interruption.guard_from_outside(), lose(lambda: time.sleep(600)))", OUTSIDE),
        ("0", "signal.signal(signal.SIGINT, signal.default_int_handler); cli.without_libraries = strike"),
        ("0", "cli._close_streams = strike"),
        ("fail(InputError('wrong.'))", "cli._end = lambda *_: strike()"),
    ],
    ids=["the command", "another error", "a guard", "a guard outside", "the start", "the end", "a message"],
)
def test_a_signal_that_no_user_has_sent_is_a_lack_of_memory(struck, names, command, before):
    """OpenBLAS raises SIGINT where it gets no thread; the parent gets those of users."""
    status, said = run_main(command, before, struck)
    assert status == 3
    assert said == (MESSAGE if names == "interruption" else f"Error: {limited_memory.ADVICE}\n")


@pytest.mark.parametrize("struck", ["getpid", "getppid"])
def test_with_debug_the_traceback_is_all(struck):
    status, said = run_main("strike()", struck=struck, options=["--debug"])
    assert status == 3
    assert said.startswith("Traceback") and said.endswith("\nKeyboardInterrupt\n") and "Error: " not in said


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [("0", 0, ""), ("fail(SystemExit(4))", 4, ""), ("fail(InputError('wrong.'))", 2, "Error: wrong.\n")],
    ids=["done", "exit", "refused"],
)
def test_the_status_holds_however_the_process_ends(command, status, said):
    """As where a library crashes while the interpreter ends."""
    assert run_main(f"(atexit.register(os.abort), {command})[1]") == (status, said)


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_ignores_signals_ends_by_the_first(run, first):
    child = run(
        "[signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGTERM)]; "
        "print(1, flush=True); time.sleep(600)"
    )
    assert child.stdout.readline() == "1\n"
    child.send_signal(first)
    _, said = child.communicate()
    assert (child.returncode, said) == (3, MESSAGE)


def test_a_signal_right_after_the_fork_waits_for_the_handlers(run):
    child = run(
        "time.sleep(600)",
        before="fork = os.fork\n"
        "os.fork = lambda: (child := fork()) and (os.kill(os.getpid(), signal.SIGTERM), child)[1]",
    )
    _, said = child.communicate()
    assert (child.returncode, said) == (3, MESSAGE)


def test_a_signal_to_a_command_that_has_just_ended_is_no_error(run):
    child = run(
        "pass",
        before="wait = os.waitpid\n"
        "def ended(*given):\n"
        "    found = wait(*given)\n"
        "    if found[0]:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "    return found\n"
        "os.waitpid = ended",
    )
    assert child.communicate() == ("", "")
    assert child.returncode == 0


def test_a_command_whose_parent_dies_right_after_the_fork_ends(run):
    child = run(
        "print(1); time.sleep(600)",
        before="setpgid = os.setpgid\n"
        "def killing(*given):\n"
        "    parent = os.getppid()\n"
        "    os.kill(parent, signal.SIGKILL)\n"
        "    while os.getppid() == parent:\n"
        "        time.sleep(0.01)\n"
        "    setpgid(*given)\n"
        "os.setpgid = killing",
    )
    assert child.communicate() == ("", "")


def test_a_command_dies_with_its_parent(run):
    child = run("print(os.getpid(), flush=True); time.sleep(600)")
    assert child.stdout.readline().strip().isdigit()
    child.kill()
    assert child.communicate()[0] == ""  # ends when the last process that has the pipe does


def test_a_command_that_cannot_load_its_libraries_names_memory(run):
    limited = 'ulimit -v 200000; exec "$@"'
    done = subprocess.run(
        ["bash", "-c", limited, "bash", *COMMAND, "check", "a.tif", "b.tif"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: the memory") and done.stderr.count("\n") == 1
