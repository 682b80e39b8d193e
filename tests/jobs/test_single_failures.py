"""A write, close, sync, rename, new folder or removal fails once: the result is right, or the status 3."""

from __future__ import annotations

import json
import shutil
import sqlite3

import geopandas
import pytest
import rasterio

import rsdetect
from support.failing_calls import Command, try_failures
from support.interruption import CVA
from support.jobs import changed_pair, listing
from support.monitored import layers
from support.watched_jobs import deliver, series, write_job

pytestmark = pytest.mark.stress
MOMENTS = 4  # of each command that the suite tries; `make stress` tries all


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), height=600, width=700)


@pytest.fixture
def count(stress):
    return None if stress else MOMENTS


def result(out):
    """Pixels, pixels of the overviews, polygons, and what the record counts of them."""
    rasters = []
    with rasterio.open(out / "change_probability.tif") as raster:
        levels = [None, *range(len(raster.overviews(1)))]
    for level in levels:
        options = {} if level is None else {"overview_level": level}
        with rasterio.open(out / "change_probability.tif", **options) as raster:
            rasters.append(raster.read(1).tobytes())
    with sqlite3.connect(out / "changes.gpkg") as database:
        rows = [database.execute(f"SELECT * FROM {layer}").fetchall() for layer in ("changes", "footprint")]
    record = json.loads((out / "run.json").read_text())
    return rasters, rows, record["threshold"], record["counts"]["changed_pixels"]


def test_detect(scenes, tmp_path, count):
    out = tmp_path / "out"
    command = (
        *("detect", scenes.before, scenes.after, "--out", out, "--detector", "cva", "--tile-size", 256),
        *("--workers", 1, "--quiet"),
    )

    def reset():
        shutil.rmtree(out, ignore_errors=True)

    try_failures(Command("detect", command, out, reset, result, listing), tmp_path, count)


def test_vectorize(scenes, tmp_path, count):
    old, out = tmp_path / "old", tmp_path / "out"
    rsdetect.detect(scenes.before, scenes.after, out=old, **CVA)

    def reset():
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(old, out)

    command = ("vectorize", out, "--threshold", 0.9)
    try_failures(Command("vectorize", command, out, reset, result, listing), tmp_path, count)


def test_batch(tmp_path, count):
    scenes = changed_pair(tmp_path, height=96, width=128)
    table, out = tmp_path / "pairs.csv", tmp_path / "out"
    pairs = f"p,{scenes.before},{scenes.after}\nq,{scenes.after},{scenes.before}\n"
    table.write_text("name,before,after\n" + pairs)

    def reset():
        shutil.rmtree(out, ignore_errors=True)

    def of_batch(out):
        changes = geopandas.read_file(out / "changes.gpkg", layer="changes")
        return changes.to_csv(), [result(out / name) for name in "pq"]

    command = ("batch", table, "--out", out, "--detector", "cva", "--workers", 1, "--quiet")
    try_failures(Command("batch", command, out, reset, of_batch, listing), tmp_path, count)


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
