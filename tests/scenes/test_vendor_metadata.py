"""Metadata of vendors in or beside a file: which numbers are reflectance, and which are left as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsdetect.errors import DoubtError
from rsdetect.scenes.header import read_header
from rsdetect.scenes.pair import open_pair
from support.scenes import random_scene, write_scene
from support.vendor_products import (
    ENMAP,
    LANDSAT_1,
    PLANETSCOPE,
    PLANETSCOPE_FACTORS,
    WORLDVIEW,
    landsat_mtl,
    planetscope_xml,
    skysat_description,
    tag,
    worldview_imd,
    write_beside,
    write_planetscope,
    write_pleiades,
    write_worldview,
)


def four(dtype="uint16"):
    return random_scene(1, 4, 8, 8, dtype)


def test_maxar_metadata_as_text_and_as_xml_agree(tmp_path):
    xml = read_header(write_worldview(tmp_path / "xml", four()))
    path = write_scene(tmp_path / "imd" / f"{WORLDVIEW}.TIF", four())
    imd = read_header(write_beside(path, f"{WORLDVIEW}.IMD", worldview_imd()))
    assert xml.names == imd.names == ("blue", "green", "red", "nir")
    assert xml.scales == pytest.approx(imd.scales)
    assert all(0.5 < 2047 * scale < 2 for scale in xml.scales)  # 11 bits end near a reflectance of 1
    assert any(file.path.endswith(".XML") for file in xml.watched)


@pytest.mark.parametrize("level", ["ACOMP", "Dynamic"])
def test_maxar_numbers_of_another_level_are_left_alone(tmp_path, level):
    header = read_header(write_worldview(tmp_path, four(), level=level))
    assert header.scales == () and header.names[2] == "red"


def test_pleiades_that_was_stretched_for_display_is_left_alone(tmp_path):
    header = read_header(write_pleiades(tmp_path, four(), stretch="true"))
    assert header.scales == () and header.names == ("red", "green", "blue", "nir")
    seamless = read_header(write_pleiades(tmp_path / "2", four(), processing="SEAMLESS"))
    assert seamless.scales == ()


@pytest.mark.parametrize("clip", ["", "_clip"])
def test_planetscope_clipped_or_whole_has_its_factors(tmp_path, clip):
    header = read_header(write_planetscope(tmp_path, four(), clip=clip))
    assert header.scales == pytest.approx(PLANETSCOPE_FACTORS)
    assert any(file.path.endswith(f"_metadata{clip}.xml") for file in header.watched)


def test_metadata_of_another_number_of_bands_are_not_used(tmp_path):
    assert read_header(write_planetscope(tmp_path, four()[:3])).scales == ()


def test_surface_reflectance_beside_the_metadata_of_radiance_keeps_its_own_scale(tmp_path):
    path = write_scene(tmp_path / f"{PLANETSCOPE}_SR.tif", four())
    write_beside(path, f"{PLANETSCOPE}_metadata.xml", planetscope_xml())
    assert read_header(path).scales == pytest.approx((1e-4,) * 4)


@pytest.mark.parametrize("text", ["{", "[]", '{"properties": {"reflectance_coefficients": [1, "x"]}}'])
def test_a_description_that_is_not_skysats_is_no_error(tmp_path, text):
    path = write_scene(tmp_path / "20210704_101031_ssc4d2_0012_analytic.tif", four())
    tag(path, TIFFTAG_IMAGEDESCRIPTION=f"{text} reflectance_coefficients")
    assert read_header(path).scales == ()
    assert read_header(tag(path, TIFFTAG_IMAGEDESCRIPTION=skysat_description())).scales[0] == 0.0021


def test_a_landsat_band_by_itself_has_the_reflectance_of_its_mtl(tmp_path):
    path = write_scene(tmp_path / f"{LANDSAT_1}_B4.TIF", four()[:1])
    assert read_header(path).scales == ()
    header = read_header(write_beside(path, f"{LANDSAT_1}_MTL.txt", landsat_mtl()))
    assert header.scales == pytest.approx((2.4272e-05,), rel=1e-3)
    thermal = write_scene(tmp_path / f"{LANDSAT_1}_B10.TIF", four()[:1])
    assert read_header(thermal).scales == ()


def test_enmap_without_its_metadata_has_the_scale_of_the_specification(tmp_path):
    path = write_scene(tmp_path / f"{ENMAP}-SPECTRAL_IMAGE_COG.tiff", four("int16"))
    assert read_header(path).scales == pytest.approx((1e-4,) * 4)


def test_a_scene_without_the_metadata_of_the_other_is_a_doubt_that_names_them(tmp_path):
    before, after = (write_planetscope(tmp_path / name, four()) for name in ("1", "2"))
    Path(after).with_name(f"{PLANETSCOPE}_metadata.xml").unlink()
    with pytest.raises(DoubtError, match="the metadata of its product beside it"):
        open_pair(before, after)


def test_two_scenes_of_other_sun_are_compared_in_reflectance(tmp_path):
    before = write_planetscope(tmp_path / "1", four())
    after = write_planetscope(tmp_path / "2", four(), factors=tuple(2 * f for f in PLANETSCOPE_FACTORS))
    pair = open_pair(before, after)
    assert not pair.doubts
    assert pair.after.scales == pytest.approx([2 * scale for scale in pair.before.scales])


def test_a_changed_metadata_file_is_seen_as_a_changed_scene(tmp_path):
    header = read_header(write_planetscope(tmp_path, four()))
    beside = Path(header.path).with_name(f"{PLANETSCOPE}_metadata.xml")
    watched = next(file for file in header.watched if file.path == str(beside))
    assert watched.difference() == ""
    beside.write_text("")
    assert "bytes" in watched.difference()
