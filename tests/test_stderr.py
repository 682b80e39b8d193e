"""Standard error of a command: rsdetect's messages reach it, and no library's."""

from __future__ import annotations

import subprocess
import sys

RUN = """
import ctypes, os, subprocess, sys, threading, warnings
from rsdetect import stderr
with stderr.without_libraries():
    libc = ctypes.CDLL(None)
    libc.write(2, b"C library\\n", 10)
    subprocess.run([sys.executable, "-c", "import sys; print('child', file=sys.stderr)"])
    warnings.warn("a warning")
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    class Broken:
        def __del__(self):
            raise RuntimeError("unraisable")
    Broken()
    print("ours", file=sys.stderr)
    os.write(stderr.descriptor(), b"the guard's\\n")
os.write(2, b"after\\n")
print("the end", file=sys.stderr)
"""


def test_only_messages_reach_stderr():
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "ours\nthe guard's\nafter\nthe end\n"


def test_a_full_or_closed_stderr_is_no_error():
    script = (
        "from rsdetect import stderr; import sys\nwith stderr.without_libraries():\n    print(1, flush=True)"
    )
    for target in (">/dev/full", ">&-"):
        done = subprocess.run(
            ["bash", "-c", f'"$@" 2{target}', "bash", sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (0, b"1\n"), target
