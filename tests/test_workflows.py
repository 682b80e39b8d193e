"""The workflows run as they stand, on the sample pair."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyogrio
import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample"


def run(*command, **environment):
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_batch_runs_its_list_and_repeats_only_what_is_not_done(tmp_path):
    pairs = tmp_path / "pairs.csv"
    lines = (ROOT / "workflows" / "pairs.csv").read_text().rstrip().splitlines()
    pairs.write_text("\n".join([*lines, f"missing,{tmp_path / 'no.tif'},data/sample/after.tif"]) + "\n")
    command = ("bash", "workflows/batch_pairs.sh", pairs, tmp_path / "out", "--detector", "cva")
    first = run(*command)
    assert first.returncode == 2, first.stderr  # the missing scene; the other pair is done all the same
    assert "missing: failed with status 2" in first.stderr
    record = (tmp_path / "out" / "sample" / "run.json").stat().st_mtime_ns
    second = run(*command)
    assert "sample: done before" in second.stdout
    assert (tmp_path / "out" / "sample" / "run.json").stat().st_mtime_ns == record
    assert not (tmp_path / "out" / "missing").exists()


@pytest.mark.slow
def test_the_local_cluster_gives_what_one_process_gives(tmp_path):
    scenes = (SAMPLE / "before.tif", SAMPLE / "after.tif")
    options = ("--min-area", "10", "--tile-size", "256")
    here = run(sys.executable, "-m", "rsdetect.cli", "detect", *scenes, "--out", tmp_path / "here", *options)
    there = run(
        sys.executable,
        "workflows/local_cluster.py",
        *scenes,
        "--out",
        tmp_path / "there",
        *options,
        RSDETECT_PROCESSES="2",
    )
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    counts = [json.loads((tmp_path / out / "run.json").read_text())["counts"] for out in ("here", "there")]
    assert counts[0]["regions"] == counts[1]["regions"] > 0
    areas = [
        pyogrio.read_dataframe(tmp_path / out / "changes.gpkg", layer="changes").area_m2
        for out in ("here", "there")
    ]
    assert (areas[0] == areas[1]).all()


def test_the_sample_is_what_its_command_makes(tmp_path):
    recipe = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "simulate --out" in line)
    arguments = recipe.split("rsdetect ", 1)[1].replace("data/sample", str(tmp_path)).split()
    assert run(sys.executable, "-m", "rsdetect.cli", *arguments).returncode == 0
    for name in ("before.tif", "after.tif", "truth.tif"):
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes()
    assert sum(path.stat().st_size for path in SAMPLE.iterdir()) <= 3_000_000
