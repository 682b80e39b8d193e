"""vectorize: the polygons of a finished run again, with other options and without scoring."""

import json
import logging
import shutil
from pathlib import Path

import geopandas
import numpy as np
import pytest

import rsdetect
from rsdetect.errors import InputError, JobInterrupted
from rsdetect.jobs.outputs import Outputs
from rsdetect.jobs.vectorize import vectorize_run
from support.jobs import OUTPUTS, changed_pair, contents, listing, run_here
from support.scenes import write_scene

CVA = {"detector": "cva", "quiet": True}


@pytest.fixture
def scenes(tmp_path):
    return changed_pair(tmp_path / "scenes", 120, 140)


@pytest.fixture
def done(scenes, tmp_path):
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", **CVA)
    return tmp_path / "out"


def layers(out):
    return [geopandas.read_file(out / "changes.gpkg", layer=name) for name in ("changes", "footprint")]


def assert_same_layers(one, other):
    for found, wanted in zip(layers(one), layers(other), strict=True):
        assert found.equals(wanted)


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 0.9},
        {"min_area": 20_000.0},
        {"simplify": 25.0},
        {"threshold": 0.2, "min_area": 300.0},
        {"opening": 1, "fill_holes": 1e4, "min_width": 35.0, "merge_gap": 500.0, "shape_attributes": True},
    ],
    ids=lambda options: ", ".join(options),
)
def test_the_polygons_are_those_of_a_fresh_detect_with_these_options(scenes, done, tmp_path, options):
    before = layers(done)[0]
    record = vectorize_run(done, **options)
    assert not layers(done)[0].equals(before), "the options change nothing here, so this shows nothing"
    fresh = rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "fresh", **options, **CVA)
    assert_same_layers(done, tmp_path / "fresh")
    kept = ("threshold", "level_percent", "opening", "min_area", "merge_gap", "simplify", "counts")
    counts = fresh.record["counts"]
    assert {key: record[key] for key in kept} == {key: fresh.record[key] for key in kept} | {"counts": counts}
    assert json.loads((done / "run.json").read_text()) == record
    assert listing(done) == OUTPUTS


def test_nothing_is_scored_again_and_the_raster_stays(done, monkeypatch):
    def never(*_, **__):
        raise AssertionError("scored")

    monkeypatch.setattr("rsdetect.scoring.core.score_core", never)
    monkeypatch.setattr("rsdetect.detectors.cva.CvaScorer.score", never)
    raster = (done / "change_probability.tif").read_bytes()
    vectorize_run(done, threshold=0.7)
    assert (done / "change_probability.tif").read_bytes() == raster


def test_what_is_not_given_stays_as_it_was(done):
    first = vectorize_run(done, threshold=0.7, min_area=400)
    second = vectorize_run(done, simplify=5)
    assert (second["threshold"], second["min_area"], second["simplify"]) == (0.7, 400, 5)
    assert first["simplify"] == 0


def test_auto_goes_back_to_the_threshold_of_the_detector(done, tmp_path):
    shutil.copytree(done, tmp_path / "kept")
    vectorize_run(done, threshold=0.9)
    record = vectorize_run(done, threshold="auto")
    assert record["threshold"] == 0.5
    assert_same_layers(done, tmp_path / "kept")


def test_without_the_scenes_the_polygons_come_without_differences_and_with_a_warning(scenes, done, caplog):
    Path(scenes.after).unlink()
    with caplog.at_level(logging.WARNING):
        vectorize_run(done, threshold=0.9)
    assert not [name for name in layers(done)[0].columns if name.startswith("difference")]
    assert "after.tif" in caplog.text
    assert "difference of the bands" in caplog.text


def test_a_scene_that_was_replaced_is_not_taken_for_the_one_that_was_scored(scenes, done, caplog):
    write_scene(scenes.after, np.flip(scenes.arrays[1], axis=2), nodata=0)
    vectorize_run(done)
    assert not [name for name in layers(done)[0].columns if name.startswith("difference")]
    assert "has changed" in caplog.text


