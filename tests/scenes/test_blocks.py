"""Blocks are decoded once for all who need them, and what is read is what the file holds."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rsdetect.scenes.scene
from rsdetect.checks.scan import Scan
from rsdetect.detectors import make_detector
from rsdetect.detectors.cva import CvaDetector
from rsdetect.grid import Window
from rsdetect.memory import MIB, MemoryBudget
from rsdetect.progress import Silence
from rsdetect.scenes.blocks import Pixels, SharedBlocks
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.scenes.scene import sharing_blocks
from rsdetect.scoring.engine import Context, run_tiles
from rsdetect.scoring.planning import plan_for
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import TileWindow, plan_tiles
from support.scenes import random_scene, write_scene

places = st.builds(Window, st.integers(0, 500), st.integers(0, 700), st.integers(1, 400), st.integers(1, 400))


@settings(max_examples=40)
@given(
    windows=st.lists(places, min_size=1, max_size=8),
    block=st.sampled_from([(1, 640), (7, 640), (64, 64), (512, 512), (300, 200), (1000, 1000)]),
    enough=st.booleans(),
    seed=st.integers(0, 99),
)
def test_windows_in_any_order_read_what_the_raster_holds(windows, block, enough, seed):
    raster = np.random.default_rng(seed).integers(0, 9, (2, 540, 640))
    extent = Window(0, 0, 540, 640)

    def decode(window):
        rows, cols = window.slices_in(extent)
        return Pixels(raster[:, rows, cols], raster[0, rows, cols] > 4)

    shared = SharedBlocks(extent, block, windows, decode, 2**40 if enough else 0)
    for window in windows:
        inside = window.intersection(extent)
        found = np.full((2, *window.shape), -1)
        usable = np.zeros(window.shape, bool)
        for part, pixels in shared.read(window):
            rows, cols = part.slices_in(window)
            found[:, rows, cols], usable[rows, cols] = pixels.values, pixels.usable
        if inside.is_empty:
            continue
        rows, cols = inside.slices_in(window)
        wanted = raster[(slice(None), *inside.slices_in(extent))]
        np.testing.assert_array_equal(found[:, rows, cols], wanted)
        np.testing.assert_array_equal(usable[rows, cols], wanted[0] > 4)
    if enough:
        assert shared.decoded_again == 0
        assert shared.kept_bytes == 0, "no pending window requires anything"


@pytest.fixture
def pair(tmp_path):
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    paths = [
        write_scene(tmp_path / f"{i}.tif", random_scene(i, 3, 1100, 1500, "uint8"), nodata=0, **blocks)
        for i in range(2)
    ]
    return open_pair(*paths)


@pytest.mark.parametrize("detector", ["cva", "siamese"])
def test_a_job_decodes_every_block_of_its_scenes_once(pair, tmp_path, monkeypatch, detector):
    backend = {} if detector == "cva" else {"backend": "torch"}
    scorer = make_detector(detector, **backend).fit(Scan(pair))
    memory = MemoryBudget.of(640 * MIB, workers=3)
    store = WorkStore(tmp_path / "work")
    store.create()
    seen = []
    genuine = rsdetect.scenes.scene._decode

    def counting(scene, window):
        seen.append((scene.path, window))
        return genuine(scene, window)

    monkeypatch.setattr(rsdetect.scenes.scene, "_decode", counting)
    plan = plan_for(pair, scorer, memory, workers=3)
    assert len(plan) > 4
    context = Context(pair, scorer, plan, store, 1, memory)
    told = run_tiles(context, list(plan), Silence(), workers=3)
    assert told == {"blocks": len(seen), "decoded_again": 0}
    assert len(seen) == len(set(seen)) == 2 * 5 * 6
    covered = np.zeros((1100, 1500), int)
    for path, window in seen:
        if path == pair.before.path:
            covered[window.slices_in(pair.grid.window)] += 1
    assert (covered == 1).all()


def test_without_memory_to_share_the_pixels_are_the_same(pair):
    plan = plan_tiles(pair.grid, 300, 20, 1)
    alone = [read_tile(pair, tile) for tile in plan]
    windows = {scene: [tile.read for tile in plan] for scene in (pair.before, pair.after)}
    for most_bytes in (0, 2**20, 2**40):
        with (
            sharing_blocks(windows, most_bytes) as shared,
            ThreadPoolExecutor(3) as pool,
        ):
            together = list(pool.map(lambda tile: read_tile(pair, tile), plan))
        assert len(shared) == (2 if most_bytes else 0)
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one.before, other.before)
            np.testing.assert_array_equal(one.after, other.after)
            np.testing.assert_array_equal(one.valid, other.valid)


def test_a_file_that_is_both_dates_is_decoded_once(tmp_path):
    path = write_scene(tmp_path / "one.tif", random_scene(0, 1, 600, 600, "uint8"))
    pair = open_pair(path, path)
    window = pair.grid.window
    with sharing_blocks({pair.before: [window, window]}, 2**30) as shared:
        read_tile(pair, TileWindow(0, 0, window, window))
    assert [blocks.decoded_again for blocks in shared] == [0]


def test_the_scan_reads_once_what_check_and_fit_ask_for(pair, monkeypatch):
    scan = Scan(pair, workers=2)
    scan.reduce(lambda tile: 1, lambda one, other: one + other)

    def never(*_):
        raise AssertionError("read again")

    monkeypatch.setattr("rsdetect.checks.scan.read_tile", never)
    taken = scan.sample_pixels()
    monkeypatch.undo()
    wanted = Scan(pair).sample_pixels()
    np.testing.assert_array_equal(taken.before, wanted.before)
    np.testing.assert_array_equal(taken.after, wanted.after)
    assert CvaDetector().fit(scan) == CvaDetector().fit(Scan(pair))
