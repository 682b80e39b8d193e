"""Scheduler for monitoring jobs: `monitor serve`, for machines without cron or systemd.

The scheduler has no state: what is due is read from the journals, so that a restart catches up on runs that
were missed or interrupted. Each run is a process of its own, `rsdetect monitor run`: its memory is released,
its errors do not affect the scheduler, and the job's lock excludes other runs.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rsdetect.errors import InputError, RsdetectError
from rsdetect.extras import missing_extra
from rsdetect.interruption import SECONDS_TO_CLEAR_UP
from rsdetect.jsontypes import JsonObject
from rsdetect.monitoring.failures import report_killed
from rsdetect.monitoring.job_file import read_job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.periods import parse_period
from rsdetect.stderr import descriptor

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")


@dataclass(frozen=True)
class Schedule:
    """Schedule of job runs: either `cron` or `every`."""

    cron: str | None = None  # five fields: minute, hour, day of month, month, day of week
    every: str | None = None  # 30m, 6h, 7d

    def __post_init__(self) -> None:
        if (self.cron is None) == (self.every is None):
            raise InputError("give one of `cron` and `every`.")
        self.trigger()

    def trigger(self) -> Any:
        """APScheduler trigger that serves a schedule, in the time zone of this machine.

        Raises
        ------
        InputError
            The schedule is invalid, or APScheduler is not installed.
        """
        try:
            from apscheduler.triggers.cron import CronTrigger
            from apscheduler.triggers.interval import IntervalTrigger
        except ImportError:
            raise missing_extra("serve", "monitor serve") from None
        if self.every is not None:
            return IntervalTrigger(seconds=int(parse_period("every", self.every).total_seconds()))
        assert self.cron is not None
        fields = self.cron.split()
        try:
            if len(fields) != 5:
                raise ValueError(f"{len(fields)} fields")
            kind = CronTrigger if "*" in fields[1] else _once_an_hour(CronTrigger)
            return kind.from_crontab(" ".join([*fields[:4], cron_days_by_name(fields[4])]))
        except ValueError as error:
            raise InputError(
                f"`cron` {self.cron!r} is not a schedule ({error}); write minute, hour, day, month and day "
                'of the week as in cron: "0 6 * * MON".'
            ) from error

    def due(self, job_file: Path, now: datetime) -> datetime | None:
        """Next time that a served job is due: now, if a run was missed or interrupted, or without any run."""
        last = _last_scheduled_run(job_file)
        if last is None or last["ended"] is None:
            return now
        began = min(datetime.fromisoformat(last["began"]), now)  # later, if the clock was set back since
        if self.every is not None:
            return max(now, began + parse_period("every", self.every))
        found: datetime | None = self.trigger().get_next_fire_time(None, began + timedelta(seconds=1))
        return None if found is None else max(now, found)


def _once_an_hour(cron_trigger: Any) -> Any:
    """Class of cron triggers for schedules at fixed hours, once in an hour that comes twice.

    Parameters
    ----------
    cron_trigger
        APScheduler's class, which fires in both.
    """

    class OnceAnHour(cron_trigger):  # type: ignore[misc]
        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            found: datetime | None = super().get_next_fire_time(previous, now)
            while found is not None and found.fold and _comes_twice(found):
                later = found.astimezone(UTC)
                while _comes_twice(later.astimezone(found.tzinfo)):
                    later += timedelta(minutes=1)
                found = super().get_next_fire_time(None, later.astimezone(found.tzinfo))
            return found

    return OnceAnHour


def _comes_twice(moment: datetime) -> bool:
    """True in a scheduled hour that the clock goes through twice."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()


def cron_days_by_name(field: str) -> str:
    """Replace numbers by names in the cron days of `serve`: APScheduler counts from Monday, cron from Sunday.

    >>> [cron_days_by_name(days) for days in ("1-5", "0,6", "fri-sun", "*")]
    ['mon,tue,wed,thu,fri', 'sun,sat', 'sun,fri,sat', '*']
    """
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.lower().split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not a day of the week")
        first, last, step = match.groups()
        begin = _cron_day(first) if first else 0
        end = _cron_day(last) if last else (6 if step or not first else begin)
        # A range may cross the end of the week: fri-sun.
        days |= {day % 7 for day in range(begin, end + (7 if end < begin else 0) + 1, int(step or 1))}
    return ",".join(_DAYS[day] for day in sorted(days))


def _cron_day(text: str) -> int:
    """Number of a day of the week in the cron field of `serve`, 0 = Sunday."""
    if text.isdecimal() and int(text) <= 7:
        return int(text) % 7
    if text[:3] in _DAYS and text.isalpha():
        return _DAYS.index(text[:3])
    raise ValueError(f"{text!r} is not a day of the week")


