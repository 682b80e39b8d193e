"""`rsdetect check`: what both scenes cover, what is valid, the statistics of each band, in valid JSON."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from affine import Affine
from rich.console import Console

from rsdetect.checks.report import check_pair
from rsdetect.commands.tables import check_tables
from rsdetect.errors import NothingToCompare
from rsdetect.scenes.pair import PairOptions, open_pair
from support.scenes import TEN_METRES, random_scene, textured_scene, write_plain, write_scene


def in_json(report):
    """The report as it is printed; NaN and Infinity are not JSON."""
    return json.loads(json.dumps(report.as_json(), allow_nan=False))


def as_text(report):
    console = Console(file=io.StringIO(), width=200)
    for table in check_tables(report):
        console.print(table)
    return console.file.getvalue()


def test_the_report_has_grids_overlap_validity_and_statistics(tmp_path):
    array = textured_scene(0, 2, 300, 280, "uint16")
    array[:, :30] = 0
    before = write_scene(tmp_path / "20200601.tif", array, nodata=0, names=("red", "nir"))
    after = write_scene(
        tmp_path / "20210603.tif", array[:, :, 40:], nodata=0, names=("red", "nir"),
        transform=TEN_METRES @ Affine.translation(40, 0),
    )  # fmt: skip
    report = check_pair(open_pair(before, after))
    told = in_json(report)
    assert (told["overlap"]["width"], told["overlap"]["height"], told["overlap"]["crs"]) == (
        240,
        300,
        "EPSG:32632",
    )
    assert told["valid_share"] == told["before_valid_share"] == pytest.approx(0.9)
    assert told["statistics_cover"] == 1
    assert told["before"]["date"] == "2020-06-01" and told["after"]["date"] == "2021-06-03"
    assert told["shift"]["distance_px"] == 0 and told["shift"]["reliable"]
    seen = array[:, 30:, 40:]
    for row in told["bands"]:
        values = seen[("red", "nir").index(row["band"])]
        assert (row["minimum"], row["maximum"]) == (values.min(), values.max())
        assert (row["mean"], row["std"]) == pytest.approx((values.mean(), values.std()))
    text = as_text(report)
    assert "EPSG:32632" in text and "90.00%" in text and "280 x 300" in text


def test_valid_shares_are_given_for_each_date_and_for_both(tmp_path):
    array = random_scene(0, 1, 100, 100)
    left, top = array.copy(), array.copy()
    left[:, :, :20], top[:, :50] = 0, 0
    report = check_pair(
        open_pair(
            write_scene(tmp_path / "a.tif", left, nodata=0), write_scene(tmp_path / "b.tif", top, nodata=0)
        )
    )
    assert report.before_valid_share == 0.8 and report.after_valid_share == 0.5 and report.valid_share == 0.4


@pytest.mark.parametrize(
    "array",
    [
        np.full((1, 1, 1), 3, np.uint8),
        random_scene(0, 1, 1, 300),
        np.full((2, 90, 90), np.float32(3e38)) * np.eye(90, dtype=np.float32),
        np.where(np.eye(90) > 0, np.nan, 5).astype(np.float32),
        np.full((1, 200, 200), 7, np.int32),
    ],
    ids=["one pixel", "one row", "extreme", "NaN inside", "flat"],
)
def test_odd_scenes_have_a_report_in_valid_json(tmp_path, array):
    path = write_scene(tmp_path / "scene.tif", array, nodata=np.nan if array.dtype.kind == "f" else None)
    report = check_pair(open_pair(path, path))
    told = in_json(report)
    assert told["before"]["nodata_is_nan"] == (array.dtype.kind == "f")
    assert "valid on both dates" in as_text(report)


@pytest.mark.parametrize("nodata", [np.inf, -np.inf])
def test_an_infinite_nodata_value_is_valid_json_too(tmp_path, nodata):
    array = random_scene(0, 1, 20, 20, "float32")
    array[:, :5] = nodata
    path = write_scene(tmp_path / "scene.tif", array, nodata=nodata)
    report = check_pair(open_pair(path, path))
    in_json(report)
    assert report.valid_share == 0.75


def test_a_plain_picture_has_a_report_without_metres(tmp_path):
    path = write_plain(tmp_path / "scene.png", textured_scene(0))
    told = in_json(check_pair(open_pair(path, path)))
    assert told["overlap"]["crs"] == "no CRS" and told["shift"]["distance_m"] is None
    assert any("no georeference" in warning for warning in told["warnings"])


def test_a_warped_scene_is_reported_as_warped(tmp_path):
    array = textured_scene(0, 1)
    before = write_scene(tmp_path / "a.tif", array)
    after = write_scene(tmp_path / "b.tif", array, transform=Affine(10, 0, 500005, 0, -10, 5299995))
    told = in_json(check_pair(open_pair(before, after, PairOptions(align=True, resampling="cubic"))))
    assert told["after"]["warped_by"] == "cubic" and told["before"]["warped_by"] is None
    assert told["after"]["grid"]["transform"][2] == 500000, "the grid it is read on"


def test_a_pair_without_a_common_pixel_reports_the_pixels_of_each(tmp_path):
    array = random_scene(0, 1, 20, 20)
    left, right = array.copy(), array.copy()
    left[:, :, :10], right[:, :, 10:] = 0, 0
    paths = write_scene(tmp_path / "a.tif", left, nodata=0), write_scene(tmp_path / "b.tif", right, nodata=0)
    with pytest.raises(NothingToCompare) as refusal:
        check_pair(open_pair(*paths))
    assert str(refusal.value) == (
        f"no pixel is valid on both dates: 200 of 400 pixels are in {paths[0]} and 200 in {paths[1]}, none "
        "in both; check the nodata values (`nodata`)."
    )
    mask = write_scene(tmp_path / "mask.tif", np.ones((20, 20), np.uint8))
    with pytest.raises(NothingToCompare, match=r"check the mask .*mask\.tif \(`mask_kind`\) and the nodata"):
        check_pair(open_pair(*paths, PairOptions(masks=("", mask))))


def test_an_area_of_interest_between_pixel_centres_is_refused_in_one_sentence(tmp_path):
    import geopandas
    import shapely

    path = write_scene(tmp_path / "scene.tif", random_scene(0, 1, 20, 20))
    sliver = shapely.box(500011, 5299981, 500013, 5299983)
    geopandas.GeoDataFrame(geometry=[sliver], crs=32632).to_file(tmp_path / "aoi.gpkg")
    with pytest.raises(NothingToCompare):
        check_pair(open_pair(path, path, PairOptions(aoi=str(tmp_path / "aoi.gpkg"))))


def test_a_report_does_not_depend_on_the_number_of_workers(tmp_path):
    paths = [write_scene(tmp_path / f"{seed}.tif", textured_scene(seed, 2, 600, 500)) for seed in (1, 2)]
    pair = open_pair(*paths)
    assert check_pair(pair) == check_pair(pair, workers=4)


def test_paths_are_cut_in_the_middle_on_a_narrow_terminal(tmp_path):
    folder = tmp_path / "a_folder_with_a_long_name" / "and_another"
    paths = [
        write_scene(folder / f"{date}.tif", textured_scene(0, 1, 64, 64)) for date in (20200601, 20210603)
    ]
    scenes = next(iter(check_tables(check_pair(open_pair(*paths)), 80)))
    console = Console(file=io.StringIO(), width=80)
    console.print(scenes)
    (line,) = [line for line in console.file.getvalue().splitlines() if "file" in line or ".tif" in line]
    assert "…" in line and "20200601.tif" in line and "20210603.tif" in line
