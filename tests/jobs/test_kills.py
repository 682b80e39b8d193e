"""Killed before any change of the file system, a command leaves the old results or the new ones, and nothing
else once it has run again."""

from __future__ import annotations

import shutil

import pytest

import rsdetect
from rsdetect.jobs.outputs import Outputs
from support.forked import forked_commands
from support.interruption import CVA
from support.jobs import OUTPUTS, changed_pair, contents, listing
from support.results import everything, page
from support.trials import trials

pytestmark = pytest.mark.stress
MOMENTS = 4  # that the suite tries of each command; `make stress` tries all


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
    wanted = everything(out)
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
            assert everything(out) == wanted
            if listing(out) == OUTPUTS:
                continue  # it had ended, but for saying so
        again = server.run(*command, folder=out.parent)
        assert again["status"] == 0, (moment, again["err"])
        assert everything(out) == wanted
        assert listing(out.parent) == sorted(["out", *(f"out/{name}" for name in OUTPUTS)]), moment


def test_vectorize_can_be_killed_before_any_change(scenes, server, tmp_path, stress):
    old, out = tmp_path / "old", tmp_path / "w" / "out"
    rsdetect.detect(scenes.before, scenes.after, out=old, tile_size=64, **CVA)
    before = everything(old)
    command = ("vectorize", out, "--threshold", 0.95)
    shutil.copytree(old, out)
    whole = server.run(*command, folder=out.parent)
    assert whole["status"] == 0, whole["err"]
    after = everything(out)
    assert after != before
    for moment in trials("kills", "vectorize", moments(whole["changes"], stress)):
        shutil.rmtree(out)
        shutil.copytree(old, out)
        assert server.run(*command, folder=out.parent, kill=moment)["status"] == -9
        rsdetect.ChangeMap.open(out)  # reading the record completes what was begun
        assert everything(out) in (before, after)
        assert server.run(*command, folder=out.parent)["status"] == 0
        assert everything(out) == after
        assert listing(out) == OUTPUTS, moment


def test_report_can_be_killed_before_any_change(scenes, server, tmp_path, stress):
    old, out = tmp_path / "old", tmp_path / "w" / "out"
    rsdetect.detect(scenes.before, scenes.after, out=old, tile_size=64, **CVA)
    wanted = page(old / Outputs.PAGE)
    (old / Outputs.PAGE).write_text("an older page")
    shutil.copytree(old, out)
    whole = server.run("report", out, folder=out.parent)
    assert whole["status"] == 0, whole["err"]
    others = {name: content for name, content in contents(old).items() if name != Outputs.PAGE}
    for moment in trials("kills", "report", moments(whole["changes"], stress)):
        shutil.rmtree(out)
        shutil.copytree(old, out)
        assert server.run("report", out, folder=out.parent, kill=moment)["status"] == -9
        found = (out / Outputs.PAGE).read_text()
        assert found == "an older page" or page(out / Outputs.PAGE) == wanted
        assert server.run("report", out, folder=out.parent)["status"] == 0
        assert page(out / Outputs.PAGE) == wanted
        assert contents(out).items() >= others.items()
        assert listing(out) == OUTPUTS, moment
