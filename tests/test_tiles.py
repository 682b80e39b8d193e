"""The tile plan keeps the tile contract: a partition, one shape of window, aligned to the stride."""

from __future__ import annotations

import pickle

import numpy as np
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.grid import Grid, Window
from rsdetect.tiles import Tile, plan_tiles

plans = st.builds(
    lambda height, width, tile_size, halo, stride, lead: plan_tiles(
        Grid(None, Affine.identity(), height, width), tile_size, halo, stride,
        tuple(min(ahead, edge - 1) for ahead, edge in zip(lead, tile_size, strict=True)),
    ),
    st.integers(1, 150), st.integers(1, 150), st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(0, 40), st.sampled_from([1, 2, 4, 8]), st.tuples(st.integers(0, 60), st.integers(0, 60)),
)  # fmt: skip
windows = st.builds(
    Window, st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 40), st.integers(0, 40)
)


@given(plan=plans)
def test_every_pixel_is_written_by_exactly_one_tile(plan):
    seen = np.zeros(plan.grid.shape, int)
    tiles = list(plan)
    for tile in tiles:
        seen[tile.core.slices_in(plan.grid.window)] += 1
        assert not tile.core.is_empty
    assert (seen == 1).all()
    assert len(tiles) == len(plan)
    assert [(tile.row, tile.col) for tile in tiles] == list(np.ndindex(plan.shape))


@given(
    height=st.integers(1, 150), width=st.integers(1, 150), tile_size=st.integers(1, 90),
    halo=st.integers(0, 40), stride=st.sampled_from([1, 2, 4, 8]),
)  # fmt: skip
def test_every_tile_reads_a_halo_and_starts_on_the_stride_and_has_one_shape(
    height, width, tile_size, halo, stride
):
    plan = plan_tiles(Grid(None, Affine.identity(), height, width), tile_size, halo, stride)
    for tile in plan:
        assert tile.read.row_off % stride == tile.read.col_off % stride == 0
        assert tile.read.shape == tuple(edge + 2 * plan.halo for edge in plan.tile_shape)
        assert tile.read.height % stride == 0
        assert tile.core.row_off - tile.read.row_off >= halo <= tile.read.row_end - tile.core.row_end
        assert tile.core.col_off - tile.read.col_off >= halo <= tile.read.col_end - tile.core.col_end
    assert all(tile_size <= edge < tile_size + stride for edge in plan.tile_shape)


@given(one=windows, other=windows)
def test_the_intersection_of_windows_holds_the_pixels_of_both(one, other):
    def pixels(window):
        return {
            (row, col)
            for row in range(window.row_off, window.row_end)
            for col in range(window.col_off, window.col_end)
        }

    both = one.intersection(other)
    assert pixels(both) == pixels(one) & pixels(other)
    assert both.is_empty == (not pixels(both))


@given(window=windows, rows=st.integers(-9, 9), cols=st.integers(-9, 9))
def test_a_window_of_an_array_is_cut_where_it_lies(window, rows, cols):
    outer = Window(window.row_off - 10, window.col_off - 10, window.height + 20, window.width + 20)
    row, col = np.mgrid[outer.row_off : outer.row_end, outer.col_off : outer.col_end]
    moved = window.shifted(rows, cols)
    assert row[moved.slices_in(outer)].shape == window.shape
    if not window.is_empty:
        assert row[moved.slices_in(outer)][0, 0] == window.row_off + rows
        assert col[moved.slices_in(outer)][0, 0] == window.col_off + cols


@given(plan=plans)
def test_a_core_is_cropped_from_what_was_read(plan):
    for tile in plan:
        rows, _ = np.mgrid[tile.read.row_off : tile.read.row_end, tile.read.col_off : tile.read.col_end]
        nothing = np.zeros((1, *tile.read.shape), np.float32)
        flags = np.ones(tile.read.shape, bool)
        cut = Tile(tile.core, tile.read, nothing, nothing, flags, flags).crop_to_core(rows.astype(np.float32))
        assert cut.shape == tile.core.shape
        assert cut[0, 0] == tile.core.row_off and cut[-1, -1] == tile.core.row_end - 1


@given(plan=plans)
def test_a_plan_travels_to_a_worker_and_comes_out_equal(plan):
    assert pickle.loads(pickle.dumps(plan)) == plan


def test_the_crop_of_a_rotated_grid_keeps_its_pixels_in_place():
    grid = Grid(None, Affine.translation(5, 7) @ Affine.rotation(30) @ Affine.scale(10, -10), 100, 100)
    part = grid.crop(Window(20, 30, 10, 10))
    np.testing.assert_allclose(part.transform @ (1.5, 2.5), grid.transform @ (31.5, 22.5))
    assert part.pixel_area == np.float64(grid.pixel_area)
    np.testing.assert_allclose(grid.pixel_size, (10, 10))
