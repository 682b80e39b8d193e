"""Implausible pairs and results are warned of, in the report and in the record."""

from __future__ import annotations

import json
import shutil

import pytest
from affine import Affine

from rsdetect import ChangeMap, check
from rsdetect.checks.plausibility import model_warnings, result_warnings
from rsdetect.scenes.pair import PairOptions, open_pair
from support.jobs import changed_pair, run_here
from support.scenes import TEN_METRES, random_scene, write_scene


@pytest.fixture
def scenes(tmp_path):
    return changed_pair(tmp_path / "scenes", 120, 140)


def test_dates_in_the_wrong_order_are_named(scenes):
    found = check(scenes.before, scenes.after, dates=("2022-05-01", "2020-05-01")).warnings
    assert any("older than" in warning and "`dates`" in warning for warning in found)
    right = check(scenes.before, scenes.after, dates=("2020-05-01", "2022-05-01")).warnings
    assert not any("older than" in warning for warning in right)


def test_one_file_twice_is_named(scenes):
    assert any("is both scenes" in warning for warning in check(scenes.before, scenes.before).warnings)
    assert not any("both scenes, so" in warning for warning in check(scenes.before, scenes.after).warnings)


def test_a_link_to_the_other_scene_and_a_copy_of_it_are_named(scenes, tmp_path):
    link = tmp_path / "link.tif"
    link.symlink_to(scenes.before)
    assert any("is both scenes" in warning for warning in check(scenes.before, str(link)).warnings)
    copied = shutil.copy(scenes.before, tmp_path / "copy.tif")
    assert any("copy of the other" in warning for warning in check(scenes.before, str(copied)).warnings)
    assert not any("copy of" in warning for warning in check(scenes.before, scenes.after).warnings)


def test_much_change_is_named_in_the_summary_and_the_record(scenes, tmp_path):
    out = tmp_path / "out"
    told = run_here(
        "detect", scenes.before, scenes.after, "--detector", "cva", "--threshold", "0.01", "--out", out
    )
    assert told.status == 0, told.err
    assert "of the compared ground is marked as changed" in told.err
    record = json.loads((out / "run.json").read_text())
    assert ChangeMap.open(out).warnings == tuple(record["warnings"])
    assert any("of the compared ground is marked as changed" in warning for warning in record["warnings"])
    assert "of the compared ground is marked as changed" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("changed", "warned"), [(34, True), (33, False), (0, False)])
def test_more_than_a_third_is_much(changed, warned):
    assert bool(list(result_warnings({"changed_pixels": changed, "observed_pixels": 100}))) is warned
    assert not list(result_warnings({"changed_pixels": 0, "observed_pixels": 0}))


def test_a_model_on_other_data_is_named(tmp_path):
    paths = [
        write_scene(tmp_path / f"{i}.tif", random_scene(i), transform=TEN_METRES @ Affine.scale(3))
        for i in range(2)
    ]
    pair = open_pair(*paths)
    assert not list(model_warnings(pair, {"name": "cva"}))
    assert any("pixels of 30 m are coarser" in each for each in model_warnings(pair, {"model": "siamese"}))
    fine = [write_scene(tmp_path / f"f{i}.tif", random_scene(i)) for i in range(2)]
    assert not list(model_warnings(open_pair(*fine), {"model": "siamese"}))
    radar = [write_scene(tmp_path / f"S1A_{i}.tif", random_scene(i)) for i in range(2)]
    told = list(model_warnings(open_pair(*radar), {"model": "siamese"}))
    assert any("S1A_1.tif are radar, on which siamese was not measured" in each for each in told)
    repeated = open_pair(*fine, PairOptions(bands=(1, 1, 1)))
    assert any("one band several times" in each for each in model_warnings(repeated, {"model": "siamese"}))
