"""A pixel is compared only where both dates are valid, however each file declares it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.checks.report import check_pair
from rsdetect.checks.scan import Scan
from rsdetect.detectors.cva import CvaDetector
from rsdetect.errors import InputError, NothingToCompare
from rsdetect.grid import Window
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.tiles import TileWindow
from support.scenes import TEN_METRES, UTM, random_scene, write_plain, write_scene

SHAPE = (40, 50)
BEFORE_HOLE, AFTER_HOLE = (slice(5, 15), slice(8, 30)), (slice(10, 32), slice(20, 26))


def outside(hole):
    good = np.ones(SHAPE, bool)
    good[hole] = False
    return good


def plain(path, array, good):
    return write_scene(path, array)


def nodata_value(path, array, good):
    return write_scene(path, np.where(good, array, 0), nodata=0)


def mask_inside(path, array, good):
    return write_scene(path, array, mask=good)


def mask_beside(path, array, good):
    return write_scene(path, array, mask=good, sidecar=True)


def alpha(path, array, good):
    return write_scene(path, np.concatenate([array, 255 * good[None]]).astype(array.dtype), alpha=True)


def faint_alpha(path, array, good):
    return write_scene(path, np.concatenate([array, good[None]]).astype(array.dtype), alpha=True)


def nan_undeclared(path, array, good):
    return write_scene(path, np.where(good, array, np.nan).astype("float32"))


def nan_declared(path, array, good):
    return write_scene(path, np.where(good, array, np.nan).astype("float32"), nodata=np.nan)


def infinite(path, array, good):
    return write_scene(path, np.where(good, array, -np.inf).astype("float32"))


def too_large_for_float32(path, array, good):
    return write_scene(path, np.where(good, array.astype("float64"), 1e200))


def lowest_float(path, array, good):
    lowest = float(np.finfo("float32").min)
    return write_scene(path, np.where(good, array, lowest).astype("float32"), nodata=lowest)


def in_the_last_band_only(path, array, good):
    """A value that no sensor measures; the types of bytes have none."""
    nodata = {"uint8": -9999, "uint16": 65535, "int16": -32768, "float32": -9999}[str(array.dtype)]
    if array.dtype == np.uint8:
        array = array.astype("int16")
    return write_scene(path, np.concatenate([array[:-1], np.where(good, array[-1:], nodata)]), nodata=nodata)


def by_vrt_with_one_value_per_band(path, array, good):
    """Two bands with different nodata values, as only some formats have them."""
    sided = array.copy()
    sided[0][~good], sided[1][~good] = 7, 9
    sided[0][good & (array[0] == 7)] = 8
    source = write_scene(path.with_suffix(".src.tif"), sided)
    dtype = {"uint8": "Byte", "uint16": "UInt16", "int16": "Int16", "float32": "Float32"}[str(array.dtype)]
    bands = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{i}"><NoDataValue>{value}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="0">{source}</SourceFilename><SourceBand>{i}</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
        for i, value in ((1, 7), (2, 9))
    )
    numbers = ",".join(map(str, TEN_METRES.to_gdal()))
    vrt = path.with_suffix(".vrt")
    vrt.write_text(
        f'<VRTDataset rasterXSize="{array.shape[2]}" rasterYSize="{array.shape[1]}"><SRS>{UTM}</SRS>'
        f"<GeoTransform>{numbers}</GeoTransform>{bands}</VRTDataset>"
    )
    return str(vrt)


KINDS = [
    nodata_value, mask_inside, mask_beside, alpha, faint_alpha, nan_undeclared, nan_declared, infinite,
    too_large_for_float32, lowest_float, in_the_last_band_only, by_vrt_with_one_value_per_band,
]  # fmt: skip


def read_whole(pair):
    return read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_file_calls_invalid_is_not_compared(tmp_path, kind, dtype):
    good = outside(BEFORE_HOLE)
    before = kind(tmp_path / "before.tif", random_scene(1, 2, *SHAPE, dtype), good)
    after = plain(tmp_path / "after.tif", random_scene(2, 2, *SHAPE, dtype), None)
    for one, other in ((before, after), (after, before)):
        pair = open_pair(one, other)
        assert len(pair.bands) == 2
        tile = read_whole(pair)
        np.testing.assert_array_equal(tile.valid, good)
        scene = tile.before if one == before else tile.after
        assert (scene[:, ~good] == 0).all(), "an invalid pixel keeps no value that could leak"


@pytest.mark.parametrize(
    ("one", "other"),
    list(itertools.combinations([nodata_value, mask_inside, mask_beside, alpha, nan_undeclared], 2)),
)
def test_each_date_is_masked_in_its_own_way_and_only_the_rest_of_both_counts(tmp_path, one, other):
    before = one(tmp_path / "before.tif", random_scene(1, 3, *SHAPE), outside(BEFORE_HOLE))
    after = other(tmp_path / "after.tif", random_scene(2, 3, *SHAPE), outside(AFTER_HOLE))
    tile = read_whole(open_pair(before, after))
    np.testing.assert_array_equal(tile.before_valid, outside(BEFORE_HOLE))
    np.testing.assert_array_equal(tile.after_valid, outside(AFTER_HOLE))
    np.testing.assert_array_equal(tile.valid, outside(BEFORE_HOLE) & outside(AFTER_HOLE))


@pytest.mark.parametrize("bands", range(1, 7))
def test_an_alpha_band_is_never_counted_as_data(tmp_path, bands):
    """GDAL itself honours alpha beside one or three bands only."""
    path = alpha(tmp_path / "scene.tif", random_scene(0, bands, *SHAPE), outside(BEFORE_HOLE))
    tile = read_whole(open_pair(path, path))
    assert tile.before.shape[0] == bands
    np.testing.assert_array_equal(tile.valid, outside(BEFORE_HOLE))


def test_a_picture_with_transparency_is_compared_where_it_is_seen(tmp_path):
    rgba = random_scene(0, 4, *SHAPE)
    rgba[3] = 255 * outside(BEFORE_HOLE)
    path = write_plain(tmp_path / "scene.png", rgba)
    tile = read_whole(open_pair(path, path))
    assert tile.before.shape[0] == 3
    np.testing.assert_array_equal(tile.valid, outside(BEFORE_HOLE))


def test_nodata_in_a_band_that_is_not_used_hides_nothing(tmp_path):
    array = random_scene(1, 2, *SHAPE)
    array[1][BEFORE_HOLE] = 0
    path = write_scene(tmp_path / "scene.tif", array, nodata=0)
    assert read_whole(open_pair(path, path, PairOptions(bands=(1,)))).valid.all()
    assert not read_whole(open_pair(path, path, PairOptions(bands=(2,)))).valid.all()


@pytest.mark.parametrize("kind", [mask_inside, mask_beside, alpha])
def test_where_a_file_carries_a_mask_it_alone_decides(tmp_path, kind):
    array = random_scene(1, 2, *SHAPE)
    array[:, ~outside(AFTER_HOLE)] = 0  # true blacks, as new asphalt in a picture of bytes
    path = kind(tmp_path / "scene.tif", array, outside(BEFORE_HOLE))
    with rasterio.open(path, "r+") as dataset:
        dataset.nodata = 0
    tile = read_whole(open_pair(path, path))
    np.testing.assert_array_equal(tile.valid, outside(BEFORE_HOLE))


def test_a_nodata_value_that_the_type_cannot_hold_hides_nothing(tmp_path):
    source = write_scene(tmp_path / "source.tif", random_scene(1, 1, *SHAPE))
    vrt = tmp_path / "scene.vrt"
    vrt.write_text(
        f'<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>{UTM}</SRS><GeoTransform>'
        f"{','.join(map(str, TEN_METRES.to_gdal()))}</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><NoDataValue>-9999</NoDataValue><SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    assert read_whole(open_pair(str(vrt), source)).valid.all()


def test_outside_the_raster_nothing_is_valid_and_values_are_zero(tmp_path):
    path = plain(tmp_path / "scene.tif", random_scene(1, 2, *SHAPE), None)
    window = Window(-3, -4, 60, 70)
    tile = read_tile(open_pair(path, path), TileWindow(0, 0, window, window))
    expected = np.zeros((60, 70), bool)
    expected[3:43, 4:54] = True
    np.testing.assert_array_equal(tile.valid, expected)
    assert (tile.before[:, ~expected] == 0).all()


@given(data=st.data())
def test_any_mask_in_any_data_type_is_read_back_as_it_was_written(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "int16", "float32"]))
    kind = data.draw(st.sampled_from(KINDS))
    height, width = data.draw(st.integers(1, 30)), data.draw(st.integers(2, 30))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    good = rng.random((height, width)) < 0.7
    path = kind(folder / "scene.tif", random_scene(rng, 2, height, width, dtype), good)
    row, col = data.draw(st.integers(-9, height)), data.draw(st.integers(-9, width))
    read = Window(row, col, data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40)))
    tile = read_tile(open_pair(path, path), TileWindow(0, 0, read, read))
    around = np.zeros((height + 100, width + 100), bool)
    around[10 : 10 + height, 10 : 10 + width] = good
    np.testing.assert_array_equal(
        tile.valid, around[row + 10 : row + 10 + read.height, col + 10 : col + 10 + read.width]
    )


@pytest.mark.parametrize("kind", [nodata_value, mask_beside, alpha, nan_undeclared])
def test_a_pair_without_one_valid_pixel_in_common_is_refused(tmp_path, kind):
    before = kind(tmp_path / "before.tif", random_scene(1, 2, *SHAPE), np.zeros(SHAPE, bool))
    after = plain(tmp_path / "after.tif", random_scene(1, 2, *SHAPE), None)
    with pytest.raises(NothingToCompare, match="is valid on both dates"):
        CvaDetector().fit(Scan(open_pair(before, after)))


@pytest.mark.parametrize("warp", [False, True])
@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 0), ("uint8", 255), ("uint16", 0), ("float32", 0)])
def test_a_value_that_may_be_data_hides_a_pixel_only_where_all_bands_hold_it(tmp_path, dtype, nodata, warp):
    """Near infrared is 0 over a lake whose other bands are dark; beyond the swath all bands are."""
    array = random_scene(1, 3, *SHAPE, dtype)
    array[array == nodata] = 7
    array[2][BEFORE_HOLE] = nodata
    array[:, ~outside(AFTER_HOLE)] = nodata
    before = write_scene(tmp_path / "before.tif", random_scene(2, 3, *SHAPE, dtype))
    offset = Affine.translation(0.5, 0.5) if warp else Affine.identity()
    after = write_scene(tmp_path / "after.tif", array, nodata=nodata, transform=TEN_METRES @ offset)
    pair = open_pair(before, after, PairOptions(align=warp, resampling="nearest"))
    tile = read_whole(pair)
    if not warp:
        np.testing.assert_array_equal(tile.after_valid, outside(AFTER_HOLE))
        np.testing.assert_array_equal(tile.after[:, BEFORE_HOLE[0], 8:20], array[:, BEFORE_HOLE[0], 8:20])
    assert not tile.after_valid[12:31, 22:25].any()
    assert tile.after_valid[6:14, 9:19].all() and (tile.after[2, 6:14, 9:19] == nodata).all()


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("nodata", [-9999, 65535, -3.4028234663852886e38, np.inf, -np.inf, np.nan])
def test_what_hides_enters_no_neighbour_by_a_warp(tmp_path, nodata, resampling):
    array = np.full((2, 40, 50), 100, np.float32)
    array[1, 10:20, 10:20] = nodata
    half = TEN_METRES @ Affine.translation(0.4, 0.3)
    declared = nodata if np.isfinite(nodata) else None
    after = write_scene(tmp_path / "after.tif", array, nodata=declared, transform=half)
    before = write_scene(tmp_path / "before.tif", np.full((2, 40, 50), 100, np.float32))
    tile = read_whole(open_pair(before, after, PairOptions(align=True, resampling=resampling)))
    np.testing.assert_allclose(tile.after[:, tile.after_valid], 100, rtol=1e-6)
    assert not tile.after_valid[12:18, 12:18].any()


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("float32", -9999), ("uint16", 65535), ("int16", -32768), ("float32", np.inf), ("float32", np.nan)],
)
def test_what_hides_enters_no_statistic_and_no_distance(tmp_path, dtype, value):
    """In one band alone, on one date alone."""
    paths, hole = [], np.zeros((80, 90), bool)
    hole[20:40, 30:60] = True
    for seed, date in enumerate(("before", "after")):
        array = random_scene(seed, 3, 80, 90, dtype)
        if date == "after":
            array[1][hole] = value
        declared = value if np.isfinite(value) else None
        paths.append(write_scene(tmp_path / f"{date}.tif", array, nodata=declared))
    pair = open_pair(*paths)
    assert not read_whole(pair).valid[hole].any()
    scan = Scan(pair)
    sample = scan.sample_pixels()
    assert sample.count == int((~hole).sum())
    assert np.abs(sample.after).max() < 4001
    found = {(row.scene, row.band): row for row in check_pair(pair).bands}
    assert all(0 < row.minimum < row.maximum < 4001 for row in found.values())
    lengths = CvaDetector().fit(scan).length(read_whole(pair))
    assert np.isfinite(lengths).all()


@pytest.mark.parametrize(
    ("given", "hidden"),
    [
        ((), "declared"),
        ((7,), "given"),
        (("none",), "nothing"),
        (("auto", 7), "each"),
        ((7, "auto"), "other"),
    ],
)
def test_nodata_of_the_user_overrides_all(tmp_path, given, hidden):
    array = random_scene(1, 2, *SHAPE)
    array[array == 7] = 8
    array[:, ~outside(BEFORE_HOLE)] = 0
    array[:, ~outside(AFTER_HOLE)] = 7
    path = write_scene(tmp_path / "scene.tif", array, nodata=0)
    tile = read_whole(open_pair(path, path, PairOptions(nodata=given)))
    zero, seven = (array != 0).any(axis=0), (array != 7).any(axis=0)
    both = np.ones(SHAPE, bool)
    expected = {
        "declared": (zero, zero), "given": (seven, seven), "nothing": (both, both),
        "each": (zero, seven), "other": (seven, zero),
    }  # fmt: skip
    np.testing.assert_array_equal(tile.before_valid, expected[hidden][0])
    np.testing.assert_array_equal(tile.after_valid, expected[hidden][1])


@pytest.mark.parametrize("given", ["seven", object(), [1, 2, 3]])
def test_nodata_that_is_no_value_is_refused(given):
    with pytest.raises(InputError, match="`nodata` takes"):
        PairOptions(nodata=given)


def test_the_transform_of_the_crop_starts_at_the_first_pixel_in_common(tmp_path):
    array = random_scene(1, 1, *SHAPE)
    before = plain(tmp_path / "before.tif", array, None)
    after = write_scene(tmp_path / "after.tif", array, transform=TEN_METRES @ Affine.translation(3, -7))
    with rasterio.open(before) as dataset:
        assert open_pair(before, after).grid.transform.c == dataset.transform.c + 30
