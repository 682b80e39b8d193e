"""Displaced reading: the same pixels for every window, against SciPy and NumPy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rsdetect.grid import Window
from rsdetect.scenes.displacement import Displacement
from rsdetect.scenes.pair import open_pair
from rsdetect.scenes.scene import read_scene, sharing_blocks
from support.memory import memory_scene
from support.scenes import write_scene

ROWS, COLS = np.mgrid[:90, :110].astype(np.float64)
FIELD = Displacement(
    (40.0, 50.0),
    ((0.2, 1.7, -2.4), (3.1, 0.4, 0.0), (-1.2, 2.0, 0.6)),
    ((-0.6, 0.9, 4.2), (0.0, 0.0, -3.3), (1.5, -1.5, 0.5)),
)


def scene_of(array, **about):
    return open_pair(memory_scene(array), memory_scene(array, **about)).after


def smooth(rows, cols):
    return np.sin(rows / 9) * np.cos(cols / 11) * 50 + 100


@pytest.mark.parametrize("field", [FIELD, Displacement.constant(0.3, -7.6), Displacement.constant(40, -3)])
def test_content_that_moved_by_the_displacement_is_read_where_it_was(field):
    scene = scene_of(smooth(ROWS, COLS)[None].astype(np.float32))
    window = Window(0, 0, 90, 110)
    values, valid = read_scene(replace(scene, displacement=field), window)
    rows, cols = field.at(window)
    expected = smooth(ROWS + rows, COLS + cols)
    inside = valid.copy()
    inside[:3], inside[-3:], inside[:, :3], inside[:, -3:] = False, False, False, False
    assert inside.mean() > 0.4
    assert np.abs(values[0] - expected)[inside].max() < 0.3
    assert not values[0][~valid].any()


@pytest.mark.parametrize("size", [7, 32, 64])
def test_every_window_gives_the_same_bits(size):
    rng = np.random.default_rng(0)
    array = rng.normal(size=(2, 90, 110)).astype(np.float32) + 10
    array[:, 30:34, 50:58], array[:, rng.random((90, 110)) < 0.02] = -9, -9
    scene = replace(scene_of(array, nodata=-9), displacement=FIELD)
    whole, valid = read_scene(scene, Window(-5, -5, 100, 120))
    for window in Window(-5, -5, 100, 120).blocks(size):
        here = window.slices_in(Window(-5, -5, 100, 120))
        values, usable = read_scene(scene, window)
        np.testing.assert_array_equal(values, whole[:, here[0], here[1]])
        np.testing.assert_array_equal(usable, valid[here])


def test_invalid_pixels_move_along_and_leak_into_no_value():
    array = np.full((1, 60, 60), 5, np.float32)
    array[:, 20:30, 20:30] = -1e6
    scene = replace(scene_of(array, nodata=-1e6), displacement=Displacement.constant(3, -2.4))
    values, valid = read_scene(scene, Window(0, 0, 60, 60))
    expected = np.ones((60, 60), bool)
    expected[17:27, 22:32] = expected[57:] = expected[:, :2] = False
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_allclose(values[0][valid], 5, rtol=1e-6)


def test_shared_blocks_give_the_same_and_decode_no_block_again(tmp_path):
    array = np.random.default_rng(1).normal(size=(1, 300, 300)).astype(np.float32)
    path = write_scene(tmp_path / "a.tif", array, tiled=True, blockxsize=64, blockysize=64)
    scene = replace(open_pair(path, path).after, displacement=Displacement.constant(9.4, -11.7))
    windows = list(Window(0, 0, 300, 300).blocks(100))
    alone = [read_scene(scene, window)[0] for window in windows]
    with sharing_blocks({scene: windows}, 2**24) as shared:
        together = [read_scene(scene, window)[0] for window in windows]
        assert [blocks.decoded_again for blocks in shared] == [0]
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
