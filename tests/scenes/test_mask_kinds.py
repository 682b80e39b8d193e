"""Quality masks by the names of their products: what hides the ground, fill included."""

from __future__ import annotations

import json

import numpy as np
import pystac
import pytest

from rsdetect import InputError, check
from rsdetect.feeds import make_feed
from rsdetect.feeds.sections import StacSource
from rsdetect.ingestion.scenes_section import ScenesSection
from rsdetect.paths import from_folder, split_paths
from rsdetect.scenes.mask_classes import classified_meaning, kind_by_content
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.scenes.quality import MASK_KINDS, kind_by_name, mask_meaning
from rsdetect.scenes.scene import read_scene
from rsdetect.tiles import TileWindow
from support.jobs import run_here
from support.memory import memory_scene
from support.moody_server import MoodyServer
from support.scenes import random_scene, write_scene
from support.stac_server import item

# What the products' documents list: values that hide the ground, and values that do not.
DOCUMENTED = {
    "plain": ([1, 2, 255], [0]),
    "sentinel2-scl": ([0, 1, 3, 8, 9, 10, 11], [2, 4, 5, 6, 7]),
    # QA_PIXEL of Landsat 8: fill, clear with low confidences, cloud, shadow, cirrus, water, snow
    "landsat-qa": ([1, 22280, 23888, 54596, 55052, 30048], [21824, 21952]),
    "fmask": ([2, 3, 4, 255], [0, 1]),
    "hls-fmask": ([2, 4, 8, 16, 255, 194], [0, 32, 64, 128, 192, 224]),
    "udm2": ([0], [1]),
    "oa-fmask": ([0, 2, 3, 4], [1, 5]),
    "cloud-probability": ([40, 75, 100, 255], [0, 20, 39]),
    "maja-clm": ([1, 2, 4, 64, 128, 255], [0]),
    "force-qai": ([1, 2, 4, 6, 8, 16], [0, 32, 64, 2048]),
    "s2cloudless": ([1, 255], [0]),
    # cloudy, mixed, shadow, average cirrus, high cirrus, internal flag, snow, beside cloud, fill
    "modis-state": ([1, 2, 4, 512, 768, 1024, 4096, 8192, 32768, 65535], [0, 3, 8, 64, 256, 2048]),
}  # fmt: skip
NAMES = {
    "T32UPU_20210704T101031_SCL_20m.jp2": "sentinel2-scl",
    "scl_before.tif": "sentinel2-scl",
    "LC09_L2SP_195028_20220507_20220509_02_T1_QA_PIXEL.TIF": "landsat-qa",
    "LC08_L1TP_195028_20220507_Fmask4.tif": "fmask",
    "HLS.L30.T32UPU.2021185T101031.v2.0.Fmask.tif": "hls-fmask",
    "20240503_101031_12_2456_3B_udm2.tif": "udm2",
    "ga_ls8c_ard_3-2-1_091084_2021-07-04_final_oa_fmask.tif": "oa-fmask",
    "MSK_CLDPRB_20m.jp2": "cloud-probability",
    "SENTINEL2A_20210704-101031-000_L2A_T32UPU_C_V1-0_CLM_R1.tif": "maja-clm",
    "20210704_LEVEL2_SEN2A_QAI.tif": "force-qai",
    "scene_s2cloudless.tif": "s2cloudless",
    "MOD09GA.A2021185.h18v04.061.state_1km_1.tif": "modis-state",
    "muscle.tif": None,
    "mask.tif": None,
}


def test_every_kind_is_documented_here_and_in_job_files():
    assert set(DOCUMENTED) == set(MASK_KINDS) - {"auto"}
    for kind in MASK_KINDS:
        ScenesSection(mask_kind=kind)
        StacSource(url="a", assets=("b",), mask_kind=kind)


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_a_kind_hides_the_documented_values(tmp_path, kind):
    hiding, clear = DOCUMENTED[kind]
    values = np.array([*hiding, *clear])
    dtype = "uint8" if values.max() < 256 else "uint16"
    array = random_scene(0, 1, 4, 10 * len(values))
    scene = write_scene(tmp_path / "scene.tif", array)
    mask = write_scene(
        tmp_path / "quality.tif", values.repeat(10)[None, None].repeat(4, axis=1).astype(dtype)
    )
    pair = open_pair(scene, scene, PairOptions(masks=mask, mask_kind=kind))
    tile = read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))
    np.testing.assert_array_equal(tile.valid[0].reshape(-1, 10)[:, 0], ~np.isin(values, hiding))


