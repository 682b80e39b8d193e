"""What holds for every detector that needs no training: contract, equal ground, odd scenes, figures."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from scipy.stats import spearmanr

from rsdetect.checks.scan import Scan
from rsdetect.detectors import find_detector
from rsdetect.detectors.row_filters import BINOMIAL, Double, Smooth, filtered, halve, pushed, quotients
from rsdetect.errors import NothingToCompare
from rsdetect.grid import Window
from rsdetect.jobs.check_detector import check_contract
from rsdetect.percent import to_percent
from rsdetect.scenes.pair import open_pair
from rsdetect.scoring.core import score_core
from rsdetect.tiles import Tile, plan_tiles
from support.memory import memory_scene
from support.odd_scenes import ODD
from support.plain_methods import (
    plain_difference,
    plain_irmad,
    plain_pca_kmeans,
    plain_sfa,
    plain_texture,
)
from support.scenes import random_scene, textured_scene

METHODS = ("sfa", "texture", "difference", "irmad", "pca-kmeans", "log-ratio")
PLAIN = {
    "sfa": plain_sfa,
    "texture": plain_texture,
    "difference": plain_difference,
    "irmad": plain_irmad,
    "pca-kmeans": plain_pca_kmeans,
}
# Of the other ground, around 110 before: the structure of gradients is not to be seen for its edge.
BRIGHTNESS = {"sfa": 128, "texture": 128, "difference": 230, "irmad": 230, "pca-kmeans": 230}


def fitted(name, before, after):
    pair = open_pair(memory_scene(before), memory_scene(after))
    return pair, find_detector(name)().fit(Scan(pair))


def detected(name, before, after, size=None):
    """Scorer and probability, NaN where not valid on both dates."""
    pair, scorer = fitted(name, before, after)
    whole = np.full(pair.grid.shape, np.nan, np.float32)
    for tile in plan_tiles(pair.grid, size or max(pair.grid.shape), scorer.halo, scorer.stride):
        whole[tile.core.slices_in(pair.grid.window)] = score_core(pair, scorer, tile)
    return scorer, whole


def other_ground(seed=0, bands=3, height=240, width=250, noise=15, brightness=128):
    """A pair with noise, and a rectangle of other ground."""
    rng = np.random.default_rng(seed)
    before = np.concatenate([textured_scene(seed + i, 1, height, width, "float32") for i in range(bands)])
    after = before + rng.normal(0, noise, before.shape)
    truth = np.zeros((height, width), bool)
    truth[60:150, 70:180] = True
    after[:, truth] = brightness + rng.normal(0, 60, (bands, int(truth.sum())))
    return before.astype(np.float32), after.astype(np.float32), truth


@pytest.mark.parametrize("name", [*METHODS, "cva"])
def test_the_contract_is_kept(name):
    check_contract(find_detector(name)())


@pytest.mark.parametrize("bands", [1, 2, 3, 6])
@pytest.mark.parametrize("name", BRIGHTNESS)
def test_other_ground_is_found(name, bands):
    before, after, truth = other_ground(bands=bands, brightness=BRIGHTNESS[name])
    _, probability = detected(name, before, after)
    found = probability >= 0.5
    assert found[truth].mean() > 0.5 and found[~truth].mean() < 0.1


@pytest.mark.parametrize("name", PLAIN)
def test_distances_are_those_of_the_plain_definition(name):
    before, after, _ = other_ground(height=320, width=300, noise=30)
    distance, level = PLAIN[name](before.astype(float), after.astype(float))
    scorer, probability = detected(name, before, after)
    assert scorer.level == pytest.approx(level, rel=0.1)
    inside = (slice(20, -20), slice(20, -20))  # plain Gaussians mirror the scene at its edges
    ours = probability[inside].ravel()
    ratio = (ours / (1 - ours)) ** (1 / scorer.slope)
    assert spearmanr(ours, distance[inside].ravel())[0] > 0.95
    assert np.median(np.abs(np.log(ratio / (distance[inside].ravel() / level)))) < 0.15


@pytest.mark.parametrize("name", [name for name in METHODS if name != "log-ratio"])
@pytest.mark.parametrize(("gain", "offset"), [(3.0, -200.0), (0.01, 5.0), (40.0, 1000.0)])
def test_a_change_of_gain_and_offset_is_no_change(name, gain, offset):
    before, after, _ = other_ground()
    scorer, plain = detected(name, before, after)
    other, scaled = detected(name, before, (after * gain + offset).astype(np.float32))
    np.testing.assert_allclose(scaled, plain, atol=5e-3)
    assert other.level == pytest.approx(scorer.level, rel=0.02)


def test_any_linear_change_of_all_bands_together_is_no_change_to_irmad():
    before, after, _ = other_ground()
    mixing = np.array([[2.0, 0.5, -1.0], [0.3, 1.5, 0.2], [-0.7, 0.1, 3.0]])
    mixed = np.einsum("ij,jkl->ikl", mixing, after) + np.array([40, -7, 300])[:, None, None]
    scorer, plain = detected("irmad", before, after)
    other, again = detected("irmad", before, mixed.astype(np.float32))
    assert other.level == pytest.approx(scorer.level, rel=0.02)
    np.testing.assert_allclose(again, plain, atol=5e-3)


@pytest.mark.parametrize("name", [*METHODS, "cva"])
def test_the_order_of_the_dates_does_not_matter(name):
    before, after, _ = other_ground()
    np.testing.assert_allclose(detected(name, before, after)[1], detected(name, after, before)[1], atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_identical_dates_show_no_change(name, dtype):
    array = random_scene(0, 3, 60, 70, dtype)
    _, probability = detected(name, array, array)
    assert (to_percent(probability) == 0).all()


@pytest.mark.parametrize("name", [name for name in METHODS if name != "log-ratio"])
def test_another_brightness_of_the_same_ground_is_no_change(name):
    array = textured_scene(3, 3, 120, 130, "float32")
    _, probability = detected(name, array, array * np.float32(1.2) + 7)
    assert probability.max() < 0.5


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", METHODS)
def test_odd_scenes_against_themselves_show_no_change(name, odd):
    scorer, probability = detected(name, ODD[odd], ODD[odd])
    known = probability[np.isfinite(probability)]
    assert known.size and (to_percent(known) == 0).all()
    json.dumps(scorer.provenance(), allow_nan=False)


@pytest.mark.parametrize("one", sorted(set(ODD) - {"one pixel", "one row"}))
@pytest.mark.parametrize("other", ["one constant band", "extreme values", "wide integers"])
@pytest.mark.parametrize("name", METHODS)
def test_odd_scenes_against_others_give_probabilities_at_all_valid_pixels(name, one, other):
    pair = open_pair(memory_scene(ODD[one]), memory_scene(ODD[other]))
    scorer, probability = detected(name, ODD[one], ODD[other])
    known = probability[np.isfinite(probability)]
    assert known.size == sum(int(tile.valid.sum()) for tile in tiles_of(pair))
    assert known.min() >= 0 and known.max() <= 1
    json.dumps(scorer.provenance(), allow_nan=False)


def tiles_of(pair):
    return list(Scan(pair, whole=True)._measured(lambda tile: tile))


@pytest.mark.parametrize("name", METHODS)
def test_five_valid_pixels_are_enough(name):
    before, after = (np.full((3, 40, 50), np.nan, np.float32) for _ in range(2))
    rng = np.random.default_rng(0)
    before[:, 20, 10:15], after[:, 20, 10:15] = rng.normal(size=(2, 3, 5))
    _, probability = detected(name, before, after)
    assert np.isfinite(probability).sum() == 5


@pytest.mark.parametrize("name", BRIGHTNESS)
def test_bands_that_repeat_others_change_nothing(name):
    before, after, truth = other_ground(bands=4, brightness=BRIGHTNESS[name])
    more = [np.concatenate([date, date[:2], date[:1] + date[1:2]]) for date in (before, after)]
    _, probability = detected(name, *more)
    found = probability >= 0.5
    assert found[truth].mean() > 0.5 and found[~truth].mean() < 0.1


@pytest.mark.parametrize("name", METHODS)
def test_a_scene_in_which_all_changed_gives_probabilities(name):
    _, probability = detected(name, textured_scene(0, 3, 90, 80), textured_scene(9, 3, 90, 80))
    assert probability.min() >= 0 and probability.max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_scenes_of_nothing_but_nan_are_refused(name):
    nothing = np.full((2, 9, 9), np.nan, np.float32)
    with pytest.raises(NothingToCompare, match="is valid on both dates"):
        fitted(name, nothing, nothing)


@pytest.mark.parametrize("name", METHODS)
def test_a_fitted_scorer_is_picklable_and_has_its_provenance(name):
    before, after, _ = other_ground()
    scorer, _ = detected(name, before, after)
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    told = json.loads(json.dumps(scorer.provenance(), allow_nan=False))
    assert told["name"] == name and told["fitted"]["level"] > 0


@pytest.mark.parametrize("name", METHODS)
def test_the_logit_is_the_logarithm_of_distance_over_level(name):
    before, after, _ = other_ground()
    pair, scorer = fitted(name, before, after)
    (tile,) = Scan(pair, whole=True)._measured(lambda tile: tile)
    probability = scorer.score(tile).astype(np.float64)
    logit = np.log(probability) - np.log1p(-probability)
    np.testing.assert_allclose(logit / scorer.slope, scorer.log_ratio(tile), atol=1e-3)
    rows = scorer.strip(*tile.valid.shape)
    assert rows.late <= scorer.halo


def tile_of(before, after, valid):
    window = Window(0, 0, *valid.shape)
    return Tile(window, window, before, after, valid, valid)


@pytest.mark.parametrize("name", METHODS)
def test_nothing_beyond_the_halo_matters_and_something_near_does(name):
    before, after, _ = other_ground(height=256, width=256)
    _, scorer = fitted(name, before, after)
    valid = np.ones((256, 256), bool)
    plain = scorer.distance(tile_of(before, after, valid))
    far = after.copy()
    near = slice(128 - scorer.halo, 129 + scorer.halo)
    outside = np.ones((256, 256), bool)
    outside[near, near] = False
    far[:, outside] += 50
    moved = scorer.distance(tile_of(before, far, valid))
    assert moved[128, 128] == pytest.approx(plain[128, 128], rel=1e-5)
    assert np.abs(moved[outside] / plain[outside] - 1).max() > 0.1


@pytest.mark.parametrize("name", METHODS)
def test_rows_in_pieces_give_the_distances_of_all_at_once(name, monkeypatch):
    before, after, _ = other_ground(height=256, width=256)
    valid = np.random.default_rng(1).random((256, 256)) > 0.1
    _, scorer = fitted(name, before, after)
    tile = tile_of(before * valid, after * valid, valid)
    monkeypatch.setattr("rsdetect.detectors.row_filters._CHUNK", 10**9)
    whole = scorer.distance(tile)
    monkeypatch.setattr("rsdetect.detectors.row_filters._CHUNK", 8 * 256)
    np.testing.assert_allclose(filtered(scorer.rows(), tile), whole, rtol=1e-5, atol=1e-6)
    rows, chain = pushed(scorer.rows(), tile), scorer.rows()
    np.testing.assert_allclose(
        rows[2 * chain.reach :, chain.reach : -chain.reach],
        whole[2 * chain.reach - chain.late : 256 - chain.late, chain.reach : -chain.reach],
        rtol=1e-4,
        atol=1e-4,
    )


def test_smoothing_is_the_cascade_of_its_stencils():
    from scipy.ndimage import correlate1d

    rows = np.random.default_rng(0).random((2, 30, 40)).astype(np.float32)
    smooth = Smooth(BINOMIAL, BINOMIAL)
    ours = np.concatenate([smooth.push(rows[:, :17]), smooth.push(rows[:, 17:])], axis=1)
    plain = rows
    for axis in (1, 2):
        plain = correlate1d(plain, [1, 4, 6, 4, 1], axis=axis, mode="constant")
    np.testing.assert_allclose(ours[:, 4:, 2:-2], plain[:, 2:-2, 2:-2], rtol=1e-5)


def test_a_grid_halved_and_doubled_keeps_a_slope():
    rows = np.broadcast_to(np.arange(32, dtype=np.float32), (1, 16, 32)).copy()
    coarse = halve(rows)
    assert coarse.shape == (1, 8, 16)
    doubled = Double().push(coarse)
    np.testing.assert_allclose(doubled[0, 4:, 2:-2], rows[0, 4:, 2:-2])


def test_values_without_weight_are_nothing():
    rows = np.array([[[0.0, 6.0]], [[0.0, 2.0]]], np.float32)
    assert quotients(rows).tolist() == [[[0.0, 3.0]]]