def _last_scheduled_run(job_file: Path) -> dict[str, Any] | None:
    """Last run of a job to serve, from its journal; None = never run."""
    job = read_job(job_file)
    folder = JobFolder(job.resolve_path(job.out, job_file))
    if not folder.journal.exists():
        return None
    with Journal(folder.journal, write=False) as journal:
        return journal.last_run()


_SECONDS_TO_STOP = SECONDS_TO_CLEAR_UP + 1  # a run ends itself by then
# Timers stand still while a machine sleeps and do not follow a clock that is set; so the clock is read.
_SECONDS_BETWEEN_LOOKS = 60.0
Printer = Callable[[str], None]


def serve(
    job_files: Sequence[Path], schedule: Schedule, output: Printer, run_options: Sequence[str] = ()
) -> list[JsonObject]:
    """Run jobs on a schedule until this process is interrupted (Ctrl-C, SIGTERM).

    Parameters
    ----------
    output
        Called with a line on each job and each run.
    run_options
        Options of the command that runs a job.

    Returns
    -------
    list of dict
        The runs that ended: job file, exit status, and time.

    Raises
    ------
    InputError
        A job file is invalid, or is given twice.
    """
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler

    paths = [path.absolute() for path in job_files]
    if len(set(paths)) < len(paths):
        raise InputError("a job is given twice; give each once.")
    runs = _ScheduledRuns(output, run_options)
    # One thread per job, so that a long run delays no other. Late runs are started, several missed ones once.
    scheduler = BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(len(paths))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    with _interruption() as interrupted:
        now = datetime.now(UTC)
        for path in paths:
            due = schedule.due(path, now)
            scheduler.add_job(runs.run, schedule.trigger(), args=[path], id=str(path), next_run_time=due)
            output(f"{path}: due {'now' if due == now else f'{due:%Y-%m-%d %H:%M %Z}'}")
        scheduler.start()
        late: list[Path] = []
        while not interrupted.wait(_SECONDS_BETWEEN_LOOKS):
            seen, now = now, datetime.now(UTC)
            late = _bring_forward(scheduler, schedule, paths if now < seen else late, output)
            scheduler.wakeup()
        runs.stop()
        scheduler.shutdown(wait=True)
    return runs.ended


def _bring_forward(scheduler: Any, schedule: Schedule, paths: Sequence[Path], output: Printer) -> list[Path]:
    """Serve jobs earlier that are due later than they would be by the clock, which was set back.

    Returns
    -------
    list of Path
        The jobs whose file or journal could not be read, to be looked up again.
    """
    now, unread = datetime.now(UTC), []
    for path in paths:
        try:
            due = schedule.due(path, now)
        except RsdetectError:  # somebody may be editing the file, and the scheduler serves the other jobs
            unread.append(path)
            continue
        if due is not None and due < scheduler.get_job(str(path)).next_run_time:
            scheduler.modify_job(str(path), next_run_time=due)
            output(f"{path}: the clock was set back, due {due:%Y-%m-%d %H:%M %Z}")
    return unread


@contextmanager
def _interruption() -> Iterator[threading.Event]:
    """Event of a signal to stop. An exception at any place of a library could be lost or break its state.

    The guard of the command does not learn of the signal: it would end the process while a run clears up.
    """
    interrupted = threading.Event()
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    guard = signal.set_wakeup_fd(-1)
    for each in handlers:
        signal.signal(each, lambda *_: interrupted.set())
    try:
        yield interrupted
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
        signal.set_wakeup_fd(guard)


class _ScheduledRuns:
    """Scheduled runs in progress."""

    def __init__(self, output: Printer, options: Sequence[str]) -> None:
        self._output = output
        self._options = options
        self.ended: list[JsonObject] = []
        self._lock = threading.Lock()
        self._under_way: set[subprocess.Popen[bytes]] = set()
        self._is_stopping = False

    def run(self, job_file: Path) -> None:
        """Serve a job once: run it in a process, and wait for it."""
        command = [sys.executable, "-m", "rsdetect.cli", "monitor", "run", str(job_file), *self._options]
        began = datetime.now(UTC)
        with self._lock:
            if self._is_stopping:
                return
            # In a new session: Ctrl-C in the terminal is forwarded once, by stop().
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stderr=descriptor(), start_new_session=True
            )
            self._under_way.add(process)
        status = process.wait()
        with self._lock:
            self._under_way.discard(process)
        if status and not self._is_stopping:
            report_killed(job_file, status, began)
        now = datetime.now(UTC)
        end = now.isoformat(timespec="seconds")
        self.ended.append({"job_file": str(job_file), "status": status, "ended": end})
        self._output(f"{job_file}: ended with status {status}, {now:%Y-%m-%d %H:%M} UTC")

    def stop(self) -> None:
        """Stop all runs that `serve` started as by Ctrl-C; later runs resume them."""
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
