"""--align: after is warped onto before's grid, lazily, and the same whichever window is read."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject, transform_bounds
from scipy.ndimage import map_coordinates

from rsdetect.errors import GridMismatch, InputError, NothingToCompare
from rsdetect.grid import Window
from rsdetect.scenes.handles import close_handles
from rsdetect.scenes.pair import RESAMPLINGS, PairOptions, open_pair, read_tile
from rsdetect.scenes.scene import read_scene
from rsdetect.tiles import TileWindow
from support.scenes import UTM, random_scene, textured_scene, write_scene

AFTER = textured_scene(1, bands=2, height=150, width=170, dtype="float32")
AFTER_BOUNDS = (500000, 5298500, 501700, 5300000)


def onto(crs, pixel, *, shift=(0.0, 0.0), degrees=0.0):
    """A grid in `crs` around the middle of AFTER: its CRS, transform, height, width."""
    left, bottom, right, top = transform_bounds(UTM, crs, *AFTER_BOUNDS)
    transform = Affine.translation(left + shift[0] * pixel, top - shift[1] * pixel) @ Affine.scale(
        pixel, -pixel
    )
    if degrees:
        middle = (right - left) / pixel / 2, (top - bottom) / pixel / 2
        transform = transform @ Affine.rotation(degrees, pivot=middle)
    return crs, transform, int((top - bottom) / pixel), int((right - left) / pixel)


GRIDS = {
    "half a pixel off": onto(UTM, 10, shift=(0.5, 0.5)),
    "coarser": onto(UTM, 27, shift=(-0.3, 0.1)),
    "three times coarser": onto(UTM, 30),
    "finer": onto(UTM, 4, shift=(0.2, 0.7)),
    "rotated": onto(UTM, 13, degrees=20),
    "another zone": onto("EPSG:32633", 10),
    "degrees": onto("EPSG:4326", 1e-4),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("align")
    write_scene(folder / "after.tif", AFTER, tiled=True, blockxsize=64, blockysize=64)
    for name, (crs, transform, height, width) in GRIDS.items():
        write_scene(
            folder / f"{name}.tif", np.ones((2, height, width), np.uint8), crs=crs, transform=transform
        )
    return folder


def aligned(folder, name, resampling="bilinear"):
    options = PairOptions(align=True, resampling=resampling)
    return open_pair(str(folder / f"{name}.tif"), str(folder / "after.tif"), options)


@settings(max_examples=50)
@given(data=st.data())
def test_a_warped_scene_is_the_same_whichever_window_is_read(folder, data):
    pair = aligned(folder, data.draw(st.sampled_from(sorted(GRIDS))), data.draw(st.sampled_from(RESAMPLINGS)))
    whole, whole_valid = read_scene(pair.after, pair.grid.window)
    rows = sorted(data.draw(st.tuples(*[st.integers(0, pair.grid.height)] * 2)))
    cols = sorted(data.draw(st.tuples(*[st.integers(0, pair.grid.width)] * 2)))
    window = Window(rows[0], cols[0], rows[1] - rows[0] + 1, cols[1] - cols[0] + 1)
    close_handles()
    part, part_valid = read_scene(pair.after, window)
    inside = window.intersection(pair.grid.window)
    np.testing.assert_array_equal(
        part[(..., *inside.slices_in(window))], whole[(..., *inside.slices_in(pair.grid.window))]
    )
    np.testing.assert_array_equal(
        part_valid[inside.slices_in(window)], whole_valid[inside.slices_in(pair.grid.window)]
    )


def test_a_window_reads_the_same_after_any_other_windows(folder):
    pair = aligned(folder, "another zone", "cubic")
    fresh = read_scene(pair.after, Window(30, 40, 50, 60))
    for offset in (0, 10, 35, 90):
        read_scene(pair.after, Window(offset, offset, 33, 41))
    again = read_scene(pair.after, Window(30, 40, 50, 60))
    np.testing.assert_array_equal(fresh[0], again[0])


@pytest.mark.parametrize("resampling", RESAMPLINGS)
@pytest.mark.parametrize("name", ["half a pixel off", "three times coarser", "rotated"])
def test_align_does_what_gdal_does_to_the_whole_image(folder, name, resampling):
    crs, transform, height, width = GRIDS[name]
    pair = aligned(folder, name, resampling)
    ratio = {"half a pixel off": 1, "three times coarser": 1 / 3, "rotated": 10 / 13}[name]
    expected = np.full((2, height, width), np.nan, np.float32)
    with rasterio.open(folder / "after.tif") as after:
        reproject(
            rasterio.band(after, [1, 2]),
            expected,
            dst_transform=transform,
            dst_crs=crs,
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling[resampling],
            tolerance=1e-9,
            **({} if resampling == "nearest" else {"XSCALE": ratio, "YSCALE": ratio}),
        )
    values, valid = read_scene(
        pair.after, Window(-pair.before.offset[0], -pair.before.offset[1], height, width)
    )
    seen = np.zeros((height, width), bool)
    inside = pair.grid.window.shifted(*pair.before.offset)
    seen[inside.slices_in(Window(0, 0, height, width))] = True
    np.testing.assert_array_equal(valid & seen, np.isfinite(expected[0]))
    np.testing.assert_allclose(values[:, valid], expected[:, valid], atol=2e-5)


@pytest.mark.parametrize("name", ["half a pixel off", "another zone", "finer"])
def test_align_puts_every_pixel_where_pyproj_says(folder, name):
    """Bilinear, by another projection library's interface and another resampler, to float rounding."""
    crs, transform, height, width = GRIDS[name]
    pair = aligned(folder, name)
    cols, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = pyproj.Transformer.from_crs(crs, UTM, always_xy=True).transform(*(transform @ (cols, rows)))
    at = (5300000 - np.asarray(y)) / 10 - 0.5, (np.asarray(x) - 500000) / 10 - 0.5
    expected = np.stack([map_coordinates(band, at, order=1, mode="nearest") for band in AFTER])
    inner = (at[0] > 0) & (at[0] < 149) & (at[1] > 0) & (at[1] < 169)
    values, valid = read_scene(
        pair.after, Window(-pair.before.offset[0], -pair.before.offset[1], height, width)
    )
    assert valid[inner].all()
    # GDAL widens the kernel by the 0.25 % that pixels of the next zone are smaller or larger.
    tolerance = 0.15 if name == "another zone" else 3e-5
    np.testing.assert_allclose(values[:, inner], expected[:, inner], atol=tolerance)