@pytest.mark.parametrize("name", NAMES)
def test_a_mask_is_known_by_its_name(name):
    assert kind_by_name(name) == NAMES[name]
    assert mask_meaning("auto", name) == mask_meaning(NAMES[name] or "plain", "")


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(InputError, match=r"`mask_kind` 'scl' is unknown; choose one of auto"):
        PairOptions(masks="m.tif", mask_kind="scl")
    with pytest.raises(
        InputError, match=r"`mask_values`, `mask_bits` and `mask_kind` say how to read a mask"
    ):
        open_pair(*_two(), PairOptions(mask_kind="fmask"))


def _two():
    return memory_scene(random_scene(0)), memory_scene(random_scene(1))


@pytest.fixture
def scenes(tmp_path):
    return [write_scene(tmp_path / f"{name}.tif", random_scene(i)) for i, name in enumerate(("a", "b"))]


def warned(scenes, mask, **options):
    return " ".join(check(*scenes, masks=mask, **options).warnings)


def test_a_mask_that_hides_nearly_all_or_nothing_is_warned_of(scenes, tmp_path):
    scl = np.full((40, 50), 4, np.uint8)
    scl[:1, :30] = 0
    path = write_scene(tmp_path / "quality.tif", scl)
    text = warned(scenes, path)
    assert "hides 98% of the ground" in text and "the kind of the mask" in text and "`mask_kind`" in text
    assert "hides nothing" in warned(scenes, write_scene(tmp_path / "none_scl.tif", 0 * scl + 5))
    assert "hides" not in warned(scenes, path, mask_kind="sentinel2-scl")


def test_values_that_the_kind_does_not_know_are_named(scenes, tmp_path):
    array = np.zeros((40, 50), np.uint8)
    array[:9], array[9:20] = 77, 4
    path = write_scene(tmp_path / "quality.tif", array)
    assert "holds 77, which masks of the kind oa-fmask do not have" in warned(
        scenes, path, mask_kind="oa-fmask"
    )
    assert "holds none of the `mask_values` 3, 8" in warned(scenes, path, mask_values=(3, 8))


def test_more_bands_than_the_one_that_is_read_are_named(scenes, tmp_path):
    array = np.zeros((3, 40, 50), np.uint8)
    array[:, :9] = 1
    text = warned(scenes, write_scene(tmp_path / "quality.tif", array))
    assert "has 3 bands, of which the first one is read" in text
    eight = np.ones((8, 40, 50), np.uint8)
    eight[0, :9] = 0
    assert "of which" not in warned(scenes, write_scene(tmp_path / "scene_udm2.tif", eight))


def test_the_command_line_and_lists_take_the_kind(scenes, tmp_path):
    scl = np.full((40, 50), 4, np.uint8)
    scl[:10] = 0
    write_scene(tmp_path / "q,1.tif", scl)
    table = tmp_path / "pairs.csv"
    table.write_text('name,before,after,mask,mask_kind\nx,a.tif,b.tif,"q,1.tif",sentinel2-scl\n')
    told = run_here("batch", table, "--out", tmp_path / "out", "--detector", "cva")
    assert told.status == 0, told.err
    record = json.loads((tmp_path / "out" / "x" / "run.json").read_text())
    assert record["inputs"]["after"]["mask"]["kind"] == "sentinel2-scl"
    assert record["check"]["valid_share"] == 0.75
    mask = tmp_path / "q,1.tif"
    told = run_here(
        "check", *scenes, "--mask", f"{mask},{mask}", "--mask-kind", "sentinel2-scl,oa-fmask", "--json"
    )
    assert told.status == 2 and "1500 of 2000 pixels" in told.err, (
        "4 is vegetation for one, snow for the other"
    )


ODD = ("2024-05-03T10:15:00 a.tif", "a,b.tif", "S2:B04.tif", "!x.tif", "Höhe 100%.tif", "x [1] & (2) #3.tif")


@pytest.mark.parametrize("name", ODD)
def test_a_text_that_names_a_file_is_one_path(tmp_path, name):
    write_scene(tmp_path / name, random_scene(0))
    assert from_folder(name, tmp_path) == str(tmp_path / name)
    assert split_paths(name, tmp_path) == (name,)
    assert split_paths(f"{name},{name}", tmp_path) == (name, name)
    table = tmp_path / "pairs.csv"
    table.write_text(f'name,before,after,mask\nx,"{name}","{name}","{name}"\n', encoding="utf-8")
    told = run_here("batch", table, "--out", tmp_path / "out", "--detector", "cva")
    assert "cannot be opened" not in told.err + told.out


def test_a_driver_prefix_counts_from_the_folder_too(tmp_path):
    (tmp_path / "a.nc").touch()
    assert from_folder('NETCDF:"a.nc":red', tmp_path) == f'NETCDF:"{tmp_path / "a.nc"}":red'
    assert from_folder("NETCDF:a.nc:red", tmp_path) == f"NETCDF:{tmp_path / 'a.nc'}:red"
    assert from_folder("NETCDF:gone.nc:red", tmp_path) == "NETCDF:gone.nc:red"


