"""Two scenes are compared on one grid, or not at all: the sentence names what differs and what to do."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint

from rsdetect.errors import GridMismatch, NothingToCompare, SceneError
from rsdetect.grid import Grid, Window
from rsdetect.scenes.alignment import offset_between
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.tiles import TileWindow
from support.scenes import TEN_METRES, random_scene, write_plain, write_scene

SOUTH_UP = Affine(10, 0, 500000, 0, 10, 5299600)
ROTATED = Affine.translation(500000, 5300000) @ Affine.rotation(30) @ Affine.scale(10, -10)


@pytest.fixture
def scene(tmp_path):
    count = iter(range(100))

    def write(array=None, **profile):
        return write_scene(
            tmp_path / f"scene {next(count)}.tif", random_scene(0) if array is None else array, **profile
        )

    return write


def read_whole(pair):
    return read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))


def test_equal_grids_are_compared_without_a_word(scene):
    pair = open_pair(scene(), scene())
    assert pair.notes == ()
    assert pair.grid.shape == (40, 50)
    assert pair.grid.transform == TEN_METRES
    assert read_whole(pair).valid.all()


@pytest.mark.parametrize(
    "transform", [TEN_METRES, SOUTH_UP, ROTATED], ids=["north-up", "south-up", "rotated"]
)
def test_scenes_of_different_extent_are_compared_where_both_are_with_a_warning(scene, transform):
    world = random_scene(1, height=90, width=90)
    before = scene(world[:, 10:50, 20:70], transform=transform @ Affine.translation(20, 10))
    after = scene(world[:, 5:40, 30:90], transform=transform @ Affine.translation(30, 5))
    pair = open_pair(before, after)
    assert pair.grid.shape == (30, 40)
    assert pair.grid.transform.almost_equals(transform @ Affine.translation(30, 10), 1e-6)
    assert pair.notes == (
        "the scenes differ in extent (50 x 40 and 60 x 35 pixels); the 40 x 30 pixels that both cover are "
        "compared.",
    )
    tile = read_whole(pair)
    assert tile.valid.all()
    np.testing.assert_array_equal(tile.before, world[:, 10:40, 30:70])
    np.testing.assert_array_equal(tile.after, world[:, 10:40, 30:70])


@given(
    rows=st.integers(-60, 60), cols=st.integers(-60, 60), window=st.tuples(*[st.integers(-20, 60)] * 2),
    size=st.tuples(*[st.integers(1, 40)] * 2),
)  # fmt: skip
def test_any_window_holds_what_lies_there_on_both_dates(tmp_path_factory, rows, cols, window, size):
    folder = tmp_path_factory.mktemp("windows")
    world = random_scene(1, bands=1, height=180, width=180, dtype="uint16")
    before = write_scene(folder / "a.tif", world[:, 60:110, 60:100])
    after = write_scene(
        folder / "b.tif",
        world[:, 60 + rows : 105 + rows, 60 + cols : 103 + cols],
        transform=TEN_METRES @ Affine.translation(cols, rows),
    )
    if not (-45 < rows < 50 and -43 < cols < 40):
        with pytest.raises(NothingToCompare, match="do not overlap"):
            open_pair(before, after)
        return
    pair = open_pair(before, after)
    read = Window(*window, *size)
    tile = read_tile(pair, TileWindow(0, 0, read, read))
    top, left = 60 + max(rows, 0), 60 + max(cols, 0)
    bottom, right = min(110, 105 + rows), min(100, 103 + cols)
    assert pair.grid.shape == (bottom - top, right - left)
    expected = np.zeros((220, 220), np.float32)  # the world, 0 where the pair does not reach
    expected[top + 20 : bottom + 20, left + 20 : right + 20] = world[0, top:bottom, left:right]
    row, col = top + 20 + window[0], left + 20 + window[1]
    expected = expected[row : row + size[0], col : col + size[1]]
    np.testing.assert_array_equal(tile.valid, expected != 0)
    np.testing.assert_array_equal(np.where(tile.valid, tile.before[0], 0), expected)
    np.testing.assert_array_equal(np.where(tile.valid, tile.after[0], 0), expected)


def test_half_a_pixel_off_names_both_grids_and_the_option_that_fixes_it(scene):
    before, after = scene(), scene(transform=Affine(10, 0, 500005, 0, -10, 5300000))
    with pytest.raises(GridMismatch) as refusal:
        open_pair(before, after)
    assert str(refusal.value) == (
        f"{before} and {after} lie on different grids: 10 m pixels from (500000, 5300000) and from "
        f"(500005, 5300000), +0.50 columns and +0.00 rows off. Add `align=True` to warp {after} onto the "
        f"grid of {before}."
    )
    assert open_pair(before, after, PairOptions(align=True)).after.warp == "bilinear"


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"crs": "EPSG:32633"}, "EPSG:32632 and EPSG:32633"),
        ({"transform": Affine(20, 0, 500000, 0, -20, 5300000)}, "pixels of 10 m and of 20 m"),
        ({"transform": Affine(10, 0, 500000, 0, -20, 5300000)}, "pixels of 10 m and of 10 x 20 m"),
        ({"transform": SOUTH_UP}, "rows and columns that run in different directions"),
        ({"transform": ROTATED}, "rows and columns that run in different directions"),
    ],
)
def test_a_mismatch_names_what_differs(scene, profile, words):
    with pytest.raises(GridMismatch, match=words) as refusal:
        open_pair(scene(), scene(**profile))
    assert "Add `align=True`" in str(refusal.value)


def test_north_up_and_south_up_are_compared_with_align(scene):
    array = random_scene(2)
    pair = open_pair(
        scene(array), scene(array[:, ::-1], transform=SOUTH_UP), PairOptions(align=True, resampling="nearest")
    )
    tile = read_whole(pair)
    assert tile.valid.all()
    np.testing.assert_array_equal(tile.before, tile.after)


def test_a_rotated_scene_is_compared_with_a_north_up_one_with_align(scene):
    pair = open_pair(scene(), scene(transform=ROTATED), PairOptions(align=True))
    assert 0 < read_whole(pair).valid.mean() < 1


@pytest.mark.parametrize("noise", [1e-7, -1e-7, 3e-9])
def test_noise_in_the_last_digits_of_a_transform_is_no_mismatch(scene, noise):
    after = scene(transform=Affine(10 + noise, 0, 500000 - noise, noise, -10 + noise, 5300000 + noise))
    assert open_pair(scene(), after).grid.transform == TEN_METRES


def test_a_scale_that_drifts_apart_over_the_scene_is_a_mismatch():
    one = Grid(None, Affine(10, 0, 0, 0, -10, 0), 10, 10_000)
    assert offset_between(one, Grid(None, Affine(10.00001, 0, 0, 0, -10, 0), 10, 10_000)) == (0, 0)
    assert offset_between(one, Grid(None, Affine(10.001, 0, 0, 0, -10, 0), 10, 10_000)) is None


@pytest.mark.parametrize("first_has_it", [True, False])
def test_a_crs_on_one_scene_only_is_refused(scene, first_has_it):
    known, unknown = scene(), scene(crs=None)
    pair = (known, unknown) if first_has_it else (unknown, known)
    with pytest.raises(GridMismatch) as refusal:
        open_pair(*pair, PairOptions(align=True))
    assert str(refusal.value).startswith(f"{known} is in EPSG:32632 and {unknown} names no CRS")


@pytest.mark.parametrize("first_has_it", [True, False])
def test_a_georeference_on_one_scene_only_is_refused(scene, tmp_path, first_has_it):
    known, unknown = scene(), write_plain(tmp_path / "plain.png", random_scene(0))
    pair = (known, unknown) if first_has_it else (unknown, known)
    with pytest.raises(GridMismatch, match=r"is georeferenced and .* is not") as refusal:
        open_pair(*pair)
    assert unknown in str(refusal.value)


def test_two_scenes_without_georeference_are_one_plain_pixel_grid_with_a_warning(tmp_path):
    before = write_plain(tmp_path / "before.png", random_scene(0))
    after = write_plain(tmp_path / "after.png", random_scene(1))
    pair = open_pair(before, after)
    assert pair.grid.crs is None and not pair.has_georeference
    assert pair.grid.pixel_area == 1
    assert pair.notes == (
        f"{before} and {after} have no georeference: they are taken as one plain pixel grid, and areas are "
        "given in pixels.",
    )


def test_plain_pictures_of_different_size_are_compared_from_their_upper_left_corner(tmp_path):
    world = random_scene(0, height=60, width=60)
    before = write_plain(tmp_path / "before.png", world[:, :30, :50])
    after = write_plain(tmp_path / "after.png", world[:, :45, :40])
    pair = open_pair(before, after)
    assert pair.grid.shape == (30, 40)
    tile = read_whole(pair)
    np.testing.assert_array_equal(tile.before, tile.after)
    assert any("differ in extent" in note for note in pair.notes)


def test_scenes_placed_without_a_crs_say_that_areas_are_in_pixels(scene):
    pair = open_pair(scene(crs=None), scene(crs=None))
    assert pair.grid.transform == TEN_METRES
    assert any("name no CRS" in note and "in pixels" in note for note in pair.notes)


def test_scenes_placed_without_a_crs_cannot_be_aligned_and_the_error_names_it(scene):
    with pytest.raises(GridMismatch, match="Without a CRS they cannot be aligned"):
        open_pair(
            scene(crs=None),
            scene(crs=None, transform=Affine(20, 0, 0, 0, -20, 0)),
            PairOptions(align=True),
        )


def test_disjoint_scenes_are_refused_with_both_extents(scene):
    before, after = scene(), scene(transform=Affine(10, 0, 600000, 0, -10, 5300000))
    with pytest.raises(NothingToCompare) as refusal:
        open_pair(before, after)
    assert str(refusal.value) == (
        f"{before} and {after} do not overlap: x 500000 to 500500, y 5299600 to 5300000 (EPSG:32632) and "
        "x 600000 to 600500, y 5299600 to 5300000 (EPSG:32632)."
    )


def test_scenes_that_only_touch_do_not_overlap(scene):
    with pytest.raises(NothingToCompare):
        open_pair(scene(), scene(transform=Affine(10, 0, 500500, 0, -10, 5300000)))


def test_one_crs_written_in_two_ways_is_one_crs(scene):
    spelled = rasterio.crs.CRS.from_epsg(32632).to_wkt(version="WKT2_2019")
    assert open_pair(scene(), scene(crs=spelled)).notes == ()


def test_a_scene_placed_by_ground_control_points_is_refused(tmp_path):
    path = tmp_path / "swath.tif"
    points = [GroundControlPoint(r, c, 9 + c / 100, 48 - r / 100) for r in (0, 40) for c in (0, 50)]
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=40, width=50, dtype="uint8", gcps=points, crs="EPSG:4326"
    ) as dataset:
        dataset.write(random_scene(0, bands=1))
    with pytest.raises(SceneError, match="ground control points"):
        open_pair(str(path), str(path))


def test_opening_a_pair_reads_no_pixels(scene, monkeypatch):
    before, after = scene(), scene()

    def refuse(*_args, **_keywords):
        raise AssertionError("pixels were read")

    monkeypatch.setattr(rasterio.io.DatasetReader, "read", refuse)
    assert open_pair(before, after).bands
