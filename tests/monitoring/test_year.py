"""A year of a job with scenes that arrive and nights that fail: no event is lost, none is reported twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, timedelta

import pytest
from filelock import FileLock

from rsdetect.folders import LOCK
from rsdetect.monitoring import run as runs
from rsdetect.monitoring import update as updates
from rsdetect.monitoring.job_folder import JobFolder
from support.jobs import run_here
from support.monitored import dates_in, deliver, layers, small_series, write_job

# The news of each run on a line, unless the receiver is broken.
RECEIVER = 'test ! -e broken && tr -d "\\n" < "$RSDETECT_SUMMARY" >> news.jsonl && echo >> news.jsonl'
ALERT = 'echo "$RSDETECT_STATUS $RSDETECT_REASON" >> alerts'
MEASURED = """
import resource, sys
from rsdetect.cli import main
sys.argv = ["rsdetect", "monitor", "run", "job.yaml", "--quiet"]
try:
    main()
except SystemExit as ended:
    assert ended.code == 0
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""
KILLED = """
import os, signal, sys
from rsdetect.monitoring import run
run.store_history = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
from rsdetect.cli import main
sys.argv = ["rsdetect", "monitor", "run", "job.yaml"]
main()
"""


def run_killed(folder, patch):
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=folder, capture_output=True, check=False)
    assert done.returncode == -9, done.stderr


def run_without_disk(folder, patch):
    patch.setattr(runs, "write_events_gpkg", _raise(OSError(28, "No space left on device", "events.gpkg")))
    assert run_here("monitor", "run", folder / "job.yaml").status == 3


def run_interrupted(folder, patch):
    patch.setattr(updates.Comparer, "compare", _raise(KeyboardInterrupt()))
    assert run_here("monitor", "run", folder / "job.yaml").status == 3


def run_with_damage(folder, patch):
    scene = folder / "scenes" / f"{dates_in(folder / 'scenes')[-1]}.tif"
    whole, stamp = scene.read_bytes(), scene.stat()
    scene.write_bytes(whole[: len(whole) // 2])
    assert run_here("monitor", "run", folder / "job.yaml").status == 3
    scene.write_bytes(whole)
    os.utime(scene, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def run_with_a_deaf_receiver(folder, patch):
    (folder / "broken").touch()
    done = run_here("monitor", "run", folder / "job.yaml")
    (folder / "broken").unlink()
    assert done.status in (0, 3)  # 0 where there was no news


def run_beside_another(folder, patch):
    with FileLock(folder / "out" / LOCK):
        assert run_here("monitor", "run", folder / "job.yaml").status == 3


FAULTS = (
    *(run_without_disk, run_killed, run_interrupted),
    *(run_with_damage, run_with_a_deaf_receiver, run_beside_another),
)


def _raise(error):
    def raising(*_, **__):
        raise error

    return raising


def cost_of_a_run(folder):
    """Seconds of processor time and peak memory in MiB of a run without new scenes, in its own process."""
    done = subprocess.run([sys.executable, "-c", MEASURED], cwd=folder, capture_output=True, check=True)
    return tuple(map(float, done.stdout.split()))


@pytest.mark.stress
def test_a_year_without_hands_loses_no_event_and_reports_none_twice(tmp_path, monkeypatch, stress):
    count, a_run, every = (120, 3, 6) if stress else (7, 1, 1)
    days = [date(2024, 1, 2) + timedelta(days=3 * number) for number in range(count)]
    site, folder = tmp_path / "site", tmp_path / "year"
    small_series(site, dates=days, size=96, changes=6 if stress else 2, floods=2 if stress else 0)
    sections = {"baseline": {"policy": "fixed", "scene": days[0].isoformat()}}
    hooks = {
        "news": {"hook": {"kind": "command", "command": ["sh", "-c", RECEIVER]}},
        "on_failure": {"hook": {"kind": "command", "command": ["sh", "-c", ALERT]}},
    }
    folder.mkdir()
    keep = {"history_days": 60, "thumbnails_days": 60}
    job = write_job(folder / "job.yaml", folder / "scenes", keep=keep, **sections, **hooks)
    stamps, faults, figures, failed = dates_in(site), list(FAULTS), [], 0
    for number in range(count // a_run):
        deliver(site, folder / "scenes", stamps[number * a_run : (number + 1) * a_run])
        if number % every == every - 1 and number and faults:
            with monkeypatch.context() as patch:
                faults.pop(0)(folder, patch)
                failed += 1
        done = run_here("monitor", "run", job)
        assert done.status == 0, done.err
        if stress and number in (10, count // a_run - 1):
            figures.append(cost_of_a_run(folder))
    assert (failed, faults) == (6, [])

    alerts = (folder / "alerts").read_text().splitlines()
    assert len(alerts) in (5, 6) and sum(line.startswith("-9 ") for line in alerts) == 1
    news = [json.loads(line) for line in (folder / "news.jsonl").read_text().splitlines()]
    reached = [
        (item["event"], milestone)
        for each in news
        for milestone, items in each["news"].items()
        if milestone != "withdrawn"
        for item in items
    ]
    assert reached and len(set(reached)) == len(reached)
    withdrawn = {event for each in news for event in each["news"]["withdrawn"]}

    whole = write_job(tmp_path / "whole.yaml", site, out="whole", **sections)
    assert run_here("monitor", "run", whole).status == 0
    assert layers(folder / "out") == layers(tmp_path / "whole")
    assert {event for event, _ in reached} - withdrawn == {
        row["event_id"] for row in layers(tmp_path / "whole")["events"]
    }
    if stress:
        (early_s, early_mib), (late_s, late_mib) = figures
        steps = len(list(JobFolder(folder / "out").steps.iterdir()))
        print(f"seconds a run {early_s:.2f} to {late_s:.2f}; MiB {early_mib:.0f} to {late_mib:.0f}; "
              f"{len(set(reached))} milestones; {steps} comparisons on disk")  # fmt: skip
        assert late_mib <= 1.1 * early_mib
        assert late_s <= 2 * early_s
