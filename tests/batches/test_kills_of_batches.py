"""A batch that is killed before any change of the file system is completed by the same command, and replaces
its own results only."""

from __future__ import annotations

import shutil

import pytest

from support.batches import everything_of_batch
from support.forked import forked_commands
from support.jobs import changed_pair, listing
from support.trials import trials

pytestmark = pytest.mark.stress
MOMENTS = 3  # that the suite tries; `make stress` tries all
CVA = ("--detector", "cva", "--quiet")


@pytest.fixture(scope="module")
def server():
    return forked_commands()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A list of two pairs."""
    folder = tmp_path_factory.mktemp("list")
    scenes = changed_pair(folder, height=96, width=128)
    (folder / "pairs.csv").write_text(
        "name,before,after\n" + f"p,{scenes.before},{scenes.after}\nq,{scenes.after},{scenes.before}\n"
    )
    return folder / "pairs.csv"


@pytest.fixture(scope="module")
def shards(table, server):
    """A folder with both shards of the list."""
    out = table.parent / "shards"
    for shard in ("1/2", "2/2"):
        done = server.run("batch", table, "--out", out, *CVA, "--shard", shard)
        assert done["status"] == 0, done["err"]
    return out


def moments(count, stress, tried):
    """Changes of a run; outside of `make stress` those of its first record, and a few of the rest."""
    return (
        range(1, count + 1) if stress else sorted({9, 10, *range(count // tried, count + 1, count // tried)})
    )


@pytest.mark.parametrize("other", [(), ("--bands", "1,2")], ids=["same options", "other options"])
def test_a_batch_can_be_killed_before_any_change(table, server, tmp_path, stress, other):
    out = tmp_path / "out"
    command = ("batch", table, "--out", out, *CVA)
    assert server.run(*command, *other, folder=out)["status"] == 0
    wanted, files = everything_of_batch(out), listing(out)
    shutil.rmtree(out)
    count = server.run(*command, folder=out)["changes"]
    for moment in trials("kills", f"batch, then {other}", moments(count, stress, MOMENTS)):
        shutil.rmtree(out)
        # The record is written again as time allows, so that a run may end before its last moments.
        killed = server.run(*command, folder=out, kill=moment)["status"] == -9
        assert killed or moment > 0.8 * count
        again = server.run(*command, *other, folder=out)
        assert again["status"] == 0, (moment, again["err"])
        assert everything_of_batch(out) == wanted, moment
        assert listing(out) == files, moment


def test_a_shard_can_be_killed_before_any_change(shards, table, server, tmp_path, stress):
    """The other shard is done; the status is readable, and the shards can be collected afterwards."""
    out = tmp_path / "out"
    command = ("batch", table, "--out", out, *CVA, "--shard", "2/2")
    collect = ("batch", table, "--out", out, "--collect", "--quiet")

    def reset():
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(shards, out)
        shutil.rmtree(out / "q")
        shutil.rmtree(out / "shards" / "2-of-2")

    reset()
    whole = server.run(*command, folder=out)
    assert server.run(*collect)["status"] == 0
    wanted, files, count = everything_of_batch(out), listing(out), whole["changes"]
    for moment in trials("kills", "batch, a shard", moments(count, stress, 3)):
        reset()
        killed = server.run(*command, folder=out, kill=moment)["status"] == -9
        assert killed or moment > 0.8 * count
        told = server.run("batch", "--status", out)
        assert told["status"] == 0 and "of" in told["err"], (moment, told)
        again = server.run(*command, folder=out)
        assert again["status"] == 0, (moment, again["err"])
        assert server.run(*collect)["status"] == 0
        assert everything_of_batch(out) == wanted, moment
        assert listing(out) == files, moment


def test_collecting_can_be_killed_before_any_change(shards, table, server, tmp_path, stress):
    out = tmp_path / "out"
    command = ("batch", table, "--out", out, "--collect", "--quiet")
    shutil.copytree(shards, out)
    whole = server.run(*command, folder=out)
    assert whole["status"] == 0, whole["err"]
    wanted, files = everything_of_batch(out), listing(out)
    for moment in trials("kills", "batch, collected", moments(whole["changes"], stress, 2)):
        shutil.rmtree(out)
        shutil.copytree(shards, out)
        assert server.run(*command, folder=out, kill=moment)["status"] == -9
        shard = server.run("batch", table, "--out", out, *CVA, "--shard", "2/2")
        assert shard["status"] == 0, (moment, shard["err"])
        again = server.run(*command, folder=out)
        assert again["status"] == 0, (moment, again["err"])
        assert everything_of_batch(out) == wanted, moment
        assert listing(out) == files, moment
