"""Ctrl-C and SIGTERM in every stage: the command ends, though a thread that it started does not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

import rsdetect
from rsdetect import interruption
from rsdetect.interruption import ending_in_time
from support.forked import forked_commands
from support.interruption import CVA
from support.jobs import changed_pair, contents, listing
from support.watched_jobs import deliver, series, write_job

# The stage begins a thread that waits for ever, and waits for it.
STUCK = """
import importlib, threading
from pathlib import Path
module, name = "PLACE".rsplit(".", 1)
def stuck(*_, **__):
    thread = threading.Thread(target=threading.Event().wait)
    thread.start()
    Path("reached").touch()
    thread.join()
setattr(importlib.import_module(module), name, stuck)
"""
STAGES = {
    "headers": "rsdetect.jobs.opening.open_settled",
    "statistics": "rsdetect.jobs.detect.check_pair",
    "fitting": "rsdetect.jobs.detect.fit_detector",
    "scoring": "rsdetect.jobs.detect.run_tiles",
    "raster": "rsdetect.jobs.detect.finish_raster",
    "polygons": "rsdetect.jobs.detect.write_polygons",
    "record": "rsdetect.jobs.detect.write_record",
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_a_job_in_every_stage(tmp_path, monkeypatch, stage):
    monkeypatch.chdir(tmp_path)
    changed_pair(tmp_path, height=70, width=90)
    forked = forked_commands()
    job = ("detect", "before.tif", "after.tif", "--detector", "cva", "--out", "out", "--quiet")
    process = forked.start(*job, prepare=STUCK.replace("PLACE", STAGES[stage]))
    while not (tmp_path / "reached").exists():
        assert Path(f"/proc/{process}").exists(), forked.result()
        time.sleep(0.01)
    os.kill(process, signal.SIGTERM if len(stage) % 2 else signal.SIGINT)
    done = forked.result()  # without an end, the suite's time-out
    assert done["status"] == 3, done["err"]
    assert done["err"].startswith("Error: interrupted")
    assert done["err"].count("\n") == 1
    assert not (tmp_path / "out" / "run.json").exists()
    assert forked.run(*job)["status"] == 0
    assert ".work" not in listing(tmp_path / "out")


# The signal comes in the middle of a stage. The interruption is raised as it is, or it is lost: a library
# catches it, and fails later.
MID = """
import importlib, signal
module, name = "PLACE".rsplit(".", 1)
genuine = getattr(importlib.import_module(module), name)
def struck(*arguments, **keywords):
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        if "HOW" == "raised":
            raise
    signal.raise_signal(signal.SIGTERM)  # once more, which changes nothing
    raise ValueError("not what was expected")
setattr(importlib.import_module(module), name, struck)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A pair, a list of it, a finished run of it, and a watched site."""
    folder = tmp_path_factory.mktemp("site")
    changed_pair(folder, height=70, width=90)
    (folder / "pairs.csv").write_text("name,before,after\np,before.tif,after.tif\nq,after.tif,before.tif\n")
    rsdetect.detect(folder / "before.tif", folder / "after.tif", out=folder / "done", **CVA)
    deliver(folder, series(), 0, 1)
    write_job(folder)
    return folder


@pytest.mark.parametrize("how", ["raised", "lost"])
@pytest.mark.parametrize(
    ("command", "place"),
    [
        (("detect", "before.tif", "after.tif", "--out", "new"), "rsdetect.scoring.engine.tally_of_scores"),
        (("batch", "pairs.csv", "--out", "batch"), "dask.local.queue_get"),
        (("batch", "pairs.csv", "--out", "batch"), "rsdetect.jobs.detect.check_pair"),
        (("monitor", "run", "job.yaml"), "dask.local.queue_get"),
        (("monitor", "run", "job.yaml"), "rsdetect.ingestion.ingest.ingest_content"),
        (("vectorize", "done", "--threshold", "0.9"), "rsdetect.jobs.vectorize.write_polygons"),
        (("report", "done"), "rsdetect.jobs.report.remake.report_of_scenes"),
        (("detect", "before.tif", "after.tif", "--out", "new"), "rsdetect.jobs.report.write.render_report"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value.rsplit(".", 1)[1],
)
def test_an_interruption_is_no_failure(site, monkeypatch, command, place, how):
    """Status 3, one line, and nothing recorded as failed."""
    monkeypatch.chdir(site)
    before = contents(site / "done")
    if command[0] in ("detect", "batch"):
        command = (*command, "--detector", "cva", "--workers", 1)
    done = forked_commands().run(*command, prepare=MID.replace("PLACE", place).replace("HOW", how))
    assert done["status"] == 3, done["err"]
    assert done["err"].splitlines()[-1] == "Error: interrupted; the same command resumes the job."
    assert contents(site / "done") == before
    assert not Path("new/run.json").exists()
    shutil.rmtree("new", ignore_errors=True)
    if command[0] == "batch":
        record = json.loads(Path("batch/batch.json").read_text())
        assert [row["state"] for row in record["pairs"]] == ["waiting"] * 2
        assert record["finished"] is None
        shutil.rmtree("batch")
    if command[0] == "monitor":
        with closing(sqlite3.connect(next(Path("out").rglob("journal.sqlite")))) as journal:
            states = journal.execute("SELECT state FROM scenes UNION SELECT state FROM steps").fetchall()
        assert ("failed",) not in states
        shutil.rmtree("out")


@pytest.mark.parametrize("signalled", [False, True])
def test_a_command_in_a_process_that_goes_on_leaves_neither_thread_nor_open_file(signalled):
    with suppress(KeyboardInterrupt), ending_in_time(seconds=3600):
        guard = interruption._guard
        pipe = os.fstat(guard.read_end).st_ino
        if signalled:
            os.kill(os.getpid(), signal.SIGINT)
    assert not guard.thread.is_alive()
    for end in (guard.read_end, guard.write_end):
        with suppress(OSError):  # closed
            assert os.fstat(end).st_ino != pipe  # another thread may have opened a file with that number
