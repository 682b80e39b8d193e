"""Run jobs on a schedule, for those who have neither cron nor systemd.

The scheduler keeps nothing: what is due is read from the journals, so that a restart makes good a run that
was missed or broken off. Each round is a process of its own, `rsdetect monitor run`: what it holds is given
back, what breaks it does not break the scheduler, and the job's lock keeps any other runner out.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rsdetect.errors import InputError
from rsdetect.monitoring.schedule import Schedule

_SECONDS_TO_STOP = 60.0  # that a round gets to come to a clean end
Tell = Callable[[str], None]


def serve(job_files: Sequence[Path], schedule: Schedule, tell: Tell) -> None:
    """Run the jobs when they are due, until this process is interrupted (Ctrl-C, SIGTERM).

    Raises
    ------
    InputError
        A job file is wrong, or is named twice.
    """
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.blocking import BlockingScheduler

    paths = [path.absolute() for path in job_files]
    if len(set(paths)) < len(paths):
        raise InputError("a job is named twice; name each once.")
    rounds = _Rounds(tell)
    # A thread a job, so that a long one keeps no other waiting. Late is better than never; once is enough.
    scheduler = BlockingScheduler(
        executors={"default": ThreadPoolExecutor(len(paths))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    now = datetime.now(UTC)
    try:
        for path in paths:
            due = schedule.due(path, now)
            scheduler.add_job(rounds.run, schedule.trigger(), args=[path], id=str(path), next_run_time=due)
            tell(f"{path}: due {'now' if due == now else f'{due:%Y-%m-%d %H:%M %Z}'}")
        scheduler.start()
    except KeyboardInterrupt:
        rounds.stop()
        if scheduler.running:
            scheduler.shutdown(wait=True)


class _Rounds:
    """The rounds under way."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._under_way: set[subprocess.Popen[bytes]] = set()
        self._is_stopping = False

    def run(self, job_file: Path) -> None:
        """One round of a job, to its end."""
        command = [sys.executable, "-m", "rsdetect.cli", "monitor", "run", str(job_file)]
        with self._lock:
            if self._is_stopping:
                return
            # In a session of its own: a Ctrl-C on the terminal is passed on once, by stop().
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
            self._under_way.add(process)
        status = process.wait()
        with self._lock:
            self._under_way.discard(process)
        self._tell(f"{job_file}: ended with status {status}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")

    def stop(self) -> None:
        """Ask what is under way to stop as by Ctrl-C; the next round carries on."""
        with self._lock:
            self._is_stopping = True
            under_way = list(self._under_way)
        for process in under_way:
            process.terminate()
        for process in under_way:
            try:
                process.wait(_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
