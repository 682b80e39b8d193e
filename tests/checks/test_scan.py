"""Global looks depend on the pair alone: not on workers, not on order, and not on its size for memory."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

from rsdetect.checks.scan import BLOCK, MOST_BLOCKS, Scan
from rsdetect.grid import Grid
from rsdetect.scenes.pair import Pair, open_pair, read_tile
from rsdetect.scenes.scene import Scene
from rsdetect.stats import Moments
from rsdetect.tiles import TileWindow
from support.memory import memory_scene
from support.scenes import random_scene, textured_scene, write_scene


def large_pair(height, width, aoi=None):
    """A pair of which only the description exists."""
    grid = Grid(None, Affine.identity(), height, width)
    scene = Scene("nowhere.tif", None, grid, (1,), "uint8", None, False)
    return Pair(
        before=scene,
        after=scene,
        grid=grid,
        covered=grid.window,
        bands=("band1",),
        slots=(0,),
        before_date=None,
        after_date=None,
        aoi=shapely.to_wkb(aoi) if aoi else None,
    )


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    paths = []
    for seed in (1, 2):
        array = textured_scene(seed, 2, 700, 600, "uint16")
        array[:, np.random.default_rng(seed).random((700, 600)) < 0.2] = 0
        paths.append(
            write_scene(folder / f"{seed}.tif", array, nodata=0, tiled=True, blockxsize=256, blockysize=256)
        )
    return open_pair(*paths)


def whole(pair):
    return read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))


def test_a_reduction_is_numpys_answer_on_the_whole(pair):
    tile = whole(pair)
    moments = Scan(pair).reduce(lambda block: Moments.of(block.after[:, block.valid]), Moments.merge)
    assert moments.count == tile.valid.sum()
    np.testing.assert_allclose(moments.mean, tile.after[:, tile.valid].mean(axis=1, dtype=np.float64))
    np.testing.assert_allclose(moments.std, tile.after[:, tile.valid].std(axis=1, dtype=np.float64))


@pytest.mark.parametrize("workers", [2, 5])
def test_results_do_not_depend_on_the_number_of_workers(pair, workers):
    def listed(scan):
        return scan.reduce(lambda block: [(block.core, float(block.before.sum()))], list.__add__)

    assert listed(Scan(pair, workers)) == listed(Scan(pair))
    alone, together = Scan(pair).sample_pixels(), Scan(pair, workers).sample_pixels()
    np.testing.assert_array_equal(alone.before, together.before)
    np.testing.assert_array_equal(alone.after, together.after)


def test_a_sample_of_a_small_pair_is_every_valid_pixel(pair):
    tile = whole(pair)
    sample = Scan(pair).sample_pixels()
    for side, scene in ((sample.before, tile.before), (sample.after, tile.after)):
        np.testing.assert_array_equal(np.sort(side), np.sort(scene[:, tile.valid]))
    pairs = {*zip(*tile.before[:, tile.valid], *tile.after[:, tile.valid], strict=True)}
    assert pairs == {*zip(*sample.before, *sample.after, strict=True)}


@pytest.mark.parametrize(
    ("height", "width"), [(30_000, 30_000), (1, 2_000_000), (2_000_000, 300), (4097, 4097), (70_000, 12_000)]
)
def test_of_a_large_pair_a_bounded_number_of_blocks_is_read_from_all_over_it(height, width):
    scan = Scan(large_pair(height, width))
    assert not scan.is_complete
    assert MOST_BLOCKS / 2 < len(scan.blocks) <= MOST_BLOCKS
    assert len(set(scan.blocks)) == len(scan.blocks)
    rows = {block.row_off for block in scan.blocks}
    cols = {block.col_off for block in scan.blocks}
    assert min(rows) == min(cols) == 0
    assert max(rows) + BLOCK >= height and max(cols) + BLOCK >= width
    for block in scan.blocks:
        assert block.intersection(scan.pair.grid.window) == block and not block.is_empty


def test_of_a_large_area_of_interest_only_blocks_inside_it_are_read():
    area = shapely.box(10_000, 10_000, 20_000, 20_000)
    scan = Scan(large_pair(30_000, 30_000, area))
    assert len(scan.blocks) == MOST_BLOCKS
    assert all(scan.pair.intersects_aoi(block) for block in scan.blocks)


def test_a_small_pair_is_scanned_completely():
    scan = Scan(large_pair(4096, 4096))
    assert scan.is_complete and len(scan.blocks) == 256


def test_no_read_of_a_scan_is_larger_than_a_block(pair, monkeypatch):
    sizes = []
    read = rasterio.io.DatasetReader.read

    def counted(dataset, *args, **keywords):
        result = read(dataset, *args, **keywords)
        sizes.append(result.shape[-2] * result.shape[-1])
        return result

    monkeypatch.setattr(rasterio.io.DatasetReader, "read", counted)
    Scan(pair).sample_pixels()
    assert max(sizes) <= BLOCK * BLOCK
    assert len(sizes) == 2 * len(Scan(pair).blocks)


def test_chips_are_reproducible_and_lie_inside(pair):
    chips, again = (list(Scan(pair).sample(5, 64, seed=3)) for _ in range(2))
    for chip, same in zip(chips, again, strict=True):
        assert chip.core == same.core and chip.before.shape == (2, 64, 64)
        np.testing.assert_array_equal(chip.after, same.after)
        assert chip.core.intersection(pair.grid.window) == chip.core
    assert [chip.core for chip in Scan(pair).sample(5, 64, seed=4)] != [chip.core for chip in chips]


def test_a_pair_smaller_than_a_chip_gives_chips_with_an_invalid_rest():
    scene = memory_scene(random_scene(0, 1, 10, 12))
    (chip,) = Scan(open_pair(scene, scene)).sample(1, 16, seed=0)
    assert chip.valid.sum() == 120
