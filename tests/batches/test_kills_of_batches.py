"""A batch that is killed before any change of the file system is completed by the same command, and replaces
its own results only."""

from __future__ import annotations

import shutil

import geopandas
import pytest

from support.forked import forked_commands
from support.jobs import changed_pair, listing
from support.trials import trials

pytestmark = pytest.mark.stress
MOMENTS = 8  # that the suite tries; `make stress` tries all


@pytest.fixture(scope="module")
def server():
    return forked_commands()


@pytest.mark.parametrize("other", [(), ("--bands", "1,2")], ids=["same options", "other options"])
def test_a_batch_can_be_killed_before_any_change(server, tmp_path, stress, other):
    scenes = changed_pair(tmp_path, height=96, width=128)
    table, out = tmp_path / "pairs.csv", tmp_path / "out"
    table.write_text(
        "name,before,after\n" + f"p,{scenes.before},{scenes.after}\nq,{scenes.after},{scenes.before}\n"
    )
    command = ("batch", table, "--out", out, "--detector", "cva", "--quiet")
    assert server.run(*command, *other, folder=out)["status"] == 0
    wanted, files = geopandas.read_file(out / "changes.gpkg", layer="changes"), listing(out)
    shutil.rmtree(out)
    count = server.run(*command, folder=out)["changes"]
    moments = range(1, count + 1) if stress else range(count // 9, count + 1, count // MOMENTS)
    for moment in trials("kills", f"batch, then {other}", moments):
        shutil.rmtree(out)
        # The record is written again as time allows, so that a run may end before its last moments.
        killed = server.run(*command, folder=out, kill=moment)["status"] == -9
        assert killed or moment > 0.8 * count
        again = server.run(*command, *other, folder=out)
        assert again["status"] == 0, (moment, again["err"])
        assert geopandas.read_file(out / "changes.gpkg", layer="changes").equals(wanted), moment
        assert listing(out) == files, moment
