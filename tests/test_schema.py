"""What an older version wrote opens; what a newer one wrote is refused by number and left alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pyogrio
import pytest

from rsdetect import schema
from support.batches import batch, write_list
from support.jobs import changed_pair, listing, run_here
from support.labelled_sets import write_set

OLDER = Path(__file__).parent / "support" / "older" / "run_0.1.0.json"
REFUSED = "was written by a newer rsdetect (schema 99, this one knows up to 1)"


@pytest.fixture
def scenes(tmp_path):
    return changed_pair(tmp_path / "scenes", 120, 140)


@pytest.fixture
def finished(scenes, tmp_path):
    out = tmp_path / "out"
    told = run_here("detect", scenes.before, scenes.after, "--out", out, "--detector", "cva", "--quiet")
    assert told.status == 0, told.err
    return out


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def change(path, **keys):
    path.write_text(json.dumps(read(path) | keys), encoding="utf-8")


def make_older(folder, scenes):
    """The folder of a run as 0.1.0 left it."""
    text = OLDER.read_text(encoding="utf-8").replace("FOLDER", str(Path(scenes.before).parent))
    (folder / "run.json").write_text(text, encoding="utf-8")


def test_every_result_carries_its_number(finished, tmp_path):
    assert read(finished / "run.json")["schema"] == schema.RUN
    labelled = write_set(tmp_path / "labelled", ("north_1",))
    told = run_here("evaluate", labelled, "--out", tmp_path / "e", "--detector", "cva", "--quiet")
    assert told.status == 0, told.err
    assert read(tmp_path / "e" / "evaluation.json")["schema"] == schema.EVALUATION


def test_gdal_shows_the_number_of_a_geopackage_and_writes_nothing_beside_it(finished):
    path = finished / "changes.gpkg"
    before = listing(finished)
    pyogrio.read_dataframe(path, layer="changes")
    found = pyogrio.read_info(path, layer="changes")["dataset_metadata"]
    assert [json.loads(text) for text in found.values()] == [
        {"rsdetect": "geopackage", "schema": schema.GEOPACKAGE}
    ]
    shown = subprocess.run(["ogrinfo", "-ro", "-so", path], capture_output=True, text=True, check=True)
    assert '"schema": 1' in shown.stdout
    assert "Warning" not in shown.stdout + shown.stderr
    assert listing(finished) == before


def test_a_record_of_0_1_0_is_read(finished, scenes):
    make_older(finished, scenes)
    assert "schema" not in read(finished / "run.json")
    told = run_here("info", finished, "--json")
    assert told.status == 0, told.err
    assert json.loads(told.out)["detector"]["name"] == "cva"


def test_vectorize_opens_a_run_of_0_1_0(finished, scenes):
    make_older(finished, scenes)
    told = run_here("vectorize", finished, "--min-area", "400")
    assert told.status == 0, told.err
    record = read(finished / "run.json")
    assert (record["schema"], record["min_area"]) == (schema.RUN, 400)
    assert record["fingerprint"] == read(OLDER)["fingerprint"]


def test_a_batch_of_0_1_0_is_resumed(scenes, tmp_path):
    pairs = write_list(tmp_path / "pairs.csv", f"field,{scenes.before},{scenes.after}")
    out = tmp_path / "out"
    assert batch(pairs, out)[0].status == 0
    make_older(out / "field", scenes)
    content = read(out / "batch.json")
    del content["schema"]
    (out / "batch.json").write_text(json.dumps(content))
    told, rows = batch(pairs, out)
    assert told.status == 0, told.err
    assert rows["field"]["state"] == "done"
    assert read(out / "batch.json")["schema"] == schema.BATCH


@pytest.mark.parametrize("command", [["info"], ["vectorize", "--threshold", "0.7"]])
def test_a_record_of_a_newer_version_is_refused(finished, command):
    change(finished / "run.json", schema=99)
    before = (finished / "run.json").read_bytes()
    told = run_here(command[0], finished, *command[1:])
    assert told.status == 2
    assert f"{finished / 'run.json'} {REFUSED}" in told.err
    assert (finished / "run.json").read_bytes() == before


@pytest.mark.parametrize("which", ["batch.json", "field/run.json"])
def test_a_batch_leaves_results_of_a_newer_version_alone(scenes, tmp_path, which):
    pairs = write_list(tmp_path / "pairs.csv", f"field,{scenes.before},{scenes.after}")
    out = tmp_path / "out"
    assert batch(pairs, out)[0].status == 0
    change(out / which, schema=99)
    record = (out / "field" / "run.json").read_bytes()
    told = run_here("batch", pairs, "--out", out, "--detector", "cva", "--quiet")
    assert told.status == 2
    assert REFUSED in " ".join((told.err + told.out + (out / "summary.csv").read_text()).split())
    assert (out / "field" / "run.json").read_bytes() == record


def test_an_evaluation_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"rsdetect": "evaluation", "schema": 99}))
    told = run_here("compare", path, path)
    assert told.status == 2
    assert REFUSED in told.err


@pytest.mark.parametrize("number", ["1", None, 1.5, True])
def test_a_number_that_is_none_makes_no_record(finished, number):
    change(finished / "run.json", schema=number)
    told = run_here("info", finished, "--json")
    assert told.status == 2
    assert "holds no finished run" in told.err
