"""Run a job in children that are killed at random moments; each is a process of its own.

    python nursery.py JOB.yaml KILLS SEED

A child counts the moments at which its death could leave something half done: before and after each
transaction, each rename and each removal. At a random one it sends itself SIGKILL, which nothing can catch.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
from pathlib import Path

import rsdetect.monitoring.journal as journal
import rsdetect.monitoring.run as run

_AUDITED = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}
_MOST_MOMENTS = 30


class Fate:
    def __init__(self, moments: int) -> None:
        self.left = moments

    def meet(self) -> None:
        self.left -= 1
        if self.left <= 0:  # another thread may have counted on meanwhile
            os.kill(os.getpid(), signal.SIGKILL)

    def await_file_operations(self) -> None:
        sys.addaudithook(lambda event, _: self.meet() if event in _AUDITED else None)

    def await_transactions(self) -> None:
        opener = journal.open_journal

        def open_watched(path: Path, *, write: bool) -> sqlite3.Connection:
            database = opener(path, write=write)
            ends = ("BEGIN", "COMMIT")
            database.set_trace_callback(lambda sql: self.meet() if sql.strip() in ends else None)
            return database

        journal.open_journal = open_watched


def child(job: Path, moments: int) -> None:
    fate = Fate(moments)
    fate.await_transactions()
    fate.await_file_operations()
    run.run_job(job)


def main() -> None:
    job, kills, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(int(sys.argv[3]))
    killed = finished = 0
    while killed < kills and not finished:
        pid = os.fork()
        if pid == 0:
            child(job, rng.randint(1, _MOST_MOMENTS))
            os._exit(0)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            killed += 1
        elif os.waitstatus_to_exitcode(status) == 0:
            finished += 1
        else:
            sys.exit(1)  # the child's traceback is on stderr
    print(json.dumps({"killed": killed, "finished": finished}))


if __name__ == "__main__":
    main()
