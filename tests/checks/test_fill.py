"""Fill that no file declares is not compared, and is named; what only looks like it is compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from rsdetect import check, open_pair
from rsdetect.checks.settle import open_settled
from rsdetect.errors import NothingToCompare
from rsdetect.evaluation import evaluate
from rsdetect.scenes.pair import PairOptions, read_tile
from rsdetect.tiles import TileWindow
from support.jobs import run_here
from support.scenes import TEN_METRES, random_scene, textured_scene, write_scene

SHAPE = (300, 320)
ROWS, COLS = np.indices(SHAPE)
TWENTY = Affine(20, 0, 500000, 0, -20, 5300000)
SWATH = COLS + 0.3 * ROWS > 260  # a slanting edge
TURNED = (abs(ROWS - 150) + abs(COLS - 160)) > 190  # four corners of a picture that was turned


def write_pair(folder, fill, value, *, dtype="uint16", bands=3, **options):
    paths = []
    for seed, date in enumerate(("before", "after")):
        array = textured_scene(seed, bands, *SHAPE).astype(dtype)
        if date == "after":
            array[:, fill] = value
        paths.append(write_scene(folder / f"{date}.tif", array, **options))
    return paths


def valid_after(paths, **options):
    pair = open_settled(*paths, PairOptions(**options))
    whole = pair.grid.window
    return read_tile(pair, TileWindow(0, 0, whole, whole)).after_valid, pair


@pytest.mark.parametrize("fill", [SWATH, TURNED], ids=["swath", "turned"])
@pytest.mark.parametrize(
    ("dtype", "value"), [("uint16", 0), ("uint8", 255), ("uint8", 0), ("int16", -9999), ("float32", 0)]
)
def test_fill_along_the_border_is_not_compared_and_is_named(tmp_path, fill, dtype, value):
    valid, pair = valid_after(write_pair(tmp_path, fill, value, dtype=dtype))
    np.testing.assert_array_equal(valid, ~fill)
    assert any(
        f"after.tif holds {value} in all bands along its border" in note and f"`nodata={value}`" in note
        for note in pair.notes
    )


def test_the_edge_is_not_change_and_the_report_names_the_origin_of_the_value(tmp_path):
    paths = write_pair(tmp_path, SWATH, 0)
    told = run_here("detect", *paths, "--detector", "cva", "--out", tmp_path / "out")
    assert told.status == 0, told.err
    assert "--nodata 0 confirms this, --nodata none keeps it as data" in told.err
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["check"]["after"]["nodata"] == 0 and record["check"]["after"]["nodata_from"] == "edge"
    assert record["check"]["before"]["nodata_from"] is None
    with rasterio.open(tmp_path / "out" / "change_probability.tif") as raster:
        np.testing.assert_array_equal(raster.read(1) == 255, SWATH)
    again = run_here("vectorize", tmp_path / "out", "--threshold", "0.6")
    assert again.status == 0 and "difference" not in again.err


def test_the_user_has_the_last_word(tmp_path):
    paths = write_pair(tmp_path, SWATH, 0)
    assert valid_after(paths, nodata="none")[0].all()
    np.testing.assert_array_equal(valid_after(paths, nodata=0)[0], ~SWATH)


def test_a_mask_in_the_file_decides_alone(tmp_path):
    paths = write_pair(tmp_path, SWATH, 0, mask=np.ones(SHAPE, bool))
    assert valid_after(paths)[0].all()


@pytest.mark.parametrize("what", ["one band of three", "inside", "few values", "ragged", "in between"])
def test_what_only_looks_like_fill_is_compared(tmp_path, what):
    array = textured_scene(1, 3, *SHAPE).astype("uint16")
    if what == "one band of three":
        array[2][SWATH] = 0  # near infrared over the sea
    if what == "inside":
        array[:, 100:150, 100:150] = 0
    if what == "few values":
        array = np.where(textured_scene(1, 1, *SHAPE) > 110, 3, 5).astype("uint16") + np.zeros(
            (3, 1, 1), "uint16"
        )
        array[:, SWATH] = 0
    if what == "a ragged piece":
        array[:, SWATH & (np.random.default_rng(0).random(SHAPE) < 0.6)] = 0
    if what == "in between":
        array[:, SWATH] = 110
    path = write_scene(tmp_path / "scene.tif", array)
    assert valid_after([path, path])[0].all()


def test_it_is_found_under_a_warp_and_within_an_area_of_interest(tmp_path):
    paths = write_pair(tmp_path, SWATH, 0)
    with rasterio.open(paths[1]) as dataset:
        moved = write_scene(
            tmp_path / "moved.tif", dataset.read(), transform=TEN_METRES @ Affine.translation(0.4, 0.4)
        )
    valid, _ = valid_after([paths[0], moved], align=True)
    assert not valid[5:-5, 5:-5][SWATH[5:-5, 5:-5] & (COLS[5:-5, 5:-5] > 268)].any()
    assert valid[150, 50]


def write_with_empty_band(folder, value, dtype, number=2):
    paths = []
    for seed, date in enumerate(("before", "after")):
        array = random_scene(seed, 4, 60, 70, dtype)
        array[number - 1] = value
        paths.append(write_scene(folder / f"{date}.tif", array, nodata=None if np.isnan(value) else value))
    return paths


@pytest.mark.parametrize(("value", "dtype"), [(-32768, "int16"), (65535, "uint16"), (np.nan, "float32")])
def test_an_empty_band_is_left_out_and_named(tmp_path, value, dtype):
    paths = write_with_empty_band(tmp_path, value, dtype)
    report = check(*paths)
    assert report.valid_share == 1
    assert {row.band for row in report.bands} == {"band1", "band3", "band4"}
    assert any("band 2 of" in warning and "only nodata" in warning for warning in report.warnings)


def test_an_empty_band_that_was_asked_for_is_refused_by_name(tmp_path):
    paths = write_with_empty_band(tmp_path, 65535, "uint16")
    with pytest.raises(NothingToCompare, match=r"band 2 of .*: only nodata.*`bands`"):
        check(*paths, bands=[1, 2])
    assert len(open_pair(*paths, PairOptions(bands=[1, 3])).bands) == 2


def write_band_files(folder, value, nodata=None):
    """Bands of 10 m and one of 20 m, all 1000 on the ground, and `value` beyond the swath."""
    ground = np.where(np.indices((80, 100))[1] > 63, value, 1000).astype("int16")
    ground[:, :64] += np.arange(64, dtype="int16") % 17  # a picture, and no classes
    files = {name: write_scene(folder / f"{name}.tif", ground, nodata=nodata) for name in ("red", "nir")}
    coarse = np.where(ground[::2, ::2] == value, value, 2000).astype("int16")
    return files | {"swir": write_scene(folder / "swir.tif", coarse, transform=TWENTY, nodata=nodata)}


@pytest.mark.parametrize(("value", "nodata"), [(0, None), (0, 0), (-9999, -9999), (255, 255), (-5, -5)])
def test_fill_of_coarser_bands_is_not_blended_with_ground(tmp_path, value, nodata):
    """Whether it is found (None) or given: a warp of 20 m bands first would mix it in."""
    scene = write_band_files(tmp_path, value)
    given = {} if nodata is None else {"nodata": (nodata,)}
    valid, pair = valid_after((scene, scene), **given)
    np.testing.assert_array_equal(valid, np.indices((80, 100))[1] < 64)
    whole = pair.grid.window
    tile = read_tile(pair, TileWindow(0, 0, whole, whole))
    np.testing.assert_array_equal(tile.after[2][valid], 2000)


def test_nodata_none_keeps_what_coarser_bands_declare_as_fill(tmp_path):
    scene = write_band_files(tmp_path, 0, nodata=0)
    valid, _ = valid_after((scene, scene), nodata=("none",))
    assert valid.all()
    valid, _ = valid_after((scene, scene))
    np.testing.assert_array_equal(valid, np.indices((80, 100))[1] < 64)


def test_evaluation_scores_no_fill(tmp_path):
    before, after = write_pair(tmp_path, SWATH, 0)
    for path, folder in ((before, "A"), (after, "B")):
        target = tmp_path / "set" / folder / "place.tif"
        target.parent.mkdir(parents=True)
        Path(path).rename(target)
    write_scene(tmp_path / "set" / "label" / "place.tif", np.zeros(SHAPE, np.uint8))
    (source,) = evaluate([tmp_path / "set"], detector="cva", shifts_px=()).sources
    assert source.scenes[0].tally.pixels == (~SWATH).sum()
    assert any("probably fill" in note for note in source.notes)


@pytest.mark.parametrize(("declared", "dtype"), [(65535, "uint16"), (-9999, "int16"), (-9999, "float32")])
def test_fill_beside_another_declared_value_is_found(tmp_path, declared, dtype):
    paths = write_pair(tmp_path, SWATH, 0, dtype=dtype, nodata=declared)
    valid, _ = valid_after(paths)
    np.testing.assert_array_equal(valid, ~SWATH)
    valid, _ = valid_after(paths, nodata=("none",))
    assert valid.all()


@pytest.mark.parametrize("value", [-3.4028234663852886e38, 9.969209968386869e36])
def test_numbers_that_nothing_measures_are_no_data_undeclared(tmp_path, value):
    array = textured_scene(0, 3, 60, 70).astype("float32")
    array[1, :9] = value
    path = write_scene(tmp_path / "a.tif", array)
    valid, _ = valid_after((path, path))
    assert not valid[:9].any() and valid[9:].all()
