"""The workflows run as they stand, on the sample pair and the sample site."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import geopandas
import pyogrio
import pytest
import rasterio

from rsdetect.monitoring.serve import Schedule

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "data" / "sample"
SITE = ROOT / "data" / "site"
JOB = Path("workflows") / "landuse_monitor.yaml"


def run(*command, cwd=ROOT, **environment):
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_batch_runs_its_list_and_repeats_only_what_is_not_done(tmp_path):
    lines = (ROOT / "workflows" / "pairs.csv").read_text().replace("../data", str(ROOT / "data"))
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(lines + "missing,no.tif,no.tif,\n")
    command = (sys.executable, "-m", "rsdetect.cli", "batch", pairs, "--out", tmp_path / "out")
    first = run(*command, "--detector", "cva")
    assert first.returncode == 2, first.stderr  # the missing scene; the other pair is done all the same
    assert "missing: failed" in first.stderr
    record = (tmp_path / "out" / "sample" / "run.json").stat().st_mtime_ns
    second = run(*command, "--detector", "cva")
    assert second.returncode == 2, second.stderr
    assert "sample: done before" in second.stderr
    assert (tmp_path / "out" / "sample" / "run.json").stat().st_mtime_ns == record
    assert not (tmp_path / "out" / "missing").exists()


def test_the_sample_is_what_its_command_makes(tmp_path):
    recipe = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if "simulate --out data/sample" in line
    )
    arguments = recipe.split("rsdetect ", 1)[1].replace("data/sample", str(tmp_path)).split()
    assert run(sys.executable, "-m", "rsdetect.cli", *arguments).returncode == 0
    for name in ("before.tif", "after.tif", "truth.tif"):
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes()
    made, kept = (pyogrio.read_dataframe(folder / "truth.gpkg") for folder in (tmp_path, SAMPLE))
    assert list(made) == list(kept) and made.equals(kept)
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= 3_000_000


# --- a place to watch --------------------------------------------------------------------------------------


def test_the_site_is_what_its_script_makes(tmp_path):
    done = run(sys.executable, "workflows/make_site.py", tmp_path)
    assert done.returncode == 0, done.stderr
    scenes = sorted(path.name for path in SITE.glob("*.tif"))
    assert sorted(path.name for path in tmp_path.glob("*.tif")) == scenes
    for name in scenes:
        with rasterio.open(tmp_path / name) as made, rasterio.open(SITE / name) as kept:
            assert (made.read() == kept.read()).all(), name
    assert sum(path.stat().st_size for path in SITE.iterdir()) <= 2_000_000


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout in which the valley has been watched; what a test leaves there is private to it."""
    folder = tmp_path_factory.mktemp("checkout")
    shutil.copytree(
        ROOT / "workflows", folder / "workflows", ignore=shutil.ignore_patterns("landuse", "__pycache__")
    )
    (folder / "data").symlink_to(ROOT / "data")
    (folder / ".venv").symlink_to(sys.prefix)
    command = (sys.executable, "-m", "rsdetect.cli", "monitor", "run", folder / JOB)
    done = run(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_job_confirms_what_changed_in_the_valley_and_nothing_else(checkout):
    truth = geopandas.read_file(SITE / "truth.gpkg")
    events = geopandas.read_file(checkout / "workflows" / "landuse" / "events.gpkg", layer="events")
    confirmed = events[events.status == "confirmed"]
    assert len(confirmed) == len(truth) == 3
    for change in truth.itertuples():
        (event,) = confirmed[confirmed.intersects(change.geometry)].itertuples()
        shared = event.geometry.intersection(change.geometry).area
        # One of them differs little from the field that it was built on, and is marked in part.
        assert shared > 0.8 * event.geometry.area
        assert shared > 0.5 * change.geometry.area
        assert event.first_seen.date().isoformat() >= change.first_date
    summary = json.loads((checkout / "workflows" / "landuse" / "summary.json").read_text())
    assert len(summary["news"]["confirmed"]) == 3


def test_every_file_that_the_readme_and_the_scripts_name_is_there():
    folder = ROOT / "workflows"  # and not what jobs have left below it
    subfolders = [folder / name for name in ("docker", "kubernetes", "national_batch", "systemd")]
    paths = [path for each in (folder, *subfolders) for path in each.iterdir() if path.is_file()]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    named = {name for text in texts for name in re.findall(r"(?<![/\w])(?:workflows|data)/[\w./@-]*\w", text)}
    assert len(named) > 10
    made = {"workflows/landuse", "workflows/landuse/events.gpkg", "workflows/landuse/report.html"}  # by jobs
    assert not [name for name in named - made if not (ROOT / name).exists()]


@pytest.mark.slow
def test_the_cron_line_runs_in_what_cron_gives_and_says_nothing(checkout):
    lines = [
        line for line in (ROOT / "workflows" / "monitor.cron").read_text().splitlines() if line[:1] != "#"
    ]
    variables = dict(line.split("=", 1) for line in lines if not line[:1].isdigit())
    (line,) = [line for line in lines if line[:1].isdigit()]
    *fields, command = line.split(maxsplit=5)
    schedule = Schedule(cron=" ".join(fields)).trigger()
    moment = schedule.get_next_fire_time(None, datetime(2024, 5, 1, tzinfo=UTC))
    assert (moment.strftime("%a"), moment.hour, moment.minute) == ("Mon", 6, 0)
    assert list(variables) == ["RSDETECT"]
    environment = {
        "HOME": str(checkout),
        "PATH": "/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "RSDETECT": str(checkout),
    }
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, timeout=300, cwd="/"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
