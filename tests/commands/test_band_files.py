"""--before-band and --after-band: scenes with one file per band on the command line."""

import json

import numpy as np
import pytest

from support.jobs import read_raster, run_here
from support.scenes import textured_scene, write_scene

NAMES = ("red", "nir")


@pytest.fixture
def dates(tmp_path):
    """Two dates as one file each, and as options of the command line; one name holds a comma and an `=`."""
    whole, options = [], []
    for date, seed in (("before", 1), ("after", 2)):
        scene = textured_scene(seed, 2, 128, 128)
        whole.append(write_scene(tmp_path / f"{date}.tif", scene, names=NAMES))
        for name, band in zip(NAMES, scene, strict=True):
            path = write_scene(tmp_path / f"{date},x=1" / f"{name}.tif", band)
            options += [f"--{date}-band", f"{name}={path}"]
    return whole, options


def test_detect_takes_bands_by_name_instead_of_both_scenes(dates, tmp_path):
    whole, options = dates
    rest = ("--detector", "cva", "--quiet", "--out")
    assert run_here("detect", *whole, *rest, tmp_path / "one").status == 0
    told = run_here("detect", *options, *rest, tmp_path / "many")
    assert told.status == 0, told.err
    np.testing.assert_array_equal(read_raster(tmp_path / "many"), read_raster(tmp_path / "one"))
    record = json.loads((tmp_path / "many" / "run.json").read_text())
    assert list(record["inputs"]["before"]["bands"]) == ["red", "nir"]
    assert run_here("vectorize", tmp_path / "many").status == 0


@pytest.mark.parametrize("side", ["before", "after"])
def test_the_other_scene_may_be_one_file(dates, side):
    whole, options = dates
    own = options[:4] if side == "before" else options[4:]
    told = run_here("check", *own, whole[1 if side == "before" else 0], "--json")
    assert told.status == 0, told.err
    report = json.loads(told.out)
    assert report[side]["path"].endswith("red.tif, nir.tif")
    assert report["after" if side == "before" else "before"]["path"] == whole[1 if side == "before" else 0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--before-band", "red.tif"], "--before-band 'red.tif' names no band; write NAME=FILE"),
        (["--before-band", "/data/x=1/red.tif"], "names no band; write NAME=FILE"),
        (["a.tif", "--after-band", "red="], "--after-band 'red=' names no band"),
        (["--before-band", "red=a.tif", "--before-band", "RED=b.tif"], "gives the band 'red' twice: a.tif"),
        (["--before-band", "red=a.tif"], "its bands with --after-band NAME=FILE"),
        (["a.tif"], "AFTER is missing"),
        ([], "BEFORE is missing; give a scene, or its bands with --before-band NAME=FILE"),
        (["--before-band", "red=a.tif", "b.tif", "c.tif"], "b.tif is one scene more than the two"),
    ],
)  # fmt: skip
def test_what_names_no_two_scenes_is_refused_in_one_sentence(wrong, words):
    told = run_here("check", *wrong)
    assert told.status == 2
    assert words in told.err
    assert told.err.count("\n") == 1
