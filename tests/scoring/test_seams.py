"""No seams: whatever the tile size, the result is that of one call on the whole scene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from rsdetect.checks.scan import Scan
from rsdetect.detectors import make_detector
from rsdetect.detectors.base import Scorer
from rsdetect.detectors.cva import CvaDetector
from rsdetect.grid import Window
from rsdetect.percent import to_percent
from rsdetect.scenes.handles import close_handles
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.scoring.core import score_core
from rsdetect.tiles import TileWindow, plan_tiles
from support.memory import memory_scene
from support.scenes import textured_scene
from support.whole_scene import Blur, in_one_call, pairs, put_together, write_pair


@settings(max_examples=25)
@given(kind=pairs, seed=st.integers(0, 9999), tile_size=st.integers(7, 160))
def test_change_vectors_are_exactly_those_of_the_whole_scene(tmp_path_factory, kind, seed, tile_size):
    rng = np.random.default_rng(seed)
    pair = write_pair(tmp_path_factory.mktemp("cva"), rng, **kind)
    scorer = CvaDetector().fit(Scan(pair))
    whole = in_one_call(pair, scorer)
    close_handles()
    np.testing.assert_array_equal(put_together(pair, scorer, tile_size, rng.permutation), whole)
    assert np.isfinite(whole).any()


@settings(max_examples=12)
@given(kind=pairs, seed=st.integers(0, 9999), tile_size=st.integers(7, 160))
def test_a_scorer_that_looks_around_sees_the_same_from_every_tile(tmp_path_factory, kind, seed, tile_size):
    rng = np.random.default_rng(seed)
    pair = write_pair(tmp_path_factory.mktemp("blur"), rng, **kind)
    assert isinstance(Blur(), Scorer)
    np.testing.assert_allclose(
        put_together(pair, Blur(), tile_size, rng.permutation), in_one_call(pair, Blur()), atol=1e-6
    )


@pytest.mark.parametrize(
    ("height", "width", "tile_size", "dtype"), [(150, 90, 64, "uint8"), (101, 131, 72, "uint16")]
)
def test_the_network_scores_every_tile_as_it_scores_the_whole_scene(
    tmp_path, height, width, tile_size, dtype
):
    rng = np.random.default_rng(height)
    pair = write_pair(tmp_path, rng, 3, height, width, dtype, aoi=width == 131, smooth=True)
    scorer = make_detector("siamese").fit(Scan(pair))
    whole, tiled = in_one_call(pair, scorer), put_together(pair, scorer, tile_size)
    np.testing.assert_array_equal(np.isnan(tiled), np.isnan(whole))
    known = np.isfinite(whole)
    np.testing.assert_allclose(tiled[known], whole[known], atol=1e-6)
    assert np.ptp(whole[known]) > 0.01, "a constant network would pass too"
    differs = to_percent(tiled).astype(int) - to_percent(whole)
    assert np.abs(differs).max() <= 1 and (differs != 0).mean() < 1e-3


def test_what_lies_beyond_the_halo_does_not_reach_the_core():
    """The same tile of two scenes that differ only farther away than the halo."""
    before, after = (textured_scene(seed, 3, 260, 260, "uint8") for seed in (1, 2))
    pair = open_pair(memory_scene(before), memory_scene(after))
    scorer = make_detector("siamese").fit(Scan(pair))
    tile = plan_tiles(pair.grid, 64, scorer.halo, scorer.stride).tile(1, 1)
    other = 255 - after
    rows, cols = tile.read.slices_in(Window(0, 0, 260, 260))
    other[:, rows, cols] = after[:, rows, cols]
    elsewhere = open_pair(memory_scene(before), memory_scene(other))
    np.testing.assert_array_equal(score_core(elsewhere, scorer, tile), score_core(pair, scorer, tile))


def test_the_fit_does_not_depend_on_workers_and_the_score_not_on_the_thread(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    pair = write_pair(tmp_path, np.random.default_rng(1), 3, 400, 380, "uint16", align=True)
    scorer = CvaDetector().fit(Scan(pair))
    assert scorer == CvaDetector().fit(Scan(pair, workers=3))
    tiles = list(plan_tiles(pair.grid, 50, 0, 1))
    alone = [score_core(pair, scorer, tile) for tile in tiles]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda tile: score_core(pair, scorer, tile), tiles))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_tile_without_a_valid_pixel_is_not_scored(tmp_path):
    pair = write_pair(tmp_path, np.random.default_rng(2), 1, 40, 40, "uint8")

    class Refuses(Blur):
        def score(self, tile):
            raise AssertionError("there was nothing to score")

    outside = Window(1000, 1000, 20, 20)
    assert np.isnan(score_core(pair, Refuses(), TileWindow(0, 0, outside, outside))).all()


@given(seed=st.integers(0, 999))
def test_percent_is_rounded_and_255_is_kept_for_what_was_not_observed(seed):
    probability = np.random.default_rng(seed).random(100).astype(np.float32)
    probability[::7] = np.nan
    percent = to_percent(probability)
    np.testing.assert_array_equal(percent == 255, np.isnan(probability))
    known = ~np.isnan(probability)
    assert np.abs(percent[known] / 100 - probability[known]).max() <= 0.005 + 1e-6


@pytest.mark.parametrize("backend", ["torch", pytest.param("onnx", marks=pytest.mark.eight_bit)])
def test_where_both_dates_are_the_same_the_network_is_not_asked_whatever_the_tiles(backend, monkeypatch):
    before, after = (textured_scene(seed, 3, 300, 340, "uint8") for seed in (1, 2))
    after[:, 90:, 70:] = before[:, 90:, 70:]
    after[:, 200, 330] += 1  # one pixel in a corner of what is the same
    before[:, 150:160, 200:260] = 0
    scenes = [memory_scene(array, nodata=0) for array in (before, after)]
    pair = open_pair(*scenes)
    scorer = make_detector("siamese", backend=backend).fit(Scan(pair))
    valid = (before != 0).all(axis=0) & (after != 0).all(axis=0)
    near = maximum_filter((before != after).any(axis=0) & valid, 5, mode="constant")
    still = ~near & valid
    assert 0.05 < still.mean() < 0.6
    whole = in_one_call(pair, scorer)
    assert (whole[still] == 0).all() and (whole[near & valid] > 0).all()
    for tile_size in (128, (300, 96)):
        np.testing.assert_allclose(put_together(pair, scorer, tile_size), whole, atol=1e-6)
    around = Window(-64, -64, 432, 472)  # the scene and a halo
    plain = scorer.score(read_tile(pair, TileWindow(0, 0, pair.grid.window, around)))[64:364, 64:404]
    np.testing.assert_allclose(whole[near & valid], plain[near & valid], atol=1e-5)

    def asked(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(type(scorer), "score", asked)
    monkeypatch.setattr(type(scorer), "strip", asked)
    same = open_pair(scenes[0], scenes[0])
    scored = in_one_call(same, scorer)
    assert (scored[np.isfinite(scored)] == 0).all() and (
        np.isfinite(scored) == (before != 0).all(axis=0)
    ).all()


@pytest.mark.parametrize("last", [70, 100, 127])
def test_down_a_wide_strip_all_that_lies_within_the_halo_of_a_difference_is_scored(last, monkeypatch):
    """Of a wide tile the bands are thinner, and what comes out is late by nearly all of one."""
    before, after = (textured_scene(seed, 3, 420, 160, "uint8") for seed in (1, 2))
    after[:, last + 1 : 400] = before[:, last + 1 : 400]
    pair = open_pair(*(memory_scene(array, nodata=0) for array in (before, after)))
    scorer = make_detector("siamese", backend="torch").fit(Scan(pair))
    usual = in_one_call(pair, scorer)
    monkeypatch.setattr("rsdetect.scoring.core._WIDE", 0)
    thin = in_one_call(pair, scorer)
    np.testing.assert_allclose(thin, usual, atol=4e-6)
    assert (thin[last + 1 : last + 3] > 0).all() and (thin[last + 3 : 300] == 0).all()
