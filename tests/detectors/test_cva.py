"""Change vector analysis: any bands, an automatic threshold, and no change where nothing moved."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.filters import threshold_otsu

from rsdetect.checks.scan import Scan
from rsdetect.detectors.cva import CvaDetector, CvaScorer
from rsdetect.detectors.direction import Direction
from rsdetect.errors import NothingToCompare
from rsdetect.percent import to_percent
from rsdetect.scenes.pair import open_pair
from rsdetect.scoring.core import score_core
from rsdetect.stats import robust_scale
from rsdetect.tiles import plan_tiles
from support.memory import memory_scene
from support.odd_scenes import ODD
from support.scenes import random_scene, textured_scene


def detected(before, after):
    """Scorer and probability, NaN where not valid on both dates."""
    pair = open_pair(memory_scene(before), memory_scene(after))
    scorer = CvaDetector().fit(Scan(pair))
    (tile,) = plan_tiles(pair.grid, max(pair.grid.shape), scorer.halo, scorer.stride)
    return scorer, score_core(pair, scorer, tile)


def changed_pair(seed=0, bands=3):
    """A pair with noise, and a square in which every band moved far."""
    rng = np.random.default_rng(seed)
    before = textured_scene(seed, bands, 120, 130, "float32")
    after = before + rng.normal(0, 1.5, before.shape)
    after[:, 30:60, 40:80] += np.array([90, -80, 70] * bands)[:bands, None, None]
    truth = np.zeros((120, 130), bool)
    truth[30:60, 40:80] = True
    return before, after.astype(np.float32), truth


@pytest.mark.parametrize("bands", [1, 2, 3, 6])
def test_a_planted_change_is_found_and_nothing_else(bands):
    before, after, truth = changed_pair(bands=bands)
    _, probability = detected(before, after)
    found = probability >= 0.5
    assert found[truth].mean() > 0.97 and found[~truth].mean() < 0.03


@pytest.mark.parametrize(("gain", "offset"), [(3.0, -200.0), (0.01, 5.0), (40.0, 1000.0)])
def test_a_change_of_gain_and_offset_is_no_change(gain, offset):
    before, after, _ = changed_pair()
    scorer, plain = detected(before, after)
    other, scaled = detected(before, (after * gain + offset).astype(np.float32))
    np.testing.assert_allclose(scaled, plain, atol=2e-3)
    assert other.midpoint == pytest.approx(scorer.midpoint, rel=0.01)


def test_length_and_midpoint_are_those_of_the_textbook():
    before, after, _ = changed_pair()
    scorer, probability = detected(before, after)
    standard = []
    for scene in (before, after):
        centre, scale = robust_scale(scene.reshape(3, -1))
        standard.append((scene - np.reshape(centre, (3, 1, 1))) / np.reshape(scale, (3, 1, 1)))
    length = np.sqrt(((standard[1] - standard[0]) ** 2).sum(axis=0))
    assert scorer.midpoint == pytest.approx(threshold_otsu(length, nbins=4096), rel=0.02)
    np.testing.assert_allclose(probability, 1 / (1 + (scorer.midpoint / length) ** scorer.slope), atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_identical_dates_show_no_change_anywhere(dtype):
    array = random_scene(0, 3, 60, 70, dtype)
    _, probability = detected(array, array)
    assert probability.max() < 0.01 and (to_percent(probability) == 0).all()


@pytest.mark.parametrize("name", ODD)
def test_odd_scenes_against_themselves_show_no_change_and_do_not_fail(name):
    scorer, probability = detected(ODD[name], ODD[name])
    known = probability[np.isfinite(probability)]
    assert known.size and (to_percent(known) == 0).all()
    json.dumps(scorer.provenance(), allow_nan=False)


@pytest.mark.parametrize("one", sorted(set(ODD) - {"one pixel", "one row"}))
@pytest.mark.parametrize("other", ["one constant band", "extreme values", "wide integers"])
def test_odd_scenes_against_others_give_probabilities_everywhere(one, other):
    scorer, probability = detected(ODD[one], ODD[other])
    known = probability[np.isfinite(probability)]
    assert known.size and known.min() >= 0 and known.max() <= 1
    json.dumps(scorer.provenance(), allow_nan=False)


def test_scenes_of_nothing_but_nan_are_refused():
    nothing = np.full((2, 9, 9), np.nan, np.float32)
    with pytest.raises(NothingToCompare, match="is valid on both dates"):
        detected(nothing, nothing)


def test_a_clear_but_rare_change_is_not_lost():
    before, after, _ = changed_pair()
    after = before + (after - before) * 0 + np.random.default_rng(0).normal(0, 1.5, before.shape)
    after[:, 50:53, 50:53] += 100
    _, probability = detected(before, after.astype(np.float32))
    assert (probability[50:53, 50:53] > 0.5).all()


@given(
    seed=st.integers(0, 99), slope=st.floats(1, 20), midpoint=st.floats(0.01, 32),
)  # fmt: skip
def test_probability_rises_with_the_length_and_is_one_half_at_the_midpoint(seed, slope, midpoint):
    from rsdetect.grid import Window
    from rsdetect.tiles import Tile

    lengths = np.sort(np.random.default_rng(seed).uniform(0, 64, 50)).astype(np.float32)
    lengths[25] = midpoint
    lengths.sort()
    window = Window(0, 0, 1, 50)
    flags = np.ones((1, 50), bool)
    tile = Tile(window, window, np.zeros((1, 1, 50), np.float32), lengths[None, None], flags, flags)
    probability = CvaScorer(Direction((0.0,), (1.0,), (0.0,), (1.0,)), midpoint, slope).score(tile)[0]
    assert (np.diff(probability) >= 0).all() and probability.min() >= 0 and probability.max() <= 1
    assert probability[np.searchsorted(lengths, np.float32(midpoint))] == pytest.approx(0.5, abs=1e-4)


def test_a_fitted_scorer_is_picklable_and_has_its_provenance():
    before, after, _ = changed_pair()
    scorer, _ = detected(before, after)
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    told = json.loads(json.dumps(scorer.provenance(), allow_nan=False))
    assert told["name"] == "cva" and told["threshold"] == 0.5


def test_noise_between_two_equal_scenes_is_no_change():
    rng = np.random.default_rng(5)
    ground = rng.normal(1000, 100, (3, 120, 150))
    before, after = ((ground + rng.normal(0, 5, ground.shape)).astype(np.uint16) for _ in range(2))
    _, probability = detected(before, after)
    assert (probability < 0.5).all()
