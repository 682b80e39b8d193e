"""A batch in shards, collected; its status while it runs and afterwards."""

from __future__ import annotations

import json
import shutil

import pytest

import rsdetect
from rsdetect.batches.batch_record import BatchRecord, read_batch
from rsdetect.batches.batch_report import BatchReport
from rsdetect.batches.pair_results import State, waiting_result
from rsdetect.batches.pairs import read_pairs
from rsdetect.batches.status import batch_status
from rsdetect.errors import InputError
from rsdetect.jobs.options import DetectOptions
from support.batches import CVA, batch, layer, write_list
from support.jobs import changed_pair, run_here


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """A list of three pairs, and the folder that a batch of them filled."""
    folder = tmp_path_factory.mktemp("country")
    rows = []
    for number in range(3):
        scenes = changed_pair(folder / str(number), 72, 84, seed=number)
        rows.append(f"pair{number},{scenes.before},{scenes.after}")
    pairs = write_list(folder / "pairs.csv", *rows)
    told, _ = batch(pairs, folder / "whole")
    assert told.status == 0, told.err
    return folder


@pytest.fixture(scope="module")
def shards(country):
    for part in ("1/2", "2/2"):
        told = run_here("batch", country / "pairs.csv", "--out", country / "out", *CVA, "--shard", part)
        assert told.status == 0, told.err
    return country


@pytest.fixture
def own(shards, tmp_path):
    """A copy of the shards, to alter."""
    shutil.copytree(shards / "out", tmp_path / "out")
    return tmp_path / "out"


def collect(shards, out, *options):
    return run_here("batch", shards / "pairs.csv", "--out", out, "--collect", *options)


def test_the_shards_collected_are_the_batch(shards, own):
    assert not (own / "changes.gpkg").exists()
    assert [row["name"] for row in read_batch(own / "shards" / "1-of-2")["pairs"]] == ["pair0", "pair2"]
    told = collect(shards, own)
    assert told.status == 0, told.err
    found, wanted = ((each / "index.html").read_text() for each in (own, shards / "whole"))
    assert found == wanted
    for which in ("changes", "footprint"):
        found, wanted = (layer(each / "changes.gpkg", which) for each in (own, shards / "whole"))
        assert found.equals(wanted)
    found, wanted = (read_batch(each) for each in (own, shards / "whole"))
    for key in ("counts", "made", "list_sha256", "regions", "changed_area_m2", "counted_twice_m2"):
        assert found[key] == wanted[key], key
    assert [row["state"] for row in found["pairs"]] == ["done"] * 3
    # The batch knows the pairs as its own, and finds them done.
    told, rows = batch(shards / "pairs.csv", own)
    assert told.status == 0 and {row["state"] for row in rows.values()} == {"done before"}


def test_a_killed_shard_is_repeated_alone(shards, own):
    """As left by a kill: claimed, published without a record of the shard's end."""
    record = json.loads((own / "shards" / "2-of-2" / "batch.json").read_text())
    record |= {"made": [], "finished": None, "pairs": [record["pairs"][0] | {"state": "waiting"}]}
    (own / "shards" / "2-of-2" / "batch.json").write_text(json.dumps(record))
    (own / "shards" / "2-of-2" / ".batch.claims").write_text('\n"pair1"\n\n"pai')
    (own / "pair1" / "run.json").unlink()
    told = collect(shards, own)
    assert told.status == 3 and "1 of 3 pairs are waiting" in told.err
    kept = (own / "pair0" / "run.json").stat().st_mtime_ns
    told = run_here("batch", shards / "pairs.csv", "--out", own, *CVA, "--shard", "2/2")
    assert told.status == 0, told.err
    assert (own / "pair0" / "run.json").stat().st_mtime_ns == kept
    assert collect(shards, own).status == 0
    assert layer(own / "changes.gpkg").equals(layer(shards / "whole" / "changes.gpkg"))


def test_a_missing_shard_leaves_its_pairs_waiting(shards, own):
    shutil.rmtree(own / "shards" / "2-of-2")
    told = collect(shards, own, "--json")
    assert told.status == 3
    assert [row["state"] for row in json.loads(told.out)["pairs"]] == ["done", "waiting", "done"]
    assert batch_status(shards / "out").missing == []
    shutil.rmtree(own / "pair1")
    (own / "batch.json").unlink()
    assert batch_status(own).missing == ["2/2"]


