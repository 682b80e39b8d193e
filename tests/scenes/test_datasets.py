"""Open rasterio datasets as scenes."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from rsdetect.errors import InputError, SceneError
from rsdetect.grid import Window
from rsdetect.scenes.datasets import DatasetSource
from rsdetect.scenes.header import read_header
from rsdetect.scenes.opening import open_source
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.tiles import TileWindow
from support.scenes import random_scene, write_scene

ARRAY = random_scene(1, 4, 40, 50)


@pytest.fixture
def path(tmp_path):
    mask = np.ones((40, 50), dtype=bool)
    mask[3:7, 2:9] = False
    return write_scene(tmp_path / "a.tif", ARRAY, mask=mask, names=("red", "green", "blue", "nir"))


def assert_like_the_file(path, dataset):
    pair = open_pair(path, dataset)
    for window in (Window(0, 0, 40, 50), Window(-3, 30, 20, 40)):
        tile = read_tile(pair, TileWindow(0, 0, window, window))
        np.testing.assert_array_equal(tile.before, tile.after)
        np.testing.assert_array_equal(tile.before_valid, tile.after_valid)
        assert not tile.before_valid.all()


def test_a_dataset_of_a_file_is_the_file(path):
    with rasterio.open(path) as dataset:
        assert open_source(dataset) == path
        pair = open_pair(dataset, dataset)
    assert pair == open_pair(path, path), "and may be closed afterwards"
    assert pickle.loads(pickle.dumps(pair)) == pair


def test_a_dataset_in_memory_is_read_like_its_file(path):
    with MemoryFile(Path(path).read_bytes()) as memory, memory.open() as dataset:
        assert_like_the_file(path, dataset)


def test_a_warped_dataset_is_read_like_what_it_shows(tmp_path):
    array = ARRAY.copy()
    array[:, 3:7, 2:9] = 0
    path = write_scene(tmp_path / "a.tif", array, nodata=0)
    with rasterio.open(path) as dataset, WarpedVRT(dataset) as warped:
        source = open_source(warped, "after")
        assert isinstance(source, DatasetSource)
        assert source.header().grid == read_header(path).grid
        assert_like_the_file(path, warped)


def test_open_options_are_kept(path):
    """The path alone would give the scene at its full size."""
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2])
    with rasterio.open(path, OVERVIEW_LEVEL=0) as small:
        assert open_source(small).header().grid.shape == (20, 25)


def test_threads_share_a_dataset_one_at_a_time(path):
    with MemoryFile(Path(path).read_bytes()) as memory, memory.open() as dataset:
        source = open_source(dataset)

        def read(row):
            return source.read(Window(row, 0, 1, 50), (1, 2, 3, 4))[0]

        with ThreadPoolExecutor(4) as pool:
            rows = list(pool.map(read, list(range(40)) * 5))
        np.testing.assert_array_equal(np.concatenate(rows[:40], axis=1), ARRAY)


def test_the_token_changes_with_one_pixel_and_with_the_file_behind_a_view(path, tmp_path):
    tokens = set()
    for change in (0, 1):
        array = ARRAY.copy()
        array[3, 39, 49] += change
        other = write_scene(tmp_path / "b.tif", array)
        with MemoryFile(Path(other).read_bytes()) as memory, memory.open() as dataset:
            tokens |= {open_source(dataset).token(), open_source(dataset).token()}
        with rasterio.open(other) as dataset, WarpedVRT(dataset) as warped:
            tokens |= {open_source(warped).token(), open_source(warped).token()}
    assert len(tokens) == 4


def test_what_cannot_be_read_is_refused_with_a_suggestion(path):
    with rasterio.open(path) as dataset:
        pass
    with pytest.raises(SceneError, match=r"a.tif is closed; give its path"):
        open_source(dataset)
    with rasterio.open(path, "r+") as dataset, pytest.raises(SceneError, match=r"open for writing; close it"):
        open_source(dataset)
    with rasterio.open(path) as dataset, WarpedVRT(dataset) as warped:
        source = open_source(warped, "after")
    with pytest.raises(InputError, match=r"^after \(dataset .*give its path"):
        pickle.dumps(source)