CONTENT = {
    "sentinel2-scl": np.array([0, 4, 5, 8, 9], np.uint8),
    "landsat-qa": np.array([1, 21824, 21952, 22280], np.uint16),
    "cloud-probability": np.arange(0, 100, 2, dtype=np.uint8),
    "oa-fmask": np.array([1, 2, 3, 5], np.uint8),
    "fmask": np.array([0, 1, 4, 255], np.uint8),
}


@pytest.mark.parametrize("kind", CONTENT)
def test_a_mask_without_a_name_is_known_by_its_values(scenes, tmp_path, kind):
    values = np.resize(CONTENT[kind], (40, 50))
    path = write_scene(tmp_path / "quality.tif", values)
    pair = open_pair(*scenes, PairOptions(masks=path))
    assert pair.before.mask.kind == kind
    assert f"is taken as {kind}, by its values" in warned(scenes, path)
    assert open_pair(*scenes, PairOptions(masks=path, mask_kind="plain")).before.mask.kind == "plain"


def test_a_mask_is_known_by_its_bands_and_a_plain_one_stays_plain(scenes, tmp_path):
    eight = np.ones((8, 40, 50), np.uint8)
    eight[0, :9] = 0
    usable = write_scene(tmp_path / "quality.tif", eight)
    plain = write_scene(tmp_path / "cloudy.tif", eight[0])
    for path, kind in ((usable, "udm2"), (plain, "plain")):
        assert open_pair(*scenes, PairOptions(masks=path)).before.mask.kind == kind


def test_a_dropped_answer_does_not_make_a_mask_on_a_server_a_plain_one(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    noise = np.random.default_rng(0).integers(0, 12, (200, 200)).astype(np.uint8)
    write_scene(tmp_path / "quality.tif", noise)
    for number in (4, 5):  # of the requests after those for the header
        with MoodyServer(tmp_path, "drops", number, number) as server:
            assert kind_by_content(server.address("quality.tif")) == "sentinel2-scl"


# By the specification of the extension; names as products have them.
CLASS_NAMES = ("no_data", "clear_land", "cloud_shadow", "water", "snow_ice")
CLASSES = [{"value": value, "name": name} for value, name in enumerate(CLASS_NAMES)]


def bitfield(name, offset, *names):
    classes = [{"value": value, "name": each} for value, each in enumerate(names)]
    return {"name": name, "offset": offset, "length": len(names) // 2, "classes": classes}


BITFIELDS = [
    bitfield("fill", 0, "not_fill", "fill"),
    bitfield("clear", 6, "not_clear", "clear"),
    bitfield("cloud_confidence", 8, "not_set", "low", "medium", "high"),
]


@pytest.mark.parametrize("nested", [False, True])
def test_classes_of_a_catalogue_say_what_hides(tmp_path, nested):
    for fields, hidden, seen in (
        ({"classification:classes": CLASSES}, [0, 2, 4], [1, 3]),
        ({"classification:bitfields": BITFIELDS}, [1, 768, 1 + 768 + 64], [0, 64, 256, 512]),
    ):
        meaning = classified_meaning({"bands": [fields]} if nested else fields)
        np.testing.assert_array_equal(meaning.hides(np.array(hidden)), True)
        np.testing.assert_array_equal(meaning.hides(np.array(seen)), False)
    assert classified_meaning({"classification:classes": [{"value": 1, "name": "forest"}]}) is None
    flagged = classified_meaning({"classification:classes": [{"value": 9, "name": "other", "nodata": True}]})
    assert flagged.values == (9,)


def test_an_item_with_classes_brings_its_mask(tmp_path):
    path = write_scene(tmp_path / "B04.tif", random_scene(0, 1))
    quality = np.full((40, 50), 256, np.uint16)
    quality[:5], quality[5:9] = 1, 768
    hides = write_scene(tmp_path / "quality.tif", quality)
    made = item("A", "2024-05-03", {"B04": (path, "red"), "quality": (hides, None)})
    made.assets["quality"].extra_fields["classification:bitfields"] = BITFIELDS
    pair = open_pair(made, made)
    _, valid = read_scene(pair.before, pair.grid.window)
    assert not valid[:9].any() and valid[9:].all()
    catalogue = pystac.Catalog("a", "")
    catalogue.add_item(made)
    catalogue.normalize_and_save(str(tmp_path), pystac.CatalogType.SELF_CONTAINED)
    section = StacSource(url=str(tmp_path / "catalog.json"), assets=("B04",), mask_asset="quality")
    (ref,) = make_feed(section, tmp_path).list_scenes()
    assert ref.mask_fields == ((0, 1, (1,)), (8, 2, (3,)))
