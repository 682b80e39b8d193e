"""Ctrl-C and SIGTERM in every stage: the command ends, though a thread that it started does not."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from support.forked import forked_commands
from support.jobs import changed_pair, listing

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
    "headers": "rsdetect.jobs.detect.open_settled",
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
