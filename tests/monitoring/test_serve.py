"""Jobs on a schedule: what is due, and a scheduler that is killed, restarted and stopped."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.errors import InputError
from rsdetect.monitoring import serve as serving_jobs
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from rsdetect.monitoring.serve import Schedule, cron_days_by_name, serve
from support.jobs import run_here
from support.watched_jobs import deliver, series, source_in, write_job

pytest.importorskip("apscheduler")
from apscheduler.executors.base import BaseExecutor

NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


# --- when --------------------------------------------------------------------------------------------------


@given(first=st.integers(0, 6), last=st.integers(0, 6), step=st.integers(1, 3), by_name=st.booleans())
def test_days_of_the_week_are_those_that_cron_means(first, last, step, by_name):
    wanted, day = set(), first
    while True:
        wanted.add(day)
        if (last - day) % 7 < step:
            break
        day = (day + step) % 7
    ends = (NAMES[first], NAMES[last]) if by_name else (first, last)
    field = f"{ends[0]}-{ends[1]}/{step}"
    trigger = Schedule(cron=f"0 12 * * {field}").trigger()
    moment, fired = datetime(2024, 5, 1, tzinfo=UTC), set()
    for _ in range(8):
        moment = trigger.get_next_fire_time(None, moment + timedelta(seconds=1))
        fired.add(moment.isoweekday() % 7)
    assert fired == wanted


@pytest.mark.parametrize(
    ("cron", "fires"),
    [
        ("30 2 * * *", ["24T02:30+02:00", "25T02:30+02:00", "26T02:30+01:00"]),
        ("0 1,2,3 25 10 *", ["25T01:00+02:00", "25T02:00+02:00", "25T03:00+01:00"]),
        ("0 * 25 10 *", ["25T00:00+02:00", "25T01:00+02:00", "25T02:00+02:00", "25T02:00+01:00"]),
        ("30 2 * * *", ["27T02:30+01:00", "28T02:30+01:00", "29T02:30+01:00", "30T02:30+02:00"]),
    ],
)
def test_a_scheduled_hour_that_comes_twice_or_not_at_all_runs_once(monkeypatch, cron, fires):
    from tzlocal import reload_localzone  # another test may have cached the zone of this machine

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    reload_localzone()
    try:
        trigger = Schedule(cron=cron).trigger()
        month = 3 if fires[0].startswith("27") else 10
        moment, found = datetime(2026, month, 26 if month == 3 else 23, 12, tzinfo=UTC), []
        for _ in fires:
            fired = trigger.get_next_fire_time(None, moment)
            found.append(fired.isoformat(timespec="minutes").removeprefix(f"2026-{month:02}-"))
            moment = fired.astimezone(UTC) + timedelta(seconds=1)
    finally:
        monkeypatch.undo()
        time.tzset()
        reload_localzone()
    assert found == fires


@pytest.mark.parametrize(
    ("field", "days"), [("7", "sun"), ("*", "*"), ("*/2", "sun,tue,thu,sat"), ("1,MON", "mon"), ("3", "wed")]
)
def test_other_ways_to_write_days(field, days):
    assert cron_days_by_name(field) == days


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"cron": "0 6 * * 1", "every": "6h"},
        {"cron": "0 6 * *"},
        {"cron": "0 6 * * 8"},
        {"cron": "0 6 * * moon"},
        {"cron": "61 6 * * 1"},
        {"every": "0h"},
        {"every": "six hours"},
        {"every": "6w"},
    ],
)
def test_what_is_no_schedule_is_refused(keys):
    with pytest.raises(InputError):
        Schedule(**keys)


def remember_run(job, began, ended=True):
    """A run in the journal that began at this moment."""
    folder = JobFolder(job.parent / "out")
    folder.inner.mkdir(parents=True, exist_ok=True)
    with Journal(folder.journal, write=True) as journal:
        number = journal.begin_run()
        if ended:
            journal.end_run(number, 0, {})
        with journal._db:
            journal._db.execute("UPDATE runs SET began = ? WHERE number = ?", (began.isoformat(), number))


@given(hours=st.integers(0, 400), every=st.integers(1, 14))
def test_a_run_that_was_missed_is_due_now_and_no_other(tmp_path_factory, hours, every):
    folder = tmp_path_factory.mktemp("job")
    job = write_job(folder)
    now = datetime.now(UTC)
    began = now - timedelta(hours=hours)
    remember_run(job, began)
    due = Schedule(every=f"{every}d").due(job, now)
    assert due == max(now, began + timedelta(days=every))
    due = Schedule(cron="0 6 * * *").due(job, now)
    at_six = [
        began.astimezone().replace(hour=6, minute=0, second=0, microsecond=0) + timedelta(days=d)
        for d in (0, 1)
    ]
    after = next(moment for moment in at_six if moment > began + timedelta(seconds=1))
    assert abs(due - max(now, after)) <= timedelta(hours=1)  # an hour at most, where the clock is changed


def test_a_job_that_never_ran_or_broke_off_is_due_now(tmp_path):
    job, now = write_job(tmp_path), datetime.now(UTC)
    assert Schedule(every="30d").due(job, now) == now
    remember_run(job, now - timedelta(minutes=1), ended=False)
    assert Schedule(every="30d").due(job, now) == now


def test_a_run_of_the_future_is_one_of_now(tmp_path):
    """The clock was ahead when it began, and was set right since."""
    job, now = write_job(tmp_path), datetime.now(UTC)
    remember_run(job, now + timedelta(days=30))
    assert Schedule(every="2d").due(job, now) == now + timedelta(days=2)
    assert Schedule(cron="0 6 * * *").due(job, now) <= now + timedelta(hours=25)


# --- the scheduler -----------------------------------------------------------------------------------------


# Where tests run in the background, their children would ignore Ctrl-C.
HEARING_CTRL_C = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from rsdetect.cli import main
main()
"""


