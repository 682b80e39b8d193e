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
    ("name", "found"),
    [
        ("HLS.S30.T32UPU.2021185T102021.v2.0.B04.tif", "2021-07-04"),
        ("HLS.L30.T32UPU.2020366T101500.v2.0.Fmask.tif", "2020-12-31"),
        ("MOD09GA.A2021185.h18v04.006.2021187030303.hdf", "2021-07-04"),
        ("VNP09GA.A2021001.h18v04.001.2021002113050.h5", "2021-01-01"),
        ("MOD09A1.061_sur_refl_b01_doy2021185_aid0001.tif", "2021-07-04"),
        ("MOD09A1.061_sur_refl_b01_doy2021185000000_aid0001.tif", "2021-07-04"),
        ("LC81930262015185LGN00_B4.TIF", "2015-07-04"),
        ("LC081930262015070401T1-SC20170718.tif", "2015-07-04"),
        ("S2A_OPER_PRD_MSIL1C_PDMC_20160609T194310_R065_V20160607T102653_20160607T102653.SAFE", "2016-06-07"),
        ("S2A_USER_MTD_SAFL2A_PDMC_20160609T194310_R065_V20160607T102653_20160607T102653.xml", "2016-06-07"),
        ("S2A_OPER_MSI_L1C_TL_SGS__20160609T154231_A002783_T34UCF_B04.jp2", None),  # of production alone
        ("S1A_IW_GRDH_1SDV_20210704T053010_20210704T053035_038631_048EE7_E8A5.tif", "2021-07-04"),
        ("20210704T101031_20210705T101559_T32UPU.tif", "2021-07-04"),
        ("20210704_101031_45_2212_3B_AnalyticMS_SR.tif", "2021-07-04"),
        ("20210704_101031_ssc4d2_0012_analytic.tif", "2021-07-04"),
        ("3357112_2015-07-04_RE3_3A_Analytic.tif", "2015-07-04"),
        ("15JUL04101031-M2AS_R1C1-012345678901_01_P001.TIF", "2015-07-04"),
        ("99dec31235959-P2AS.tif", "1999-12-31"),
        ("WV03_20150704101031_104001000E1D3F00.tif", "2015-07-04"),
        ("IMG_PHR1A_PMS_201507041010313_ORT_1234567890-001_R1C1.TIF", "2015-07-04"),
        ("DJI_20210704101031_0001_V.JPG", "2021-07-04"),
        ("PRS_L2D_STD_20210704101031_20210704101035_0001.tif", "2021-07-04"),
        ("ENMAP01-____L2A-DT0000001234_20220704T101031Z_001_V010111_20220801T010203Z-SPECTRAL_IMAGE.TIF",
         "2022-07-04"),
        ("AST_L1T_00307042021101031_20210705123456_12345.tif", "2021-07-04"),
        ("m_3807708_sw_18_060_20180704_20190110.tif", "2018-07-04"),
        ("https://host/scene.tif?se=2024-01-01T00%3A00&sig=20230101", None),
        ("https://host/scene_20210704.tif?se=2024-01-01/20220202", "2021-07-04"),
        ("/vsicurl/https://host/scene.tif?date=20240101", None),
        ("MOD09GA.A2021367.h18v04.hdf", None),
    ],
)  # fmt: skip
def test_products_name_their_dates_in_their_own_ways(name, found):
    assert date_in_name(name) == found


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