def test_outside_what_after_covers_nothing_is_valid(folder, tmp_path):
    before = write_scene(
        tmp_path / "before.tif",
        np.ones((2, 100, 100), np.uint8),
        transform=Affine(10, 0, 500000 + 1000.5, 0, -10, 5300000 + 300.5),
    )
    pair = open_pair(before, str(folder / "after.tif"), PairOptions(align=True))
    tile = read_tile(pair, TileWindow(0, 0, pair.grid.window, Window(-40, -40, 180, 180)))
    left, bottom, right, top = pair.grid.bounds
    assert left >= 501000 and top <= 5300001 and right <= 501711 and bottom >= 5298490
    assert tile.valid[40:100, 40:105].all()
    assert not tile.valid[:40].any() and not tile.valid[:, 112:].any()
    assert (tile.after[:, ~tile.after_valid] == 0).all()


HOLE = (slice(60, 80), slice(50, 75))


def scene_with_hole(path, kind):
    """A scene of 100 with a hole of absurd values, marked in one of the ways that files know."""
    dtype = "float32" if kind.startswith("NaN") else "int16"
    array = np.full((2, 150, 170), 100, dtype)
    good = np.ones((150, 170), bool)
    good[HOLE] = False
    array[:, ~good] = -9999
    if kind == "nodata value":
        return write_scene(path, array, nodata=-9999), good
    if kind == "mask band inside":
        return write_scene(path, array, mask=good), good
    if kind == "mask band beside":
        return write_scene(path, array, mask=good, sidecar=True), good
    if kind == "alpha band":
        return write_scene(path, np.concatenate([array, 255 * good[None]]).astype(dtype), alpha=True), good
    if kind == "NaN undeclared":
        array[:, ~good] = np.nan
        return write_scene(path, array), good
    if kind == "NaN declared":
        array[:, ~good] = np.nan
        return write_scene(path, array, nodata=np.nan), good
    if kind == "NaN beside a nodata value":
        array[:, ~good] = np.nan
        return write_scene(path, array, nodata=-9999), good
    if kind == "nodata in one band":
        array[0, ~good] = 100
        return write_scene(path, array, nodata=-9999), good
    raise AssertionError(kind)