@contextmanager
def serving(log, *arguments):
    """A scheduler, whose messages are in the file `log`: a run that outlives it may go on writing there."""
    command = [sys.executable, "-c", HEARING_CTRL_C, "monitor", "serve", *map(str, arguments)]
    with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as server:
        server.log = log
        try:
            yield server
        finally:
            if server.poll() is None:
                server.kill()


def last_run(folder):
    journal_file = JobFolder(folder / "out").journal
    if not journal_file.exists():
        return None
    with Journal(journal_file, write=False) as journal:
        return journal.last_run()


def wait_until(server, is_so, seconds=180):
    latest = time.monotonic() + seconds
    while not is_so():
        assert server.poll() is None, server.log.read_text()
        assert time.monotonic() < latest, "nothing came of it"
        time.sleep(0.05)


def stop(server, with_signal):
    server.send_signal(with_signal)
    assert server.wait(timeout=120) == 0, server.log.read_text()
    assert "Traceback" not in server.log.read_text()


def first_line(server):
    wait_until(server, lambda: "\n" in server.log.read_text())
    return server.log.read_text().splitlines()[0]


@pytest.mark.slow
def test_a_scheduler_that_is_killed_makes_good_what_it_broke_off_and_runs_nothing_twice(tmp_path):
    made, log = series(), tmp_path / "serve.log"
    deliver(tmp_path, made, 0, 1, 2)
    job = write_job(tmp_path, source=source_in(tmp_path))

    with serving(log, job, "--every", "1d") as server:  # never run: due at once
        wait_until(server, lambda: last_run(tmp_path) is not None)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    first = last_run(tmp_path)
    # Its round is a process of its own and comes to its end; killed too, it would be made good by the next.
    log = tmp_path / "again.log"
    with serving(log, job, "--every", "1d") as server:
        if "due now" in first_line(server):  # a round of its own, which another may keep from running
            wait_until(server, lambda: "ended with status" in log.read_text())
        wait_until(server, lambda: last_run(tmp_path)["ended"] is not None)
        stop(server, signal.SIGTERM)
    with serving(log, job, "--every", "1d") as server:  # done: not due before tomorrow
        line = first_line(server)
        assert "due now" not in line and "due 20" in line
        stop(server, signal.SIGINT)
    assert last_run(tmp_path)["number"] <= first["number"] + 1
    told = run_here("monitor", "run", job)
    assert (told.status, told.err.count("nothing new")) == (0, 1)


@pytest.mark.slow
def test_a_scheduler_that_is_stopped_stops_its_run_which_resumes_later(tmp_path):
    made = series(cloudy=0)
    deliver(tmp_path, made, 0, 1, 2, 3)
    job = write_job(tmp_path, source=source_in(tmp_path))
    with serving(tmp_path / "serve.log", job, "--cron", "0 6 * * MON") as server:
        wait_until(server, lambda: (tmp_path / "out" / "steps").exists())
        stop(server, signal.SIGTERM)
    assert run_here("monitor", "run", job).status == 0
    assert len(list((tmp_path / "out" / "steps").glob("*/run.json"))) == 3


