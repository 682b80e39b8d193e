"""DataArrays as scenes: what the header takes from them, what is refused, and how much is computed."""

import pickle

import numpy as np
import pytest
import xarray as xr
from affine import Affine

from rsdetect.errors import GridMismatch, SceneError
from rsdetect.grid import Window
from rsdetect.scenes.header import read_header
from rsdetect.scenes.opening import open_source
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.tiles import TileWindow
from support.counted_chunks import CountedChunks
from support.memory import data_array
from support.scenes import TEN_METRES, UTM, random_scene, write_scene

rioxarray = pytest.importorskip("rioxarray")  # of the dev group
pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # of rioxarray

ARRAY = random_scene(1, 3, 12, 15, "uint16")
NAMES = ("red", "green", "blue")
WHOLE = Window(0, 0, 12, 15)


def source_of(array):
    return open_source(array, "before")


def assert_like_the_file(path, array):
    source, header = source_of(array), read_header(path)
    found = source.header()
    assert (found.grid, found.names, found.nodata) == (header.grid, header.names, header.nodata)
    pair = open_pair(path, array)
    for window in (WHOLE, Window(3, 2, 4, 20), Window(-2, -3, 9, 9)):
        tile = read_tile(pair, TileWindow(0, 0, window, window))
        np.testing.assert_array_equal(tile.before, tile.after)
        np.testing.assert_array_equal(tile.before_valid, tile.after_valid)


@pytest.fixture(params=[UTM, "EPSG:4326"])
def path(tmp_path, request):
    """A file whose transform has no short decimals."""
    step = 10 if request.param == UTM else 0.0001
    transform = Affine(step / 3, 0, 7.123456789, 0, -step / 7, 46.987654321)
    array = ARRAY.copy()
    array[:, 2:4, 5] = 7
    return write_scene(
        tmp_path / "a.tif", array, names=NAMES, nodata=7, crs=request.param, transform=transform
    )


@pytest.mark.parametrize("options", [{}, {"masked": True}, {"chunks": 5}, {"chunks": {"band": 1, "x": 4}}])
def test_an_array_of_rioxarray_is_its_file(path, options):
    assert_like_the_file(path, rioxarray.open_rasterio(path, **options))


def test_rows_and_columns_may_run_either_way_and_dimensions_stand_in_any_order(path):
    array = rioxarray.open_rasterio(path)
    for turned in (
        array.isel(y=slice(None, None, -1)),
        array.sortby("y"),
        array.isel(x=slice(None, None, -1), y=slice(None, None, -1)),
        array.transpose("x", "band", "y"),
        array.expand_dims("time"),
        array.rename(x="lon", y="lat").chunk(4),
        array.rename(band="variable"),
    ):
        assert_like_the_file(path, turned)


def test_a_part_of_an_array_lies_where_its_coordinates_say(path):
    """Slicing leaves the transform in the attributes as it was."""
    part = rioxarray.open_rasterio(path).isel(y=slice(3, 9), x=slice(2, 11))
    whole = read_header(path).grid
    assert source_of(part).header().grid == whole.crop(Window(3, 2, 6, 9))
    every_second = rioxarray.open_rasterio(path).isel(y=slice(None, None, 2), x=slice(None, None, 2))
    assert source_of(every_second).header().grid.transform.a == pytest.approx(2 * whole.transform.a)


def test_coordinates_alone_give_the_grid():
    assert source_of(data_array(ARRAY)).header().grid.transform == TEN_METRES


def test_a_transform_alone_gives_the_grid():
    array = data_array(ARRAY).drop_vars(["x", "y"])
    array.spatial_ref.attrs["GeoTransform"] = " ".join(map(str, TEN_METRES.to_gdal()))
    assert source_of(array).header().grid.transform == TEN_METRES


def test_coordinates_of_corners_as_stackstac_writes_them():
    array = data_array(ARRAY, crs=None)
    array = array.assign_coords(x=array.x - 5, y=array.y + 5)
    array.attrs |= {"crs": "epsg:32632", "transform": TEN_METRES}
    assert source_of(array).header().grid.transform == TEN_METRES
    assert source_of(array.isel(x=slice(2, None))).header().grid.transform == TEN_METRES @ Affine.translation(
        2, 0
    )


def test_bands_have_their_names_from_the_coordinate_or_the_description():
    assert source_of(data_array(ARRAY, names=["B04", "B03", "Nir "])).header().names == ("b04", "b03", "nir")
    described = data_array(ARRAY)
    assert source_of(described).header().names == ("", "", "")
    described.attrs["long_name"] = ("Red", "Green", "Blue")
    assert source_of(described).header().names == NAMES
    assert source_of(data_array(ARRAY, name="red").isel(band=0, drop=True)).header().names == ("red",)


def test_one_band_without_a_dimension_may_be_compared_more_than_once():
    flat = data_array(ARRAY).isel(band=1)
    pair = open_pair(flat, data_array(ARRAY), PairOptions(bands=(1, 1)))
    tile = read_tile(pair, TileWindow(0, 0, WHOLE, WHOLE))
    np.testing.assert_array_equal(tile.before, ARRAY[[1, 1]].astype(np.float32))