def test_shards_that_do_not_belong_together_are_refused(shards, own, tmp_path):
    other = write_list(tmp_path / "pairs.csv", *(shards / "pairs.csv").read_text().splitlines()[1:3])
    told = run_here("batch", other, "--out", own, "--collect")
    assert told.status == 2 and "of another list" in told.err and told.err.count("\n") == 1
    path = own / "shards" / "2-of-2" / "batch.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"options": {}}))
    assert "other options" in collect(shards, own).err
    path.write_text(json.dumps(record | {"shard": "2/3"}))
    assert "different numbers of shards" in collect(shards, own).err
    shutil.rmtree(own / "shards")
    told = collect(shards, own)
    assert told.status == 2 and "--shard 1/N" in told.err
    assert not (own / "changes.gpkg").exists()


def test_damaged_polygons_of_a_pair_are_named_with_their_remedy(shards, own):
    (own / "pair1" / "changes.gpkg").write_bytes(b"no database" * 1000)
    told = collect(shards, own)
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert f"rsdetect vectorize {own / 'pair1'} writes it again" in told.err
    assert not (own / "changes.gpkg").exists()
    assert run_here("vectorize", own / "pair1", "--quiet").status == 0
    assert collect(shards, own).status == 0
    assert layer(own / "changes.gpkg").equals(layer(shards / "whole" / "changes.gpkg"))


@pytest.mark.parametrize("text", ["0/2", "3/2", "x", "1", "1/0"])
def test_a_shard_is_i_of_n(country, tmp_path, text):
    told = run_here("batch", country / "pairs.csv", "--out", tmp_path / "out", "--shard", text)
    assert told.status == 2 and "is not I/N" in told.err
    assert not (tmp_path / "out").exists()


def test_the_same_pair_twice_is_refused(tmp_path):
    pairs = write_list(
        tmp_path / "pairs.csv",
        *("one,a.tif,b.tif,1", "two,a.tif,b.tif,2", "three,a.tif,b.tif,1"),
        heading="name,before,after,bands",
    )
    with pytest.raises(InputError, match="line 4 has the same pair as 'one', with the same options"):
        rsdetect.batch(pairs, out=tmp_path / "out")


# --- status ---------------------------------------------------------------------------------------------


def test_the_status_of_a_finished_batch(country):
    told = run_here("batch", "--status", country / "whole")
    assert told.status == 0 and "3 of 3 pairs done, 0 failed, 0 waiting." in told.err
    told = run_here("batch", "--status", country / "whole", "--json")
    assert json.loads(told.out)["done"] == 3
    told = run_here("batch", "--status", country / "none")
    assert told.status == 2 and "has no batch" in told.err
    assert run_here("batch").status == 2


def test_the_status_while_it_runs(country, tmp_path, monkeypatch):
    """The table and the record are readable after each pair; from another process, so is the status."""
    import rsdetect.batches.run

    monkeypatch.setattr("rsdetect.batches.batch_record._LEAST_S", 0.0)
    monkeypatch.setattr("rsdetect.batches.batch_record._SHARE", 0)
    genuine, seen = rsdetect.batches.run.run_detect, []

    def watched(before, after, folder, options):
        seen.append(batch_status(tmp_path / "out"))
        table = (tmp_path / "out" / "summary.csv").read_text().splitlines()
        assert len(table) == 4
        if folder.name == "pair1":
            raise InputError("no light")
        return genuine(before, after, folder, options)

    monkeypatch.setattr("rsdetect.batches.run.run_detect", watched)
    told, _ = batch(country / "pairs.csv", tmp_path / "out")
    assert told.status == 2
    assert [(each.done, len(each.failed), each.waiting) for each in seen] == [(0, 0, 3), (1, 0, 2), (1, 1, 1)]
    assert all(each.running == ["batch"] for each in seen)
    assert seen[2].seconds_left is not None
    assert "pair1 failed with status 2: no light" in "\n".join(seen[2].lines())
    assert not batch_status(tmp_path / "out").running


def test_the_records_of_a_long_list_are_not_rewritten_after_each_pair(country, tmp_path, monkeypatch):
    pairs = read_pairs(country / "pairs.csv", DetectOptions())
    record = BatchRecord(country / "pairs.csv", tmp_path, tmp_path, {}, set())
    report = BatchReport([waiting_result(pair) for pair in pairs], None, None, [])
    record.write(report)
    written = (tmp_path / "batch.json").stat().st_mtime_ns
    monkeypatch.setattr(BatchRecord, "write", lambda *_: pytest.fail("written at once again"))
    for pair in pairs:
        record.claim(pair.name)
        record.progress(report)
    assert (tmp_path / "batch.json").stat().st_mtime_ns == written
    assert report.exit_status == 3 and report.results[0].state is State.WAITING