@pytest.mark.slow
def test_a_scheduler_prints_why_a_run_failed(tmp_path):
    deliver(tmp_path, series(), 0)
    (tmp_path / "scenes" / "20240503.tif").write_bytes(b"no raster")
    job, log = write_job(tmp_path), tmp_path / "serve.log"
    with serving(log, job, "--every", "1d") as server:
        wait_until(server, lambda: "ended with status 3" in log.read_text())
        stop(server, signal.SIGTERM)
    assert "Error: 20240503.tif failed; the next run tries it again" in log.read_text()


class Clock(datetime):
    """The time of the scheduler, which a test sets."""

    moment = datetime(2026, 3, 2, 5, tzinfo=UTC)

    @classmethod
    def now(cls, tz=None):
        return cls.moment.astimezone(tz)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Serve a job until `drive` ends, which gets functions that wait for the next run and the next line."""
    began, lines, moments = queue.Queue(), queue.Queue(), queue.Queue()
    job = write_job(tmp_path)
    count_as_ended = BaseExecutor._run_job_success

    def run(_, path):
        moment = Clock.moment
        remember_run(path, moment)
        moments.put(moment)

    def ended(executor, *arguments):
        """A run that is due before the scheduler knows that the last one has ended would be skipped."""
        count_as_ended(executor, *arguments)
        began.put(moments.get_nowait())

    def serve_while(schedule, drive):
        def driven():
            try:
                drive(lambda: began.get(timeout=60), lambda: lines.get(timeout=60))
            finally:
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(Clock, "moment", Clock.moment)
        monkeypatch.setattr(serving_jobs, "datetime", Clock)
        monkeypatch.setattr("apscheduler.schedulers.base.datetime", Clock)
        monkeypatch.setattr(serving_jobs, "_SECONDS_BETWEEN_LOOKS", 0.02)
        monkeypatch.setattr(serving_jobs._ScheduledRuns, "run", run)
        monkeypatch.setattr(BaseExecutor, "_run_job_success", ended)
        with ThreadPoolExecutor(1) as pool:
            begin = threading.Event()
            driver = pool.submit(lambda: begin.wait(60) and driven())

            def output(line):
                lines.put(line)
                begin.set()  # the scheduler hears signals by now

            serve([job], schedule, output)
            driver.result()
        assert began.empty()

    return serve_while


@pytest.mark.parametrize("schedule", [Schedule(every="1d"), Schedule(cron="0 5 * * *")])
def test_a_machine_that_slept_a_week_or_a_clock_set_ahead_runs_once(served, schedule):
    def drive(next_run, _):
        start = Clock.moment
        assert next_run() == start  # never run before
        for days in (7, 9, 11):  # a second run of a week would come before that of the next time
            Clock.moment = start + timedelta(days=days)
            assert next_run() == Clock.moment

    served(schedule, drive)


def test_a_clock_that_is_set_back_a_day_delays_no_run_by_a_day(served):
    def drive(next_run, next_line):
        start = Clock.moment
        assert "due now" in next_line()
        assert next_run() == start
        Clock.moment = start - timedelta(days=1)
        assert "the clock was set back, due 2026-03-01 11:00 UTC" in next_line()
        Clock.moment += timedelta(hours=6)
        assert next_run() == Clock.moment

    served(Schedule(every="6h"), drive)


def test_a_job_file_that_is_being_edited_when_the_clock_is_set_back_is_read_later(served, monkeypatch):
    genuine, edited = serving_jobs.read_job, queue.Queue()

    def reading(path):
        if not edited.empty():
            raise InputError(edited.get())
        return genuine(path)

    def drive(next_run, next_line):
        assert "due now" in next_line()
        next_run()
        edited.put("no job")
        edited.put("half a job")
        Clock.moment -= timedelta(days=1)
        assert "the clock was set back, due 2026-03-01 11:00 UTC" in next_line()
        assert edited.empty()

    monkeypatch.setattr(serving_jobs, "read_job", reading)
    served(Schedule(every="6h"), drive)


def test_a_scheduler_that_is_stopped_before_it_has_begun_ends_in_peace(tmp_path):
    def interrupted(_):
        signal.raise_signal(signal.SIGINT)

    serve([write_job(tmp_path)], Schedule(every="1d"), interrupted)
    assert last_run(tmp_path) is None


def test_a_bad_schedule_is_one_line(tmp_path):
    job = write_job(tmp_path)
    for arguments, said in (
        ((job,), "give one of --cron and --every"),
        ((job, "--every", "soon"), "not a period"),
        ((job, job, "--every", "1d"), "given twice"),
        ((tmp_path / "no.yaml", "--every", "1d"), "cannot be read"),
    ):
        told = run_here("monitor", "serve", *arguments)
        assert (told.status, told.err.count("\n")) == (2, 1), told.err
        assert said in told.err