KINDS = [
    "nodata value", "mask band inside", "mask band beside", "alpha band", "NaN undeclared", "NaN declared",
    "NaN beside a nodata value", "nodata in one band",
]  # fmt: skip


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_invalid_pixel_leaks_through_a_warp(tmp_path, kind, resampling):
    after, _ = scene_with_hole(tmp_path / "after.tif", kind)
    transform = Affine(10, 0, 500005, 0, -10, 5299995)  # half a pixel off both ways
    before = write_scene(tmp_path / "before.tif", np.ones((2, 149, 169), np.uint8), transform=transform)
    pair = open_pair(before, after, PairOptions(align=True, resampling=resampling))
    assert pair.bands == ("band1", "band2")
    values, valid = read_scene(pair.after, pair.grid.window)
    np.testing.assert_allclose(values[:, valid], 100, atol=1e-4)
    assert not valid[61:79, 51:74].any()
    far = np.ones_like(valid)
    far[56:84, 46:79] = False
    assert valid[far].all()


def test_a_scene_warped_onto_its_own_grid_by_nearest_is_itself(tmp_path):
    array = random_scene(3, bands=2, dtype="uint16")
    same = write_scene(tmp_path / "same.tif", array)
    # Turned by half a turn, so that the grids differ and every pixel centre still meets one.
    turned = write_scene(
        tmp_path / "turned.tif", array[:, ::-1, ::-1], transform=Affine(-10, 0, 500500, 0, 10, 5299600)
    )
    pair = open_pair(same, turned, PairOptions(align=True, resampling="nearest"))
    values, valid = read_scene(pair.after, pair.grid.window)
    assert valid.all()
    np.testing.assert_array_equal(values, array)


def test_only_the_chosen_bands_are_warped(folder, tmp_path):
    pair = open_pair(
        str(folder / "finer.tif"), str(folder / "after.tif"), PairOptions(align=True, bands=(2, 2, 1))
    )
    values, _ = read_scene(pair.after, Window(100, 100, 20, 20))
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])


def test_the_pair_says_that_it_was_warped_and_how(folder):
    note = aligned(folder, "degrees", "cubic").notes[0]
    assert "after.tif is warped onto the grid of" in note
    assert "cubic" in note and "EPSG:4326 and EPSG:32632" in note


def test_align_changes_nothing_where_the_grids_agree(folder):
    pair = open_pair(str(folder / "after.tif"), str(folder / "after.tif"), PairOptions(align=True))
    assert pair.after.warp is None and pair.notes == ()


def test_scenes_that_do_not_meet_cannot_be_aligned(folder, tmp_path):
    far = write_scene(
        tmp_path / "far.tif", np.ones((2, 9, 9)), crs="EPSG:32633", transform=Affine(7, 0, 1e5, 0, -7, 1e6)
    )
    with pytest.raises(NothingToCompare, match="do not overlap"):
        open_pair(far, str(folder / "after.tif"), PairOptions(align=True))


def test_a_scene_at_the_other_end_of_the_world_is_one_clear_sentence(folder, tmp_path):
    world = write_scene(
        tmp_path / "world.tif",
        np.ones((2, 18, 36), np.uint8),
        crs="EPSG:4326",
        transform=Affine(10, 0, -180, 0, -10, 90),
    )
    local = str(folder / "after.tif")
    pair = open_pair(local, world, PairOptions(align=True))
    _, valid = read_scene(pair.after, pair.grid.window)
    assert valid.all()
    mars = CRS.from_proj4("+proj=longlat +R=3396190 +no_defs").to_wkt()
    red = write_scene(
        tmp_path / "mars.tif", np.ones((2, 9, 9)), crs=mars, transform=Affine(1, 0, 5, 0, -1, 50)
    )
    with pytest.raises((GridMismatch, NothingToCompare)):
        open_pair(local, red, PairOptions(align=True))


def test_an_unknown_resampling_names_the_known_ones(folder):
    with pytest.raises(
        InputError, match="`resampling` 'lanczos3' is unknown; choose one of nearest, bilinear"
    ):
        aligned(folder, "finer", "lanczos3")
