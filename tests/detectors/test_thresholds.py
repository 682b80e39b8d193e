"""Thresholds on histograms of two known classes, and the rules that `level` takes."""

from __future__ import annotations

import numpy as np
import pytest

from rsdetect.detectors.thresholds import (
    find_level,
    kapur,
    kittler,
    kittler_generalised,
    otsu,
    quantile,
    require_level,
    rosin,
    uniform,
)
from rsdetect.errors import InputError

EVERY = (otsu, kittler, kittler_generalised, kapur, rosin)


def histogram(values, bins=4096):
    """In bins of equal ratio, as detectors count distances."""
    counts, edges = np.histogram(np.log(values), bins)
    return counts, np.exp((edges[1:] + edges[:-1]) / 2)


def two_classes(share=0.1):
    rng = np.random.default_rng(0)
    common, rare = rng.normal(2, 0.5, int(1e5 * (1 - share))), rng.normal(8, 0.7, int(1e5 * share))
    return np.abs(np.concatenate([common, rare]))


@pytest.mark.parametrize("rule", ["otsu", "kittler", "kittler-generalised", "kapur"])
def test_two_clear_classes_are_parted(rule):
    assert 3 < find_level(rule, *histogram(two_classes())) < 7


def test_minimum_error_finds_a_rare_class_where_otsu_cuts_the_common_one():
    rng = np.random.default_rng(1)
    values = np.abs(np.concatenate([rng.normal(4, 1, 99_700), rng.normal(12, 0.5, 300)])) + 0.01
    assert 8 < find_level("kittler", *histogram(values)) < 11.5
    assert find_level("otsu", *histogram(values)) < 6


def test_generalised_gaussians_fit_heavy_tails():
    rng = np.random.default_rng(2)
    values = np.concatenate([10 + rng.laplace(0, 0.5, 90_000), 20 + rng.laplace(0, 0.5, 10_000)])
    level = find_level("kittler-generalised", *histogram(values))
    assert 12 < level < 19.5


def test_rosin_finds_the_corner_of_a_tail():
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.exponential(0.5, 95_000), rng.uniform(0, 20, 5_000)]) + 0.01
    assert 1 < find_level("rosin", *histogram(values)) < 6


def test_otsu_is_that_of_scikit_image():
    from skimage.filters import threshold_otsu

    values = two_classes(0.3)
    assert find_level("otsu", *histogram(values)) == pytest.approx(
        threshold_otsu(values, nbins=512), rel=0.03
    )


def test_a_quantile_is_one():
    values = two_classes()
    assert quantile(*histogram(values), 0.8) == pytest.approx(np.quantile(values, 0.8), rel=0.01)
    assert find_level("quantile:0.9", *histogram(values)) == quantile(*histogram(values), 0.9)
    assert find_level("0.25", *histogram(values)) == 0.25


def test_uniform_bins_hold_the_same_values():
    counts, centres = uniform(*histogram(two_classes()))
    assert counts.sum() == 100_000 and np.allclose(np.diff(centres), centres[1] - centres[0])


@pytest.mark.parametrize("rule", EVERY)
def test_where_nothing_can_be_parted_the_answer_is_zero(rule):
    counts = np.zeros(8, np.int64)
    counts[3] = 7
    assert rule(counts, np.arange(1.0, 9.0)) == 0


@pytest.mark.parametrize(
    "rule", ["", "best", "quantile:2", "quantile:", "quantile:x", "-1", "nan", "inf", "otsu:3"]
)
def test_an_unknown_rule_is_refused(rule):
    with pytest.raises(InputError, match=r"level=.* is unknown; choose one of otsu, kittler"):
        require_level(rule)
