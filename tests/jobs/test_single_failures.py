"""A write, close, sync, rename, new folder or removal fails once: the result is right, or the status 3."""

from __future__ import annotations

import shutil

import pytest

import rsdetect
from support.batches import everything_of_batch
from support.failing_calls import Command, try_failures
from support.interruption import CVA
from support.jobs import changed_pair, listing
from support.monitored import layers
from support.results import everything
from support.watched_jobs import deliver, series, write_job

pytestmark = pytest.mark.stress
MOMENTS = 4  # of each command that the suite tries; `make stress` tries all


@pytest.fixture
def scenes(tmp_path, stress):
    """A pair of several tiles; under stress of so many regions that their layer takes several writes."""
    height, width = (600, 700) if stress else (96, 128)
    return changed_pair(tmp_path, height=height, width=width)


@pytest.fixture
def count(stress):
    return None if stress else MOMENTS


def over_results(command, scenes, folder):
    """A command on copies of the results of a job."""
    old, out = folder / "old", folder / "out"
    rsdetect.detect(scenes.before, scenes.after, out=old, **CVA)

    def reset():
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(old, out)

    name, *options = command
    return Command(name, (name, out, *options), out, reset, everything, listing)


def test_detect(scenes, tmp_path, count, stress):
    out = tmp_path / "out"
    size = 256 if stress else 64
    command = (
        *("detect", scenes.before, scenes.after, "--out", out, "--detector", "cva", "--tile-size", size),
        *("--workers", 1, "--quiet"),
    )

    def reset():
        shutil.rmtree(out, ignore_errors=True)

    try_failures(Command("detect", command, out, reset, everything, listing), tmp_path, count)


def test_vectorize(scenes, tmp_path, count):
    try_failures(over_results(("vectorize", "--threshold", 0.9), scenes, tmp_path), tmp_path, count)


def test_report(scenes, tmp_path, count):
    try_failures(over_results(("report",), scenes, tmp_path), tmp_path, count and 2)


def test_batch(tmp_path, count):
    scenes = changed_pair(tmp_path, height=96, width=128)
    table, out = tmp_path / "pairs.csv", tmp_path / "out"
    pairs = f"p,{scenes.before},{scenes.after}\nq,{scenes.after},{scenes.before}\n"
    table.write_text("name,before,after\n" + pairs)

    def reset():
        shutil.rmtree(out, ignore_errors=True)

    command = ("batch", table, "--out", out, "--detector", "cva", "--workers", 1, "--quiet")
    try_failures(Command("batch", command, out, reset, everything_of_batch, listing), tmp_path, count)


def test_monitor(tmp_path, count):
    site = tmp_path / "site"
    site.mkdir()
    deliver(site, series(), 0, 1)
    out = site / "out"

    def reset():
        shutil.rmtree(out, ignore_errors=True)

    def files(out):
        return [name for name in listing(out) if not name.startswith("reports/")]

    command = ("monitor", "run", write_job(site), "--quiet")
    try_failures(Command("monitor", command, out, reset, layers, files), tmp_path, count)


def test_collecting_shards(tmp_path, count):
    scenes = changed_pair(tmp_path, height=96, width=128)
    table, old, out = tmp_path / "pairs.csv", tmp_path / "old", tmp_path / "out"
    table.write_text(
        f"name,before,after\np,{scenes.before},{scenes.after}\nq,{scenes.after},{scenes.before}\n"
    )
    for shard in ("1/2", "2/2"):
        rsdetect.batch(table, out=old, shard=shard, **CVA)

    def reset():
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(old, out)

    command = Command(
        "collect", ("batch", table, "--out", out, "--collect"), out, reset, everything_of_batch, listing
    )
    try_failures(command, tmp_path, count and 2)