def test_scenes_of_a_detector_that_wants_bands_by_name_are_known_again(scenes, tmp_path, caplog):
    options = {"detector": "difference", "detector_options": "index=ndwi", "quiet": True}
    for scene, array in zip((scenes.before, scenes.after), scenes.arrays, strict=True):
        write_scene(scene, array, nodata=0, names=("red", "green", "nir"))
    rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", **options)
    caplog.clear()
    vectorize_run(tmp_path / "out", min_area=2000)
    assert [name for name in layers(tmp_path / "out")[0].columns if name.startswith("difference")]
    assert caplog.text == ""


def test_the_command_line_warns_on_stderr(scenes, done):
    Path(scenes.before).unlink()
    told = run_here("vectorize", done, "--json")
    assert told.status == 0
    assert "Warning: " in told.err.splitlines()[0]
    assert told.err.count("\n") == 1
    assert json.loads(told.out)["counts"]["regions"] >= 1


def test_masks_and_scenes_named_by_relative_paths_are_found_from_another_folder(
    scenes, tmp_path, monkeypatch, caplog
):
    monkeypatch.chdir(tmp_path / "scenes")
    write_scene("mask.tif", np.eye(120, 140).astype(np.uint8))
    rsdetect.detect("before.tif", "after.tif", out="../out", masks=("mask.tif",), **CVA)
    monkeypatch.chdir("/")
    caplog.clear()
    vectorize_run(tmp_path / "out", threshold=0.9)
    assert "difference_red" in layers(tmp_path / "out")[0].columns
    assert caplog.text == ""


def test_a_folder_without_a_finished_run_is_refused(tmp_path):
    told = run_here("vectorize", tmp_path)
    assert (told.status, told.out) == (2, "")
    assert "holds no finished run" in told.err
    assert listing(tmp_path) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"rsdetect": "run"}', "\0\xff", '{"rsdetect": '])
def test_a_record_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"run\.json"):
        vectorize_run(tmp_path)


def test_a_run_without_its_raster_is_refused(done):
    (done / "change_probability.tif").unlink()
    with pytest.raises(InputError, match="run detect again"):
        vectorize_run(done)


def test_a_damaged_raster_is_refused_and_the_polygons_stay(done):
    raster = done / "change_probability.tif"
    raster.write_bytes(raster.read_bytes()[:-500])
    kept = contents(done)
    told = run_here("vectorize", done)
    assert (told.status, told.err.count("\n")) == (2, 1)
    assert contents(done) == kept
    assert listing(done) == OUTPUTS


@pytest.mark.parametrize("option", [{"threshold": 1.5}, {"min_area": -1.0}, {"simplify": float("nan")}])
def test_options_out_of_range_are_refused(done, option):
    with pytest.raises(InputError):
        vectorize_run(done, **option)


def test_a_disk_that_fills_up_leaves_the_old_polygons_and_can_be_tried_again(done, tmp_path, monkeypatch):
    kept = contents(done)

    def full(path, *_, **__):
        path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rsdetect.jobs.polygons.write_changes", full)
        with pytest.raises(JobInterrupted, match="No space left"):
            vectorize_run(done, threshold=0.9)
    assert contents(done) == kept
    assert listing(done) == OUTPUTS
    vectorize_run(done, threshold=0.9)


def test_two_at_a_time_in_one_folder_do_not_meet(done):
    with Outputs.hold(done), pytest.raises(JobInterrupted, match="another run"):
        vectorize_run(done)


def test_tiles_of_an_interrupted_overwriting_detect_survive_it(done):
    tile = done / ".work" / "0123456789abcdef" / "tiles" / "000000_000000.tile"
    with Outputs.hold(done):
        tile.parent.mkdir(parents=True)
        tile.write_bytes(b"finished")
    vectorize_run(done, threshold=0.9)
    assert tile.read_bytes() == b"finished"


def test_a_record_of_other_types_is_refused(done):
    record = done / Outputs.RECORD
    content = json.loads(record.read_text())
    for name in ("options", "normalisation", "detector", "min_area", "check", "inputs", "counts"):
        for value in ([], "x", -1, {"before": {}}):
            if (name, value) in [("min_area", -1), ("counts", {"before": {}})]:
                continue
            record.write_text(json.dumps(content | {name: value}))
            with pytest.raises(InputError, match=r"no finished run|is damaged"):
                vectorize_run(done)
