"""A run that ends without success is reported: by a hook, a heartbeat, and the states of Nagios."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from rsdetect.errors import InputError, JobInterrupted, ReadError, ResultMismatch, SourceUnavailable
from rsdetect.ingestion.tries import counts_as_try, today
from rsdetect.monitoring import comparison, failures
from rsdetect.monitoring import run as runs
from rsdetect.monitoring import serve as serving_jobs
from rsdetect.monitoring.failures import report_killed
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.supervision import supervise
from support.http_server import serving
from support.jobs import run_here
from support.watched_jobs import deliver, series, write_job
from support.webhook_receiver import Receiver, joined_questions

HOOK = {
    "kind": "command",
    "command": [
        "sh",
        "-c",
        'echo "$RSDETECT_STATUS $RSDETECT_REASON" >> calls; cp "$RSDETECT_SUMMARY" last.json',
    ],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    deliver(folder, series(), 0, 1)
    return folder


@pytest.fixture
def job(made, tmp_path):
    (tmp_path / "scenes").mkdir()
    for path in (made / "scenes").glob("20240503*"):
        (tmp_path / "scenes" / path.name).symlink_to(path)
    return write_job(tmp_path, on_failure={"hook": HOOK})


def calls(job):
    path = job.parent / "calls"
    return path.read_text().splitlines() if path.exists() else []


def beat(job):
    return json.loads((job.parent / "out" / "heartbeat.json").read_text())


@pytest.mark.parametrize("wrong", ["site: !!bool x", 'out: "a\\0b"', "site: 2024-02-30\nout: 7"])
def test_a_job_file_that_cannot_be_read_stays_wrong_input(tmp_path, wrong):
    """The report of the failure reads it as the run does."""
    (tmp_path / "job.yaml").write_text(f"{wrong}\n")
    told = run_here("monitor", "run", tmp_path / "job.yaml")
    assert told.status == 2 and "job.yaml" in told.err and told.err.count("\n") == 1


def test_every_end_but_success_calls_the_hook(job, monkeypatch):
    assert run_here("monitor", "run", job).status == 0
    assert calls(job) == [] and beat(job)["state"] == "ok"
    success = beat(job)["last_success"]

    (job.parent / "scenes" / "20240513.tif").write_bytes(b"no raster")
    (job.parent / "scenes" / "20240513_mask.tif").write_bytes(b"no raster")
    assert run_here("monitor", "run", job).status == 3
    assert len(calls(job)) == 1 and calls(job)[0].startswith("3 20240513.tif: ")
    assert json.loads((job.parent / "last.json").read_text())["run"]["failed"][0]["scene"] == "20240513.tif"
    assert (beat(job)["state"], beat(job)["failures"], beat(job)["last_success"]) == ("failed", 1, success)

    for error, status in ((KeyboardInterrupt(), 3), (MemoryError(), 3), (RuntimeError("odd"), 1)):
        with monkeypatch.context() as patch:
            patch.setattr(runs, "list_scenes", lambda *_, error=error: (_ for _ in ()).throw(error))
            assert run_here("monitor", "run", job).status == status
        assert calls(job)[-1].startswith(f"{status} ")
    assert beat(job)["failures"] == 4

    text = job.read_text()
    job.write_text(text + "\nsite2: x\n")
    assert run_here("monitor", "run", job).status == 2
    job.write_text(text.replace("kind: folder", "kind: folder\n  paths: x"))
    assert run_here("monitor", "run", job).status == 2
    assert len(calls(job)) == 6 and "site2" in calls(job)[-2]
    job.write_text(text)
    (job.parent / "scenes").rename(job.parent / "away")
    assert run_here("monitor", "run", job).status == 2
    assert calls(job)[-1].startswith("2 the folder ")


def test_a_second_run_is_reported_and_leaves_the_heartbeat_of_the_first(job):
    assert run_here("monitor", "run", job).status == 0
    kept = beat(job)
    with JobFolder(job.parent / "out").held(0):
        assert run_here("monitor", "run", job).status == 3
    assert beat(job) == kept and calls(job)[-1].startswith("3 another run is active")


def test_a_run_that_was_killed_is_reported_by_the_next(job):
    assert run_here("monitor", "run", job).status == 0
    path = job.parent / "out" / "heartbeat.json"
    path.write_text(
        json.dumps(beat(job) | {"state": "running", "ended": None, "began": "2026-01-02T03:04:05+00:00"})
    )
    assert run_here("monitor", "run", job).status == 0
    assert calls(job) == ["-9 The run that began at 2026-01-02T03:04:05+00:00 was killed before its end."]
    assert run_here("monitor", "run", job).status == 0
    assert len(calls(job)) == 1


def test_the_next_run_begins_after_the_heartbeat_of_the_last_and_before_its_hook(job, monkeypatch):
    """In between it would find a run that has not ended, and report it as killed."""
    folder, free = JobFolder(job.parent / "out"), {}

    def noting(place, name):
        genuine = getattr(place, name)

        def noted(*arguments, **keywords):
            try:
                with folder.held(0):
                    free[name] = True
            except JobInterrupted:
                free[name] = False
            return genuine(*arguments, **keywords)

        monkeypatch.setattr(place, name, noted)

    noting(runs, "deliver_news")
    noting(failures, "beat_at_end")
    noting(failures, "call_failure_hook")
    assert run_here("monitor", "run", job).status == 0
    assert free == {"deliver_news": False, "beat_at_end": False}
    monkeypatch.setattr(runs, "deliver_news", lambda *_: 1 / 0)
    assert run_here("monitor", "run", job).status == 1
    assert free == {"deliver_news": False, "beat_at_end": False, "call_failure_hook": True}


def test_a_run_that_was_killed_is_reported_by_serve(job, monkeypatch):
    assert run_here("monitor", "run", job).status == 0
    path, began = job.parent / "out" / "heartbeat.json", datetime.now(UTC)
    left = {"state": "running", "ended": None, "began": began.isoformat(timespec="seconds")}
    path.write_text(json.dumps(beat(job) | left))
    with JobFolder(job.parent / "out").held(0):
        report_killed(job, 3, began)  # another run is active, and this one has reported that
    report_killed(job, 3, began + timedelta(seconds=5))  # the heartbeat is of an earlier run
    assert calls(job) == []
    report_killed(job, 3, began)  # by a limit, whose parent process has no hook
    assert calls(job) == ["3 the run was killed before its end."] and beat(job)["state"] == "failed"

    real = subprocess.Popen
    killed = SimpleNamespace(
        DEVNULL=subprocess.DEVNULL, Popen=lambda *_, **__: real(["sh", "-c", "kill -9 $$"])
    )
    monkeypatch.setattr(serving_jobs, "subprocess", killed)
    serving_jobs._ScheduledRuns(lambda _: None, []).run(job)
    assert calls(job)[-1] == "-9 the run was killed by signal 9." and len(calls(job)) == 2


def test_no_secret_leaves_by_a_webhook_and_a_silent_one_is_given_up(job, monkeypatch):
    monkeypatch.setenv("HOOK_TOKEN", "Bearer a-very-secret-token")
    with serving(Receiver()) as server:
        hook = {"kind": "webhook", "url": server.url, "header_env": {"Authorization": "HOOK_TOKEN"}}
        write_job(job.parent, on_failure={"hook": hook})
        error = RuntimeError("https://me:pass-word@host/a.tif?sig=signed-by-me&x=1 cannot be read")
        with monkeypatch.context() as patch:
            patch.setattr(runs, "list_scenes", lambda *_: (_ for _ in ()).throw(error))
            assert run_here("monitor", "run", job).status == 1
            body = json.loads(server.got[0][1])
            assert (body["rsdetect"], body["status"], body["site"]) == ("failure", 1, "Valley <b>& co</b>")
            for secret in ("secret-token", "pass-word", "signed-by-me", os.environ["HOOK_TOKEN"]):
                assert secret not in json.dumps(body)
            server.is_silent = True
            patch.setattr("rsdetect.feeds.retries._MOST_S", 0.5)
            with joined_questions():
                done = run_here("monitor", "run", job)
                server.over.set()
    assert done.status == 1 and "the failure was not reported" in done.err and "key-in" not in done.err


def test_a_scene_that_fails_ten_times_is_set_aside_and_named(job):
    scene = "20240513.tif"
    for name in (scene, "20240513_mask.tif"):
        (job.parent / "scenes" / name).write_bytes(b"no raster")
    assert run_here("monitor", "run", job).status == 3
    with closing(sqlite3.connect(JobFolder(job.parent / "out").journal)) as journal, journal:
        assert journal.execute("SELECT attempts FROM scenes WHERE id = ?", (scene,)).fetchone() == (1,)
        journal.execute("UPDATE scenes SET attempts = 9 WHERE id = ?", (scene,))
    last = run_here("monitor", "run", job, "--json")
    run = json.loads(last.out)["run"]
    assert (last.status, run["given_up"], run["failed"]) == (3, [scene], [])
    assert calls(job)[-1].startswith(f"3 {scene}: it failed 10 times")
    later = run_here("monitor", "run", job)
    assert later.status == 0 and f"{scene} is set aside: it failed 10 times" in later.err
    assert len(calls(job)) == 2
    again = run_here("monitor", "run", job, "--retry")
    assert again.status == 3 and len(calls(job)) == 3 and "failed 10 times" not in again.err


def test_a_comparison_that_fails_ten_times_is_set_aside(job, made, monkeypatch):
    for path in (made / "scenes").glob("20240513*"):
        (job.parent / "scenes" / path.name).symlink_to(path)
    with monkeypatch.context() as patch:
        patch.setattr(comparison, "run_detect", lambda *_: (_ for _ in ()).throw(InputError("no fit.")))
        assert run_here("monitor", "run", job).status == 3
        with closing(sqlite3.connect(JobFolder(job.parent / "out").journal)) as journal, journal:
            assert journal.execute("UPDATE steps SET attempts = 9 WHERE attempts = 1").rowcount == 1
        assert run_here("monitor", "run", job).status == 3
        assert "20240513.tif: it failed 10 times" in calls(job)[-1] and calls(job)[-1].endswith("no fit")
        assert run_here("monitor", "run", job).status == 0
    aside = run_here("monitor", "run", job)
    assert aside.status == 0 and "20240513.tif is set aside: it failed 10 times" in aside.err
    again = json.loads(run_here("monitor", "run", job, "--retry", "--json").out)["run"]
    assert (again["compared"], again["set_aside"]) == (["20240513.tif"], [])


def test_what_may_pass_counts_once_a_day():
    for error in (InputError("x"), ReadError("x"), ResultMismatch("x")):
        assert counts_as_try(error, today())
    assert not counts_as_try(SourceUnavailable("x"), today())
    assert counts_as_try(SourceUnavailable("x"), "2026-01-01") and counts_as_try(SourceUnavailable("x"), None)


def test_a_hook_that_fails_changes_no_status(job):
    job.write_text(job.read_text().replace("cp ", "exit 7; cp "))
    (job.parent / "scenes").rename(job.parent / "away")
    done = run_here("monitor", "run", job)
    assert (done.status, done.err.count("\n")) == (2, 2)
    assert "the failure was not reported: sh ended with status 7" in done.err


def test_the_states_of_supervision(job):
    now = datetime.now(UTC)

    def state(**changes):
        (job.parent / "out" / "heartbeat.json").write_text(json.dumps(beat(job) | changes))
        return run_here("monitor", "status", job, "--nagios", "--late-after", "36h")

    assert run_here("monitor", "status", job, "--nagios").status == 3  # it never ran
    assert run_here("monitor", "run", job).status == 0
    fresh = state()
    assert (fresh.status, fresh.err) == (0, "") and fresh.out.startswith("rsdetect OK: Valley")
    assert fresh.out.count("\n") == 1 and "| age=" in fresh.out
    week = (now - timedelta(days=7)).isoformat()  # the machine slept
    assert state(last_success=week).status == 1
    assert state(last_success=week, state="running", ended=None).status == 1
    assert state(last_success=now.isoformat(), state="running", ended=None).status == 0
    failing = state(state="failed", status=3, failures=4, reason="the disk is full.")
    assert failing.status == 2 and "4 runs failed, status 3: the disk is full." in failing.out
    ahead = state(state="ok", last_success=(now + timedelta(days=1)).isoformat())  # the clock went back
    assert ahead.status == 3 and "a clock is wrong" in ahead.out
    (job.parent / "out" / "heartbeat.json").write_text("{")  # of an older version, or damaged
    assert run_here("monitor", "status", job, "--nagios").status == 0
    assert supervise(job, "soon")[0] == supervise(job.parent / "none.yaml", "1d")[0] == 3
