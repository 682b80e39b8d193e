"""The overview of the scenes: the same from tiles as from the scenes, and without damage."""

from __future__ import annotations

import numpy as np
import pytest

from rsdetect.checks.scan import Scan
from rsdetect.detectors.cva import CvaDetector
from rsdetect.progress import Silence
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.scoring import scene_overview
from rsdetect.scoring.engine import Context, run_tiles
from rsdetect.scoring.scene_overview import Lattice, collect_overview, in_bands, read_overview
from rsdetect.scoring.store import WorkStore
from rsdetect.tiles import TileWindow, plan_tiles
from support.scenes import random_scene, write_scene


@pytest.fixture
def pair(tmp_path):
    """Four named bands, of which the last three are the colours, with nodata in a corner."""
    scenes = [random_scene(seed, 4, 130, 170) for seed in (1, 2)]
    scenes[1][:, :20, :30] = 0
    names = ("nir", "blue", "green", "red")
    paths = [
        write_scene(tmp_path / f"{i}.tif", scene, names=names, nodata=0) for i, scene in enumerate(scenes)
    ]
    return open_pair(*paths)


@pytest.fixture
def scored(pair, tmp_path, monkeypatch):
    """(pair, lattice of 7 pixels a cell, store, tiles) of a job that stored its overviews."""
    monkeypatch.setattr(scene_overview, "_MOST_CELLS", 25)
    store = WorkStore(tmp_path / "store")
    store.create()
    plan = plan_tiles(pair.grid, 50, 3, 1)
    lattice = Lattice.of(pair)
    context = Context(pair, CvaDetector().fit(Scan(pair)), plan, store, 1, lattice=lattice)
    run_tiles(context, list(plan), Silence(), workers=2)
    return pair, lattice, store, list(plan)


def same(one, other):
    np.testing.assert_allclose(one.means(), other.means(), rtol=1e-5)
    np.testing.assert_array_equal(one.known, other.known)


def test_the_overview_of_tiles_is_that_of_the_scenes(scored):
    pair, lattice, store, tiles = scored
    assert (lattice.cell, lattice.bands) == (7, (3, 2, 1))
    wanted = read_overview(pair, lattice, 2)
    same(collect_overview(pair, lattice, store, tiles, 2), wanted)
    assert not wanted.known[1, 0, 0] and wanted.known[0].all()
    window = pair.grid.window
    before = read_tile(in_bands(pair, lattice.bands), TileWindow(0, 0, window, window)).before
    np.testing.assert_allclose(
        wanted.means()[0, :, 5, 6], before[:, [36, 38, 40]][..., [43, 45, 47]].mean((1, 2))
    )


def test_tiles_whose_overview_is_missing_or_damaged_are_read_again(scored):
    pair, lattice, store, tiles = scored
    paths = [store.overview(tile) for tile in tiles]
    paths[0].unlink()
    content = bytearray(paths[1].read_bytes())
    content[len(content) // 2] ^= 1
    paths[1].write_bytes(content)
    paths[2].write_bytes(b"")
    same(collect_overview(pair, lattice, store, tiles, 2), read_overview(pair, lattice, 2))
