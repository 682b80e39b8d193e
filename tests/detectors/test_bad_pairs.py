"""Pairs that a method cannot expect: a right answer or one sentence, and never NaN where pixels are valid."""

from __future__ import annotations

import re

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import rsdetect
from rsdetect.checks.scan import Scan
from rsdetect.detectors import find_detector
from rsdetect.errors import InputError
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.scoring.core import score_core
from rsdetect.tiles import plan_tiles
from support.memory import memory_scene
from support.scenes import textured_scene

METHODS = ("cva", "sfa", "texture", "difference", "irmad", "pca-kmeans", "log-ratio")
POINTWISE = ("cva", "sfa", "difference", "irmad")  # that see a block of 40 pixels in any single band


def changed(bands, seed=0):
    """A pair with noise, and a block that became darker in every band by another amount."""
    rng = np.random.default_rng(seed)
    before = 100 + np.concatenate([textured_scene(seed + i, 1, 90, 100, "float32") for i in range(bands)])
    after = before + rng.normal(0, 4, before.shape)
    truth = np.zeros((90, 100), bool)
    truth[30:70, 40:80] = True
    after[:, truth] -= np.linspace(80, 95, bands)[:, None]
    return before.astype(np.float32), after.astype(np.float32), truth


def scored(name, before, after):
    """Probability; it is a number in [0, 1] exactly where both dates are valid."""
    pair = open_pair(memory_scene(before), memory_scene(after))
    scorer = find_detector(name)().fit(Scan(pair))
    (tile,) = plan_tiles(pair.grid, 256, scorer.halo, scorer.stride)
    probability = score_core(pair, scorer, tile)
    valid = tile.core.slices_in(tile.read)
    known = read_tile(pair, tile).valid[valid]
    assert np.array_equal(np.isfinite(probability), known)
    assert ((probability[known] >= 0) & (probability[known] <= 1)).all()
    return probability


def is_found(probability, truth):
    marked = probability >= 0.5
    return marked[truth].mean() > 0.5 and marked[~truth].mean() < 0.15


@pytest.mark.parametrize("name", POINTWISE)
def test_one_band_is_enough(name):
    before, after, truth = changed(1)
    assert is_found(scored(name, before, after), truth)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dates", ["before", "both"])
def test_constant_bands_give_probabilities(name, dates):
    before, after, _ = changed(2)
    before[:] = 100
    if dates == "both":
        after[:] = 140
    probability = scored(name, before, after)
    if dates == "both":  # another offset of the whole scene
        assert (probability < 0.5).all()


@pytest.mark.parametrize("name", ["sfa", "irmad"])
def test_64_bands_of_which_10_repeat_others_give_what_54_give(name):
    before, after, truth = (part[..., 10:60, :60] for part in changed(4))  # a fifth of it changed
    after[:, truth] = textured_scene(99, 4, 50, 60, "float32")[:, truth] + 100  # other ground
    rng = np.random.default_rng(1)
    mixed = rng.normal(size=(54, 4))
    noise = rng.normal(size=(2, 54, *truth.shape))
    dates = [
        np.einsum("ij,jkl->ikl", mixed, date) + more
        for date, more in zip((before, after), noise, strict=True)
    ]
    repeated = [np.concatenate([date, 2 * date[:5] - 3, date[5:10] + date[10:15]]) for date in dates]
    with threadpool_limits(1):  # several threads wait for each other longer than they compute
        probability = scored(name, *(date.astype(np.float32) for date in repeated))
        plain = scored(name, *(date.astype(np.float32) for date in dates))
    assert is_found(probability, truth)
    assert ((probability >= 0.5) == (plain >= 0.5)).mean() > 0.99


@pytest.mark.parametrize("name", METHODS)
def test_logarithms_of_zero_are_unknown_and_spoil_nothing_else(name):
    before, after, _ = changed(1)
    with np.errstate(divide="ignore"):
        before, after = (10 * np.log10(np.where(date > 150, 0, np.abs(date))) for date in (before, after))
    assert np.isneginf(before).any()
    probability = scored(name, before, after)
    unknown = np.isneginf(before) | np.isneginf(after)
    assert np.array_equal(np.isnan(probability), unknown[0])


def test_dates_with_another_number_of_bands_are_refused_in_one_sentence():
    before, after, _ = changed(3)
    with pytest.raises(InputError, match=r"3 bands and .* has 4; choose with `bands`") as refused:
        open_pair(memory_scene(before), memory_scene(np.concatenate([after, after[:1]])))
    assert str(refused.value).count(". ") == 0


def test_the_check_warns_of_a_shift_of_40_pixels():
    before = textured_scene(3, 1, 420, 460)
    report = rsdetect.check(memory_scene(before), memory_scene(np.roll(before, 40, axis=2)))
    assert any(re.search(r"lies 40\.\d+ pixels .*add `register=True`", said) for said in report.warnings)
