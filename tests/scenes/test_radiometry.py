"""Scale and offset: by the file, its product, its catalogue or its name; equal ground comes out equal."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import numpy as np
import pystac
import pytest
import rasterio
import rioxarray

import rsdetect
from rsdetect.errors import DoubtError
from rsdetect.scenes.pair import PairOptions, open_pair
from rsdetect.scenes.radiometry import landsat_linear, linear_of_asset, linear_of_name, sentinel2_linear
from rsdetect.scenes.scene import read_scene
from support.jobs import run_here
from support.scenes import random_scene, write_scene

OLD, NEW = (1e-4, 0.0), (1e-4, -0.1)


def scaled(path, array, linear=None, **profile):
    """A file that declares the scale and offset `linear` of all bands."""
    path = write_scene(path, array, **profile)
    if linear is not None:
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = ((number,) * dataset.count for number in linear)
    return path


def both(pair):
    return [read_scene(scene, pair.grid.window)[0] for scene in (pair.before, pair.after)]


def test_one_ground_in_two_encodings_has_identical_values(tmp_path):
    ground = random_scene(1, dtype="uint16")
    pair = open_pair(
        scaled(tmp_path / "old.tif", ground, OLD), scaled(tmp_path / "new.tif", ground + 1000, NEW)
    )
    before, after = both(pair)
    np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(before, ground * 1e-4, rtol=1e-6)


def test_scale_and_offset_of_each_band_are_its_own(tmp_path):
    path = write_scene(tmp_path / "a.tif", random_scene(1, dtype="int16"))
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (1.0, 0.5, 2.75e-5), (0.0, 3.0, -0.2)
        raw = dataset.read().astype(float)
    pair = open_pair(path, path, PairOptions(bands=(3, 2)))
    wanted = [raw[2] * 2.75e-5 - 0.2, raw[1] * 0.5 + 3]
    np.testing.assert_allclose(both(pair)[0], wanted, rtol=1e-5, atol=1e-6)


def test_nodata_is_that_of_the_numbers_and_hides_before_they_are_scaled(tmp_path):
    ground = random_scene(1, dtype="uint16")
    ground[:, :5] = 0
    path = scaled(tmp_path / "a.tif", ground, NEW, nodata=0)
    values, valid = read_scene(open_pair(path, path).before, open_pair(path, path).grid.window)
    assert not valid[:5].any() and valid[5:].all() and (values[:, :5] == 0).all()


@pytest.mark.parametrize("align", [False, True])
def test_differences_are_in_reflectance(tmp_path, align):
    ground = np.full((3, 96, 96), 1000, np.uint16) + random_scene(1, 3, 96, 96, "uint16") // 40
    later = ground + 1000
    later[:, 30:60, 40:70] += 3000
    moved = rasterio.Affine(10, 0, 500002, 0, -10, 5300003) if align else None
    place = {"transform": moved} if align else {}
    before = scaled(tmp_path / "before.tif", ground, OLD)
    after = scaled(tmp_path / "after.tif", later, NEW, **place)
    out = tmp_path / "out"
    found = rsdetect.detect(before, after, out=out, detector="cva", align=align, quiet=True)
    changes = found.changes().sort_values("pixels")
    assert changes.iloc[-1]["difference_band1"] == pytest.approx(0.3, abs=0.01)
    assert found.record["check"]["after"]["offsets"] == [pytest.approx(-0.1)] * 3


def test_a_scale_of_nothing_and_scales_that_cannot_be_are_left_alone(tmp_path):
    ground = random_scene(1, dtype="uint16")
    for number, linear in enumerate([(1.0, 0.0), (0.0, 0.0), (math.nan, 0.0)]):
        path = scaled(tmp_path / f"{number}.tif", ground, linear)
        pair = open_pair(path, path)
        assert pair.before.scales == ()
        np.testing.assert_array_equal(both(pair)[0], ground)


def test_a_divisor_as_modis_names_it_divides(tmp_path):
    path = scaled(tmp_path / "mod09.tif", random_scene(1, dtype="int16"), (10000.0, 0.0))
    assert open_pair(path, path).before.scales == pytest.approx((1e-4,) * 3)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_scale_and_offset_of_an_array_not_yet_applied_are_applied(tmp_path):
    ground = random_scene(1, dtype="uint16")
    path = scaled(tmp_path / "a.tif", ground + 1000, NEW)
    raw = rioxarray.open_rasterio(path)
    masked = rioxarray.open_rasterio(path, mask_and_scale=True).astype("float32")
    for array in (raw, masked):
        one, other = both(open_pair(array, path))
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_units_that_one_scene_alone_names_are_a_doubt(tmp_path):
    ground = random_scene(1, dtype="uint16")
    before, after = scaled(tmp_path / "before.tif", ground), scaled(tmp_path / "after.tif", ground, NEW)
    told = run_here("detect", before, after, "--detector", "cva", "--out", tmp_path / "out")
    assert told.status == 2
    assert "after.tif says that its values are number * 0.0001 -0.1 and" in told.err
    assert "gdal_edit.py -scale 0.0001 -offset -0.1" in told.err and "--accept units" in told.err
    with pytest.raises(DoubtError, match="units"):
        open_pair(after, before)
    pair = open_pair(before, after, PairOptions(accept=("units",)))
    assert [doubt.name for doubt in pair.doubts] == ["units"]


def test_reflectance_as_floats_beside_scaled_numbers_is_no_doubt(tmp_path):
    ground = random_scene(1, dtype="uint16")
    after = scaled(tmp_path / "after.tif", ground + 1000, NEW)
    before = write_scene(tmp_path / "before.tif", (ground * 1e-4).astype("float32"))
    one, other = both(open_pair(before, after))
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda ground: ground + 1000, "lie about 1000 above"),
        (lambda ground: ground + 1000 + np.arange(50) % 90, "lie about 1000 above"),
        (lambda ground: ground * 10_000.0, "are about 10000 times those of"),
        (lambda ground: ground, None),
        (lambda ground: ground + 90, None),  # haze
        (lambda ground: ground * 2, None),  # the sun is higher
    ],
)
def test_a_round_constant_or_undeclared_factor_is_named(tmp_path, change, words):
    ground = random_scene(1, 3, 120, 50, "uint16") // 2 + 60
    before = write_scene(tmp_path / "before.tif", ground)
    after = write_scene(tmp_path / "after.tif", change(ground).astype("float32"))
    said = [warning for warning in rsdetect.check(before, after).warnings if "in every band" in warning]
    assert bool(said) == (words is not None)
    if words:
        assert words in said[0]
        back = [w for w in rsdetect.check(after, before).warnings if "in every band" in w]
        assert words.replace("above", "below") in back[0]


def test_the_metadata_of_sentinel_2_name_offsets_by_band():
    # stactools-packages/sentinel2, tests/data-files/S2A_MSIL2A_20221005T115411_N0400_R023_T29UNU_....SAFE
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{i}">-{1000 + i}</BOA_ADD_OFFSET>' for i in range(13))
    told = f'<BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>{offsets}'
    found = sentinel2_linear(told)
    assert len(found) == 13
    assert found["01"] == pytest.approx((1e-4, -0.1))
    assert found["8A"] == pytest.approx((1e-4, -0.1008))
    assert found["12"] == pytest.approx((1e-4, -0.1012))
    old = '<L2A_BOA_QUANTIFICATION_VALUE unit="none">10000</L2A_BOA_QUANTIFICATION_VALUE>'
    assert sentinel2_linear(old)["04"] == (1e-4, 0.0)


# The order of the groups in MTL files: level 2 before level 1, with keys of the same names.
_GROUPS = {
    "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {"MULT": 2.75e-05, "ADD": -0.2},
    "LEVEL1_RADIOMETRIC_RESCALING": {"MULT": 2.0e-05, "ADD": -0.1},
}


def _as_text():
    lines = ["GROUP = LANDSAT_METADATA_FILE", "SUN_ELEVATION = 30.0"]
    for group, values in _GROUPS.items():
        keys = [f"REFLECTANCE_{kind}_BAND_4 = {value!r}" for kind, value in values.items()]
        lines += [f"GROUP = {group}", *keys, f"END_GROUP = {group}"]
    return "\n".join(lines)


def _as_xml():
    groups = ""
    for group, values in _GROUPS.items():
        keys = "".join(f"<REFLECTANCE_{k}_BAND_4>{v!r}</REFLECTANCE_{k}_BAND_4>" for k, v in values.items())
        groups += f"<{group}>{keys}</{group}>"
    return f"<LANDSAT_METADATA_FILE><SUN_ELEVATION>30.0</SUN_ELEVATION>{groups}</LANDSAT_METADATA_FILE>"


def _as_json():
    groups = {
        group: {f"REFLECTANCE_{kind}_BAND_4": str(value) for kind, value in values.items()}
        for group, values in _GROUPS.items()
    }
    return json.dumps({"LANDSAT_METADATA_FILE": {"IMAGE_ATTRIBUTES": {"SUN_ELEVATION": "30.0"}} | groups})


@pytest.mark.parametrize("write", [_as_text, _as_xml, _as_json])
def test_an_mtl_file_gives_the_factors_of_the_level_that_is_read(write):
    assert landsat_linear(write(), level_2=True) == {4: (2.75e-05, -0.2)}
    at_the_top = landsat_linear(write(), level_2=False)[4]  # the sine of 30° is 0.5
    assert at_the_top == pytest.approx((4e-05, -0.2))


@pytest.mark.parametrize(
    ("path", "linear"),
    [
        ("LC08_L2SP_195028_20220507_20220509_02_T1_SR_B4.TIF", (2.75e-5, -0.2)),
        ("https://host/LT05_L2SR_195028_19900507_20200509_02_T2_SR_B7.TIF?sig=x_SR_B1", (2.75e-5, -0.2)),
        ("LC08_L2SP_195028_20220507_20220509_02_T1_ST_B10.TIF", (0.00341802, 149.0)),
        ("LC08_L2SP_195028_20220507_20220509_02_T1_QA_PIXEL.TIF", None),
        ("LC08_L1TP_195028_20220507_20220509_02_T1_B4.TIF", None),  # in the MTL file alone
        ("LC08_L1TP_195028_20150507_20170509_01_T1_sr_band4.tif", (1e-4, 0.0)),
        ("HLS.S30.T32UPU.2021185T102021.v2.0.B8A.tif", (1e-4, 0.0)),
        ("HLS.S30.T32UPU.2021185T102021.v2.0.B11.tif", (1e-4, 0.0)),
        ("HLS.L30.T32UPU.2021185T102021.v2.0.B10.tif", None),  # thermal
        ("HLS.S30.T32UPU.2021185T102021.v2.0.Fmask.tif", None),
        ("MOD09A1.061_sur_refl_b01_doy2021185_aid0001.tif", (1e-4, 0.0)),
        ("20210704_101031_45_2212_3B_AnalyticMS_SR.tif", (1e-4, 0.0)),
        ("S2A_MSIL2A_20220705T101031_N0400_R022_T32UPU_20220705T161031.SAFE/GRANULE/a/b_B04_10m.jp2", NEW),
        ("S2A_MSIL1C_20210705T101031_N0301_R022_T32UPU_20210705T161031.SAFE/GRANULE/a/b_B04.jp2", OLD),
        ("S2A_MSIL2A_20220705T101031_N0400_R022_T32UPU_20220705T161031.tif", None),  # made by somebody
        ("T32UPU_20220705T101031_B04_10m.jp2", None),
        ("SENTINEL2A_20210704-102345-678_L2A_T32TNS_C_V2-2_FRE_B2.tif", (1e-4, 0.0)),
        ("ga_ls8c_nbart_3-0-0_090084_2016-01-21_final_band04.tif", (1e-4, 0.0)),
        ("ga_ls8c_oa_3-0-0_090084_2016-01-21_final_fmask.tif", None),
        ("20210704_LEVEL2_SEN2A_BOA.tif", (1e-4, 0.0)),
        ("20210704_LEVEL2_SEN2A_QAI.tif", None),
    ],
)
def test_the_name_of_a_file_selects_a_specification(path, linear):
    assert linear_of_name(path) == linear


S2 = {"platform": "sentinel-2a"}


@pytest.mark.parametrize(
    ("properties", "fields", "linear"),
    [
        # Earth Search, sentinel-2-c1-l2a; sentinel-2-l2a, whose pixels have it applied already.
        (S2 | {"s2:processing_baseline": "05.00"}, {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, NEW),
        (
            S2 | {"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": True},
            {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]},
            OLD,
        ),
        (S2 | {"sentinel:boa_offset_applied": True}, {"eo:bands": [{"common_name": "red"}]}, OLD),
        # Planetary Computer: the baseline alone.
        (S2 | {"s2:processing_baseline": "04.00"}, {"eo:bands": [{"common_name": "red"}]}, NEW),
        (S2 | {"s2:processing_baseline": "03.01"}, {"eo:bands": [{"common_name": "red"}]}, OLD),
        (S2 | {"s2:processing_baseline": "03.01"}, {"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, OLD),
        (S2 | {"s2:processing_baseline": "04.00"}, {}, None),  # a classification, a picture
        (S2, {"eo:bands": [{"common_name": "red"}]}, None),  # of a baseline without a name
        # Copernicus Data Space: STAC 1.1.
        (
            S2 | {"processing:version": "05.11"},
            {"bands": [{"eo:common_name": "red"}], "raster:scale": 1e-4, "raster:offset": -0.1},
            NEW,
        ),
        ({}, {"bands": [{"raster:scale": 2.75e-5, "raster:offset": -0.2}]}, (2.75e-5, -0.2)),
        ({}, {"raster:bands": [{"scale": 0.5}]}, (0.5, 0.0)),
        ({}, {"raster:bands": [{"nodata": 0}]}, None),
    ],
)
def test_an_item_gives_the_scale_and_offset_of_its_assets(properties, fields, linear):
    asset = pystac.Asset("a.tif", extra_fields=fields)
    assert linear_of_asset(properties, "an-item", asset) == linear


def test_an_item_as_a_scene_is_in_reflectance(tmp_path):
    ground = random_scene(1, 1, 40, 50, "uint16")

    def item(baseline, array):
        properties = S2 | {"s2:processing_baseline": baseline}
        found = pystac.Item(f"S2_{baseline}", None, None, datetime(2023, 8, 23, 9, tzinfo=UTC), properties)
        href = write_scene(tmp_path / f"{baseline}.tif", array)
        fields = {"eo:bands": [{"name": "B04", "common_name": "red"}]}
        found.add_asset("B04", pystac.Asset(href, media_type=pystac.MediaType.GEOTIFF, extra_fields=fields))
        return found

    one, other = both(open_pair(item("03.01", ground), item("04.00", ground + 1000)))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one, ground * 1e-4, rtol=1e-6)
