"""When a scene was taken: what the user says, else the tags, else the name."""

from __future__ import annotations

from datetime import date

import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.errors import InputError
from rsdetect.scenes.dates import date_in_name, parse_dates
from rsdetect.scenes.pair import PairOptions, open_pair
from support.scenes import random_scene, write_scene

days = st.dates(date(1972, 1, 1), date(2099, 12, 31))


@given(day=days)
def test_dates_in_the_names_of_products_are_found(day):
    compact, dashed, ordinal = day.strftime("%Y%m%d"), day.isoformat(), day.strftime("%Y%j")
    for name in (
        f"S2A_MSIL2A_{compact}T101031_N0301_R022_T32UPU_20990101T000000.tif"
        if compact < "20990101"
        else f"T32_{compact}T1.tif",
        f"T32UPU_{compact}T101031_B04_10m.jp2",
        f"LC08_L2SP_193026_{compact}_{compact}_02_T1_SR_B4.TIF",
        f"LT5193026{ordinal}EDC00_stack.tif",
        f"site {dashed}.tif",
        f"ortho_{dashed.replace('-', '_')}_rgb.tif",
        f"{dashed.replace('-', '.')}.tif",
    ):
        assert date_in_name(f"/data/2001/{name}") == dashed, name


@pytest.mark.parametrize(
    "name",
    [
        "before.tif",
        "tile_20211399.tif",
        "123456789012.tif",
        "LT5193026{}EDC00.tif",
        "20210231.tif",
        "2021.tif",
    ],
)
def test_numbers_that_are_no_date_are_not_taken_for_one(name):
    assert date_in_name(name) is None


def test_the_folder_of_a_file_is_not_its_date():
    assert date_in_name("/archive/20200101/scene.tif") is None
    assert date_in_name("/archive/20200101/20210202.tif") == "2021-02-02"


@given(before=days, after=days)
def test_two_dates_are_read_as_they_are_written(before, after):
    assert parse_dates(f"{before}, {after}") == (before.isoformat(), after.isoformat())


@pytest.mark.parametrize(
    "text", ["2020-06-01", "2020-06-01,", "today,tomorrow", "2020-13-01,2021-01-01", "1,2,3", ""]
)
def test_what_is_not_two_dates_is_refused(text):
    with pytest.raises(InputError, match="write 2020-06-01,2021-06-03"):
        parse_dates(text)


def scene(folder, name, tags=None, ns=None):
    path = write_scene(folder / name, random_scene(0, 1, 4, 5))
    if tags:
        with rasterio.open(path, "r+") as dataset:
            dataset.update_tags(ns=ns, **tags)
    return path


@pytest.mark.parametrize(
    ("name", "tags", "ns", "found"),
    [
        ("a.tif", {"ACQUISITIONDATETIME": "2019-07-04T10:10:31.024Z"}, "IMAGERY", "2019-07-04"),
        ("a.tif", {"DATE_ACQUIRED": "2019-07-04"}, None, "2019-07-04"),
        ("20200101.tif", {"DATE_ACQUIRED": "2019-07-04"}, None, "2019-07-04"),
        ("a.tif", {"TIFFTAG_DATETIME": "2019:07:04 12:00:00"}, None, "2019-07-04"),
        ("20200101.tif", {"TIFFTAG_DATETIME": "2019:07:04 12:00:00"}, None, "2020-01-01"),
        ("20200101.tif", {"DATE_ACQUIRED": "unknown"}, None, "2020-01-01"),
        ("a.tif", None, None, None),
    ],
)
def test_acquisition_tags_come_first_then_the_name_then_the_time_of_writing(tmp_path, name, tags, ns, found):
    path = scene(tmp_path, name, tags, ns)
    pair = open_pair(path, path)
    assert pair.before_date == pair.after_date == found


def test_what_the_user_says_wins(tmp_path):
    path = scene(tmp_path, "20200101.tif")
    pair = open_pair(path, path, PairOptions(dates=("2011-01-01", "2012-02-02")))
    assert (pair.before_date, pair.after_date) == ("2011-01-01", "2012-02-02")
