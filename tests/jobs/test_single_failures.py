"""A write, close, sync, rename, new folder or removal fails once: the result is right, or the status 3."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3

import pytest
import rasterio

import rsdetect
from support.failing_calls import failures, hits, require_strace, traced
from support.interruption import CVA
from support.jobs import OUTPUTS, changed_pair, listing

pytestmark = pytest.mark.stress
MOMENTS = 6  # of each command that the suite tries; `make stress` tries all


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), height=600, width=700)


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


def chosen(every, stress):
    return every if stress else random.Random(1).sample(every, min(MOMENTS, len(every)))


def try_all(command, reset, out, work, stress):
    reset()
    every = failures(out.resolve(), command, work / "log")
    wanted = result(out)
    assert len(every) > MOMENTS
    met = 0
    for failure in chosen(every, stress):
        reset()
        status, told, log = traced(failure.options(), command, work / "log")
        inside, outside = hits(out.resolve(), log)
        if outside or not inside:
            continue  # another file was met in another thread; the next failures are met alone
        met += 1
        assert status in (0, 3), (failure, inside, told)
        if status == 0:
            assert result(out) == wanted, (failure, inside)
        else:
            assert told.count("Error: ") == 1, (failure, told)
        again, told, _ = traced(["-e", "trace=none"], command, work / "log")
        if status == 0 and again == 2 and listing(out) == OUTPUTS:
            continue  # it had ended with complete results
        assert again == 0, (failure, inside, told)
        assert result(out) == wanted, (failure, inside)
        assert listing(out) == OUTPUTS, (failure, inside)
    assert met, "no failure met a file of the job alone"


def test_detect(scenes, tmp_path, stress):
    require_strace(tmp_path)
    out = tmp_path / "out"
    command = (
        *("detect", scenes.before, scenes.after, "--out", out, "--detector", "cva", "--tile-size", 256),
        *("--workers", 1, "--quiet"),
    )
    try_all(command, lambda: shutil.rmtree(out, ignore_errors=True), out, tmp_path, stress)


def test_vectorize(scenes, tmp_path, stress):
    require_strace(tmp_path)
    old, out = tmp_path / "old", tmp_path / "out"
    rsdetect.detect(scenes.before, scenes.after, out=old, **CVA)

    def reset():
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(old, out)

    try_all(("vectorize", out, "--threshold", 0.9), reset, out, tmp_path, stress)
