"""Handles that stay open must not carry a GDAL environment from one job into the next."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import rasterio
from rasterio.env import getenv, hasenv

from rsdetect.scenes.handles import close_handles
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.tiles import TileWindow
from support.scenes import random_scene, write_scene


def test_a_handle_from_before_a_job_may_be_closed_within_it(tmp_path):
    paths = [write_scene(tmp_path / f"{seed}.tif", random_scene(seed)) for seed in (1, 2)]
    mask = write_scene(tmp_path / "mask.tif", np.zeros((40, 50), np.uint8))
    pair = open_pair(*paths, PairOptions(masks=(mask,)))

    def job():
        read_tile(pair, TileWindow(0, 0, pair.grid.window, pair.grid.window))
        assert not hasenv()
        with rasterio.Env(GDAL_CACHEMAX=1_000_000):
            close_handles()
            assert getenv()["GDAL_CACHEMAX"] == 1_000_000

    with ThreadPoolExecutor(1) as fresh:  # another test may have left an environment in this thread
        fresh.submit(job).result()