@pytest.mark.parametrize("where", ["_FillValue", "nodata", "encoding"])
def test_nodata_hides_a_pixel(where):
    array = data_array(ARRAY.astype(np.float64))
    array.data[0, 1, 2], array.data[2, 5, 5] = -9999, np.nan
    (array.encoding if where == "encoding" else array.attrs)[
        "_FillValue" if where == "encoding" else where
    ] = -9999
    pair = open_pair(array, array)
    tile = read_tile(pair, TileWindow(0, 0, WHOLE, WHOLE))
    assert np.argwhere(~tile.before_valid).tolist() == [[1, 2], [5, 5]]
    assert not tile.before[:, ~tile.before_valid].any()
    assert np.isnan(array.data[2, 5, 5]), "the user's own array is left as it is"


def test_the_time_of_an_array_is_its_date():
    array = data_array(ARRAY).assign_coords(time=np.datetime64("2021-07-04T10:10:31"))
    assert open_pair(array, array).before_date == "2021-07-04"


def test_a_crs_that_another_library_wrote_is_the_same_crs(tmp_path):
    """odc-geo writes what pyproj makes of a code, without the codes of its parts."""
    from pyproj import CRS

    array = data_array(ARRAY)
    array.spatial_ref.attrs["crs_wkt"] = CRS.from_epsg(32632).to_wkt()
    header = read_header(write_scene(tmp_path / "a.tif", ARRAY))
    assert source_of(array).header().grid == header.grid


def test_the_suggestion_for_a_dataset_keeps_nodata():
    dataset = data_array(ARRAY).to_dataset("band").rename({1: "red", 2: "green", 3: "blue"})
    dataset["green"].attrs["nodata"] = 0
    with pytest.raises(SceneError, match=r"to_array\('band'\).assign_attrs\(nodata=0\)"):
        source_of(dataset)
    array = dataset.to_array("band").assign_attrs(nodata=0)
    assert source_of(array).header().names == NAMES


def rotated(array):
    turned = TEN_METRES @ Affine.rotation(30)
    array = array.drop_vars(["x", "y"])
    array.spatial_ref.attrs["GeoTransform"] = " ".join(map(str, turned.to_gdal()))
    return array


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda a: a.drop_vars("spatial_ref"), "no CRS.*write_crs"),
        (lambda a: a.drop_vars(["x", "y"]), "nor a transform.*write_transform"),
        (rotated, "rotated.*reproject"),
        (
            lambda a: a.assign_coords(x=a.x + 5 * (a.x > 500060)),
            "coordinate x is not evenly spaced.*reproject",
        ),
        (lambda a: a.assign_coords(y=a.y * np.nan), "coordinate y is not evenly spaced"),
        (lambda a: a.assign_coords(x=("x", list("abcdefghijklmno"))), "not one row of numbers"),
        (lambda a: a.astype(np.complex64), "complex numbers.*abs"),
        (lambda a: a.astype(object), "dtype object.*astype"),
        (lambda a: a.rename(x="across"), "dimensions band, y, across.*rename"),
        (lambda a: xr.concat([a, a], "time"), r"choose one place along time.*isel\(time=0\)"),
        (lambda a: a.isel(x=[0]), "single value.*write_transform"),
        (lambda a: a.isel(x=[]), "no pixels"),
        (lambda a: a.to_dataset(name="a"), "to_array"),
        (lambda a: a.values, "ndarray; give a path"),
    ],
)
def test_what_is_no_scene_is_refused_with_a_suggestion(spoil, message):
    with pytest.raises(SceneError, match=rf"^before.*{message}"):
        source_of(spoil(data_array(ARRAY)))


def test_an_array_on_another_grid_is_not_warped_and_a_file_is(tmp_path):
    moved = TEN_METRES @ Affine.translation(0.5, 0)
    path = write_scene(tmp_path / "a.tif", ARRAY)
    array = data_array(ARRAY, transform=moved)
    for align in (False, True):
        with pytest.raises(GridMismatch, match="reproject_match"):
            open_pair(path, array, PairOptions(align=align))
    assert open_pair(array, path, PairOptions(align=True)).after.warp == "bilinear"


def test_the_token_changes_with_the_pixels_the_place_and_nothing_else():
    token = source_of(data_array(ARRAY)).token()
    assert source_of(data_array(ARRAY.copy())).token() == token
    assert pickle.loads(pickle.dumps(source_of(data_array(ARRAY)))).token() == token
    other = ARRAY.copy()
    other[2, 11, 14] += 1
    moved = TEN_METRES @ Affine.translation(1, 0)
    lazy = data_array(ARRAY).chunk(5)
    tokens = {
        source_of(each).token()
        for each in (data_array(other), data_array(ARRAY, transform=moved), lazy, lazy + 1)
    }
    assert len(tokens | {token}) == 5
    assert source_of(data_array(ARRAY).chunk(5)).token() == source_of(lazy).token()


def test_a_lazy_array_is_computed_chunk_by_chunk(tmp_path):
    """Of two scenes of 256 chunks few are alive at a time, and tiles that cut chunks compute none again."""
    import rsdetect

    alive = CountedChunks()
    before, after = alive.scene(2048, 128, 1), alive.scene(2048, 128, 2)
    how = {"detector": "cva", "threshold": 1, "tile_size": 200, "workers": 2, "memory": "1GB", "quiet": True}
    made = rsdetect.detect(before, after, out=tmp_path, **how)
    assert made.record["plan"]["reading"] == {"blocks": 128, "decoded_again": 0}
    assert 512 <= alive.ever <= 6 * 512, "the check, the shift, the fit, the sample and the tiles"
    assert alive.most <= 64
    assert alive.now == 0
