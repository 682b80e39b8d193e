"""Killed before any change of the file system, a command leaves the old results or the new ones, and nothing
else once it has run again."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

import rsdetect
from rsdetect.jobs.outputs import Outputs
from support.forked import forked_commands
from support.interruption import CVA
from support.jobs import OUTPUTS, changed_pair, contents, listing
from support.trials import trials

pytestmark = pytest.mark.stress
MOMENTS = 6  # that the suite tries of each command; `make stress` tries all


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), height=96, width=128)


@pytest.fixture(scope="module")
def server():
    return forked_commands()


def moments(count, stress):
    """The last changes of a run, where files are published and cleared, and some of those before."""
    if stress:
        return range(1, count + 1)
    late = range(count - MOMENTS // 2, count + 1)
    return sorted({*range(1, count, max(1, 2 * count // MOMENTS)), *late})


def result(out):
    """What a folder with results holds, but for times of day and memory."""
    with sqlite3.connect(out / "changes.gpkg") as database:
        rows = database.execute("SELECT * FROM changes").fetchall()
    record = json.loads((out / "run.json").read_text())
    kept = {key: record[key] for key in ("threshold", "min_area", "fingerprint", "inputs")}
    return rows, kept, record["counts"]["changed_pixels"], (out / "change_probability.tif").read_bytes()


def detect(scenes, out, *options):
    return (
        *("detect", scenes.before, scenes.after, "--out", out, "--detector", "cva"),
        *("--tile-size", 64, "--workers", 1, "--quiet", *options),
    )


@pytest.mark.parametrize("over_old", [False, True], ids=["fresh", "over old results"])
def test_detect_can_be_killed_before_any_change(scenes, server, tmp_path, stress, over_old):
    old, out = tmp_path / "old", tmp_path / "w" / "out"
    if over_old:
        rsdetect.detect(scenes.before, scenes.after, out=old, bands=(1,), **CVA)
    command = detect(scenes, out, *["--overwrite"] * over_old)

    def reset():
        shutil.rmtree(out.parent, ignore_errors=True)
        out.parent.mkdir()
        if over_old:
            shutil.copytree(old, out)

    reset()
    whole = server.run(*command, folder=out.parent)
    assert whole["status"] == 0, whole["err"]
    wanted = result(out)
    for moment in trials("kills", f"detect, over old {over_old}", moments(whole["changes"], stress)):
        reset()
        killed = server.run(*command, folder=out.parent, kill=moment)
        assert killed["status"] == -9
        if (
            over_old
            and not Outputs.is_publishing(out)
            and contents(out)["run.json"] == contents(old)["run.json"]
        ):
            assert {name: contents(out)[name] for name in OUTPUTS} == contents(old)
        if not over_old and (out / "run.json").exists():
            assert result(out) == wanted
            if listing(out) == OUTPUTS:
                continue  # it had ended, but for saying so
        again = server.run(*command, folder=out.parent)
        assert again["status"] == 0, (moment, again["err"])
        assert result(out) == wanted
        assert listing(out.parent) == sorted(["out", *(f"out/{name}" for name in OUTPUTS)]), moment


def test_vectorize_can_be_killed_before_any_change(scenes, server, tmp_path, stress):
    old, out = tmp_path / "old", tmp_path / "w" / "out"
    rsdetect.detect(scenes.before, scenes.after, out=old, tile_size=64, **CVA)
    before = result(old)
    command = ("vectorize", out, "--threshold", 0.95)
    shutil.copytree(old, out)
    whole = server.run(*command, folder=out.parent)
    assert whole["status"] == 0, whole["err"]
    after = result(out)
    assert after != before
    for moment in trials("kills", "vectorize", moments(whole["changes"], stress)):
        shutil.rmtree(out)
        shutil.copytree(old, out)
        assert server.run(*command, folder=out.parent, kill=moment)["status"] == -9
        rsdetect.ChangeMap.open(out)  # reading the record completes what was begun
        assert result(out) in (before, after)
        assert server.run(*command, folder=out.parent)["status"] == 0
        assert result(out) == after
        assert listing(out) == OUTPUTS, moment
