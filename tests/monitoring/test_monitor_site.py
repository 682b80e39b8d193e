"""The whole promise on one site: 24 dates, clouds in a third, 12 changes, 4 floods, the year's cycle."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from support.jobs import run_here
from support.monitored import dates_in, deliver, layers, require_the_truth, small_series, write_job

MONTHS = tuple(date(2023 + i // 12, i % 12 + 1, 8) for i in range(24))
SEASON = {"baseline": {"policy": "season"}, "detector": {"name": "cva", "min_area": 1500, "threshold": 0.4}}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    options = {
        "size": 192,
        "changes": 12,
        "floods": 4,
        "quiet": 12,
        "cloudy": 1 / 3,
        "season": 1.0,
        "seed": 1,
    }
    small_series(folder, dates=MONTHS, **options)
    return folder


@pytest.fixture(scope="module")
def in_one_go(site, tmp_path_factory):
    folder = tmp_path_factory.mktemp("in one go")
    job = write_job(folder / "job.yaml", site, **SEASON)
    assert run_here("monitor", "run", job, "--quiet").status == 0
    return folder / "out"


@pytest.mark.slow
def test_what_was_planted_is_confirmed_in_time_and_what_receded_is_resolved(site, in_one_go):
    found = require_the_truth(in_one_go, site, seen=2, most_false=2)
    assert found["planted"] == 16
    print(found)


@pytest.mark.slow
def test_the_same_after_kills_at_random_moments(site, in_one_go, tmp_path, stress):
    kills = 50 if stress else 20
    job = write_job(tmp_path / "job.yaml", site, **SEASON)
    nursery = [sys.executable, Path(__file__).parents[1] / "support" / "nursery.py", job, str(kills), "8"]
    done = subprocess.run(nursery, capture_output=True, text=True, check=False, timeout=3000)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == {"killed": kills, "finished": 0}
    assert run_here("monitor", "run", job, "--quiet").status == 0
    assert layers(tmp_path / "out") == layers(in_one_go)
    require_the_truth(tmp_path / "out", site)
    left = [path for path in (tmp_path / "out").rglob("*") if "part" in path.name or path.name == ".work"]
    assert left == []


@pytest.mark.slow
def test_the_same_with_scenes_in_random_order(site, in_one_go, tmp_path):
    stamps = dates_in(site)
    random.Random(4).shuffle(stamps)
    job = write_job(tmp_path / "job.yaml", tmp_path / "scenes", **SEASON)
    for start in range(0, len(stamps), 8):
        deliver(site, tmp_path / "scenes", stamps[start : start + 8])
        assert run_here("monitor", "run", job, "--quiet").status == 0
    assert layers(tmp_path / "out") == layers(in_one_go)


@pytest.mark.slow
def test_the_network_watches_too(site, tmp_path):
    stamps = dates_in(site)[11:14]
    detector = {"name": "siamese", "min_area": 1500}
    whole = write_job(tmp_path / "whole.yaml", tmp_path / "scenes", tmp_path / "whole", detector=detector)
    for number, stamp in enumerate(stamps):
        job = write_job(tmp_path / "job.yaml", tmp_path / "scenes", tmp_path / "out", detector=detector)
        deliver(site, tmp_path / "scenes", [stamp])
        assert run_here("monitor", "run", job, "--quiet").status == 0
        assert len(list((tmp_path / "out" / "steps").iterdir())) == number if number else True
    assert run_here("monitor", "run", whole, "--quiet").status == 0
    assert layers(tmp_path / "out") == layers(tmp_path / "whole")
    records = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("steps/*/run.json")]
    assert {record["detector"]["name"] for record in records} == {"siamese"}
