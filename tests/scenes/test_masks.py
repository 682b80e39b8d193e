"""--mask: cloud and quality masks of either date, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject, transform_bounds

from rsdetect.errors import GridMismatch, InputError, NothingToCompare, ReadError, SceneError
from rsdetect.grid import Window
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.scenes.scene import MaskFile
from rsdetect.tiles import TileWindow
from support.scenes import TEN_METRES, UTM, random_scene, write_plain, write_scene

CLOUDS = (3, 8, 9, 10)  # Sentinel-2 scene classification: shadow, clouds, cirrus
TWENTY_METRES = Affine(20, 0, 500000, 0, -20, 5300000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("masks")
    for name, seed in (("before", 1), ("after", 2)):
        write_scene(folder / f"{name}.tif", random_scene(seed, 1, 40, 50))
    return folder


def masked(folder, *masks, window=None, before="before.tif", **options):
    pair = open_pair(
        str(folder / before), str(folder / "after.tif"), PairOptions(masks=tuple(map(str, masks)), **options)
    )
    window = window or pair.grid.window
    return read_tile(pair, TileWindow(0, 0, window, window))


def test_classes_at_20_m_hide_the_10_m_pixels_under_them(folder):
    classes = np.random.default_rng(0).integers(0, 12, (20, 25)).astype(np.uint8)
    mask = write_scene(folder / "scl.tif", classes, transform=TWENTY_METRES)
    tile = masked(folder, mask, mask_values=CLOUDS)
    usable = ~np.isin(classes, CLOUDS).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(tile.before_valid, usable)
    np.testing.assert_array_equal(tile.after_valid, usable)


def test_one_mask_serves_both_dates_and_two_serve_each_its_own(folder):
    left, top = np.zeros((2, 40, 50), np.uint8)
    left[:, :10], top[:5] = 1, 1
    paths = write_scene(folder / "left.tif", left), write_scene(folder / "top.tif", top)
    tile = masked(folder, *paths)
    np.testing.assert_array_equal(tile.before_valid, left == 0)
    np.testing.assert_array_equal(tile.after_valid, top == 0)
    np.testing.assert_array_equal(tile.valid, (left == 0) & (top == 0))


@pytest.mark.parametrize("masked_date", ["before", "after"])
def test_an_empty_name_leaves_one_date_unmasked(folder, masked_date):
    top = np.zeros((40, 50), np.uint8)
    top[:5] = 1
    path = write_scene(folder / "top_alone.tif", top)
    tile = masked(folder, *((path, "") if masked_date == "before" else ("", path)))
    hidden = {"before": tile.before_valid, "after": tile.after_valid}
    np.testing.assert_array_equal(hidden.pop(masked_date), top == 0)
    assert hidden.popitem()[1].all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "uint32"])
def test_quality_bits_hide_where_any_of_them_is_set(folder, dtype):
    high = min(np.iinfo(dtype).max, 2**31 - 1)
    quality = np.random.default_rng(0).integers(0, high, (40, 50), endpoint=True).astype(dtype)
    mask = write_scene(folder / f"qa-{dtype}.tif", quality)
    tile = masked(folder, mask, mask_bits=(3, 4))
    np.testing.assert_array_equal(tile.before_valid, (quality >> 3) & 1 | (quality >> 4) & 1 == 0)


def test_values_and_bits_together_hide_what_either_hides(folder):
    quality = np.random.default_rng(0).integers(0, 16, (40, 50)).astype(np.uint16)
    mask = write_scene(folder / "both.tif", quality)
    tile = masked(folder, mask, mask_values=(2,), mask_bits=(3,))
    np.testing.assert_array_equal(tile.before_valid, (quality != 2) & (quality < 8))


def test_without_values_or_bits_everything_but_zero_hides(folder):
    classes = np.random.default_rng(0).integers(0, 3, (40, 50)).astype(np.uint8)
    mask = write_scene(folder / "nonzero.tif", classes)
    np.testing.assert_array_equal(masked(folder, mask).before_valid, classes == 0)


def test_the_nodata_value_of_a_mask_is_a_class_like_any_other(folder):
    classes = np.random.default_rng(0).integers(0, 3, (40, 50)).astype(np.uint8)
    mask = write_scene(folder / "declared.tif", classes, nodata=0)
    np.testing.assert_array_equal(masked(folder, mask).before_valid, classes == 0)
    np.testing.assert_array_equal(masked(folder, mask, mask_values=(2,)).before_valid, classes != 2)


def test_where_the_mask_does_not_reach_nothing_is_usable(folder):
    mask = write_scene(
        folder / "part.tif", np.zeros((20, 30), np.uint8), transform=TEN_METRES @ Affine.translation(10, 5)
    )
    expected = np.zeros((40, 50), bool)
    expected[5:25, 10:40] = True
    np.testing.assert_array_equal(masked(folder, mask, mask_values=(9,)).before_valid, expected)


@given(window=st.tuples(*[st.integers(-20, 60)] * 2), size=st.tuples(*[st.integers(1, 60)] * 2))
def test_a_mask_in_another_crs_is_the_same_whichever_window_is_read(folder, window, size):
    left, bottom, right, top = transform_bounds(UTM, "EPSG:4326", 500000, 5299600, 500500, 5300000)
    transform = Affine((right - left) / 21, 0, left, 0, -(top - bottom) / 17, top)
    classes = np.random.default_rng(0).integers(0, 4, (17, 21)).astype(np.uint8)
    mask = write_scene(folder / "degrees.tif", classes, crs="EPSG:4326", transform=transform)
    expected = np.full((40, 50), -1, np.int16)
    reproject(
        classes.astype(np.int16), expected, src_transform=transform, src_crs="EPSG:4326",
        dst_transform=TEN_METRES, dst_crs=UTM, resampling=Resampling.nearest,
        init_dest_nodata=False, dst_nodata=-1,
    )  # fmt: skip
    whole = masked(folder, mask, mask_values=(1, 2)).before_valid
    assert (whole != np.isin(expected, (0, 3))).mean() < 0.01, (
        "only pixels on the edge of two classes may differ"
    )
    read = Window(*window, *size)
    inside = read.intersection(Window(0, 0, 40, 50))
    part = masked(folder, mask, mask_values=(1, 2), window=read).before_valid
    np.testing.assert_array_equal(part[inside.slices_in(read)], whole[inside.slices_in(Window(0, 0, 40, 50))])


def test_a_mask_of_a_warped_scene_follows_it(folder):
    shifted = write_scene(
        folder / "half.tif", random_scene(3, 1, 40, 50), transform=Affine(10, 0, 500005, 0, -10, 5299995)
    )
    cloud = np.zeros((40, 50), np.uint8)
    cloud[10:20, 10:20] = 1
    mask = write_scene(folder / "half-mask.tif", cloud, transform=TEN_METRES)
    tile = masked(folder, mask, before=shifted, align=True)
    assert not tile.valid[10:19, 10:19].any()
    assert tile.valid[:9, :9].all()


def test_masks_of_plain_pictures_lie_on_the_same_pixels(tmp_path):
    for name in ("before", "after"):
        write_plain(tmp_path / f"{name}.tif", random_scene(0, 1, 40, 50), driver="GTiff")
    cloud = np.zeros((1, 40, 50), np.uint8)
    cloud[0, :, 30:] = 255
    mask = write_plain(tmp_path / "mask.png", cloud)
    np.testing.assert_array_equal(masked(tmp_path, mask).valid, cloud[0] == 0)
    small = write_plain(tmp_path / "small.png", cloud[:, :20])
    with pytest.raises(GridMismatch, match=r"no georeference and 50 x 20 pixels, its scene .* has 50 x 40"):
        masked(tmp_path, small)


def test_a_mask_without_a_crs_for_scenes_with_one_is_refused(folder):
    mask = write_scene(folder / "nowhere.tif", np.zeros((40, 50), np.uint8), crs=None)
    with pytest.raises(GridMismatch, match="only one has a CRS"):
        masked(folder, mask)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [(UTM, TEN_METRES @ Affine.translation(900, 0)), ("EPSG:4326", Affine(0.1, 0, -60, 0, -0.1, -5))],
)
def test_a_mask_elsewhere_is_refused_by_name(folder, crs, transform):
    mask = write_scene(folder / "elsewhere.tif", np.zeros((40, 50), np.uint8), crs=crs, transform=transform)
    with pytest.raises(
        NothingToCompare, match=r"the mask .*elsewhere\.tif lies outside its scene .*before\.tif"
    ):
        masked(folder, mask)


def test_a_mask_of_fractions_is_refused(folder):
    mask = write_scene(folder / "float.tif", np.zeros((40, 50), np.float32))
    with pytest.raises(InputError, match="holds float32 values; a mask holds integers"):
        masked(folder, mask)


def test_what_is_no_raster_is_refused_by_name(folder):
    (folder / "notes.txt").write_text("no clouds today")
    with pytest.raises(SceneError, match=r"notes\.txt"):
        masked(folder, folder / "notes.txt")
    with pytest.raises(SceneError, match=r"missing\.tif"):
        masked(folder, folder / "missing.tif")


def test_a_mask_that_breaks_in_the_middle_is_named(folder):
    mask = folder / "broken.tif"
    write_scene(mask, np.random.default_rng(0).integers(0, 2, (40, 50)).astype(np.uint8), compress="deflate")
    content = mask.read_bytes()
    mask.write_bytes(content[: len(content) // 2] if content[4:8] == b"\x08\0\0\0" else content)
    data = bytearray(content)
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    mask.write_bytes(bytes(data))
    with pytest.raises((ReadError, SceneError), match=r"broken\.tif"):
        masked(folder, mask)


@pytest.mark.parametrize(
    ("masks", "options", "words"),
    [
        ((), {"mask_values": (3,)}, "name it with `masks`"),
        ((), {"mask_bits": (3,)}, "name it with `masks`"),
        (("a", "b", "c"), {}, "one file for both dates or two, and got 3"),
        (("a",), {"mask_bits": (31,)}, "counts bits from 0"),
        (("a",), {"mask_bits": (-1,)}, "counts bits from 0"),
    ],
)
def test_options_that_do_not_fit_are_one_clear_sentence(folder, masks, options, words):
    with pytest.raises(InputError, match=words):
        masked(folder, *masks, **options)


@given(
    values=st.lists(st.integers(0, 12), max_size=4),
    bits=st.lists(st.integers(0, 30), max_size=3),
    seed=st.integers(0, 99),
)
def test_hiding_is_what_python_sets_and_shifts_say(values, bits, seed):
    classes = np.random.default_rng(seed).integers(-1, 2**31, 200)
    classes[:100] %= 13
    hidden = MaskFile("", None, tuple(values), tuple(bits)).hides(classes)
    for value, found in zip(classes.tolist(), hidden.tolist(), strict=True):
        expected = value == -1 or value in values or any(value >> bit & 1 for bit in bits)
        expected |= not values and not bits and value != 0
        assert found == expected


def test_a_local_crs_without_a_code_works_for_masks_too(tmp_path):
    local = CRS.from_proj4("+proj=tmerc +lat_0=48 +lon_0=9 +datum=WGS84").to_wkt()
    for name in ("before", "after"):
        write_scene(
            tmp_path / f"{name}.tif",
            random_scene(0, 1, 40, 50),
            crs=local,
            transform=Affine(1, 0, 0, 0, -1, 0),
        )
    mask = write_scene(
        tmp_path / "mask.tif", np.eye(40, 50, dtype=np.uint8), crs=local, transform=Affine(1, 0, 0, 0, -1, 0)
    )
    np.testing.assert_array_equal(masked(tmp_path, mask).valid, np.eye(40, 50) == 0)
