"""Random pairs, and what one call on the whole scene gives: the oracle of every tiling."""

from __future__ import annotations

import geopandas
import numpy as np
import shapely
from hypothesis import strategies as st

from rsdetect.detectors.base import Scorer
from rsdetect.scenes.pair import PairOptions, open_pair
from rsdetect.scoring.core import score_core
from rsdetect.tiles import plan_tiles
from support.scenes import TEN_METRES, random_scene, textured_scene, write_scene

DTYPES = ("uint8", "uint16", "int16", "float32")


def write_pair(folder, rng, bands, height, width, dtype, *, aoi=False, align=False, smooth=False):
    """A pair with nodata holes, after offset against before, perhaps an area of interest, perhaps warped."""
    paths = []
    for date, (rows, cols) in (("before", (0, 0)), ("after", (3, -2))):
        if smooth:
            array = textured_scene(int(rng.integers(1e6)), bands, height, width, dtype)
        else:
            array = random_scene(rng, bands, height, width, dtype)
        hole = rng.random((height, width)) < 0.05
        hole[: int(rng.integers(1, 9)), : int(rng.integers(1, 30))] = True
        array[:, hole] = 0
        shift = 0.37 if align and date == "after" else 0
        transform = TEN_METRES @ TEN_METRES.translation(cols + shift, rows - shift)
        blocks = {"tiled": True, "blockxsize": 32, "blockysize": 16} if rng.random() < 0.5 else {}
        paths.append(write_scene(folder / f"{date}.tif", array, nodata=0, transform=transform, **blocks))
    area = None
    if aoi:
        outline = shapely.Polygon([(2, 3), (width * 0.9, 7), (width * 0.6, height - 1), (5, height * 0.7)])
        ground = shapely.transform(outline, lambda xy: xy * (10, -10) + (500000, 5300000))
        area = str(folder / "aoi.gpkg")
        geopandas.GeoDataFrame(geometry=[ground], crs=32632).to_file(area)
    return open_pair(*paths, PairOptions(aoi=area, align=align))


def put_together(pair, scorer, tile_size, order=None):
    """The scores of all tiles, laid where they belong."""
    plan = plan_tiles(pair.grid, tile_size, scorer.halo, scorer.stride)
    mosaic = np.full(pair.grid.shape, np.nan, np.float32)
    tiles = list(plan)
    for i in order(len(tiles)) if order else range(len(tiles)):
        if pair.intersects_aoi(tiles[i].core):
            core = score_core(pair, scorer, tiles[i])
            assert core.dtype == np.float32 and core.shape == tiles[i].core.shape
            mosaic[tiles[i].core.slices_in(pair.grid.window)] = core
    return mosaic


def in_one_call(pair, scorer):
    """One tile that holds the whole scene."""
    return put_together(pair, scorer, max(pair.grid.shape))


class Blur(Scorer):
    """A scorer with a reach of 5 pixels and a stride of 4, whose right answer NumPy knows."""

    name = "blur"
    halo, stride = 5, 4

    def score(self, tile):
        moved = np.abs(tile.after - tile.before).sum(axis=0) * tile.valid
        height, width = moved.shape
        rows = np.pad(moved.astype(np.float64), 5)
        rows = sum(rows[row : row + height] for row in range(11))
        total = sum(rows[:, col : col + width] for col in range(11))
        return (total / (1 + total)).astype(np.float32)


pairs = st.fixed_dictionaries(
    {
        "bands": st.integers(1, 4),
        "height": st.integers(20, 120),
        "width": st.integers(40, 120),
        "dtype": st.sampled_from(DTYPES),
        "aoi": st.booleans(),
        "align": st.booleans(),
    }
)
