"""Log-ratio: speckle, decibels, calibration, zeros, two polarisations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from rsdetect.checks.scan import Scan
from rsdetect.detectors.log_ratio import LogRatioDetector
from rsdetect.errors import InputError
from rsdetect.scenes.pair import open_pair
from rsdetect.scoring.core import score_core
from rsdetect.tiles import plan_tiles
from support.memory import memory_scene


def flooded(looks=4, bands=1, seed=0):
    """Power with speckle of a number of looks, and water of a twelfth of it on the second date."""
    rng = np.random.default_rng(seed)
    ground = 1 + uniform_filter(rng.random((bands, 160, 170)), (0, 9, 9))
    truth = np.zeros((160, 170), bool)
    truth[40:90, 60:120] = True
    before, after = (ground * rng.gamma(looks, 1 / looks, ground.shape) for _ in range(2))
    after[:, truth] /= 12
    return before.astype(np.float32), after.astype(np.float32), truth


def detected(detector, before, after):
    pair = open_pair(memory_scene(before), memory_scene(after))
    scorer = detector.fit(Scan(pair))
    (tile,) = plan_tiles(pair.grid, max(pair.grid.shape), scorer.halo, scorer.stride)
    return scorer, score_core(pair, scorer, tile)


def f1(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.mark.parametrize("level", ["otsu", "kittler", "kittler-generalised"])
@pytest.mark.parametrize("bands", [1, 2])
def test_water_is_found_through_speckle(bands, level):
    before, after, truth = flooded(bands=bands)
    _, probability = detected(LogRatioDetector(level=level), before, after)
    assert f1(probability >= 0.5, truth) > 0.9


def test_decibels_give_what_linear_power_gives():
    before, after, _ = flooded()
    linear, plain = detected(LogRatioDetector(), before, after)
    decibels, same = detected(LogRatioDetector(), 10 * np.log10(before), 10 * np.log10(after))
    assert not linear.decibels and decibels.decibels
    np.testing.assert_allclose(same, plain, atol=1e-3)


def test_the_scale_can_be_named_where_values_are_ambiguous():
    before, after, _ = flooded()
    before, after = (100 + 10 * np.log10(date) for date in (before, after))
    assert detected(LogRatioDetector(), before, after)[0].decibels is False
    assert detected(LogRatioDetector(scale="db"), before, after)[0].decibels is True


def test_another_calibration_is_no_change_and_the_order_of_dates_does_not_matter():
    before, after, _ = flooded()
    _, plain = detected(LogRatioDetector(), before, after)
    np.testing.assert_allclose(detected(LogRatioDetector(), before, after * 3)[1], plain, atol=2e-3)
    np.testing.assert_allclose(detected(LogRatioDetector(), after, before)[1], plain, atol=2e-3)


def test_distances_are_logarithms_of_ratios_of_means():
    before, after, _ = flooded()
    scorer, probability = detected(LogRatioDetector(smoothing=1, level="1.5"), before, after)
    means = [uniform_filter(date[0].astype(float), 3) for date in (before, after)]
    plain = np.abs(np.log(means[1] / means[0]) - scorer.offset[0])[2:-2, 2:-2]
    np.testing.assert_allclose(probability[2:-2, 2:-2], plain**2 / (plain**2 + 1.5**2), atol=1e-4)


def test_echoes_of_zero_have_a_logarithm():
    before, after, truth = flooded()
    before[:, :20], after[:, 10:30] = 0, 0
    after[:, truth] = 0
    _, probability = detected(LogRatioDetector(smoothing=0), before, after)
    assert np.isfinite(probability).all() and (probability[truth] > 0.5).all()
    assert (probability[10:20] == 0).all()
    nothing = np.zeros_like(before)
    assert (detected(LogRatioDetector(), nothing, nothing)[1] == 0).all()


def test_speckle_alone_is_marked_in_small_part_at_a_fixed_level():
    before, _, _ = flooded()
    rng = np.random.default_rng(5)
    other = before / before.mean() * rng.gamma(16, 1 / 16, before.shape).astype(np.float32)
    _, probability = detected(LogRatioDetector(level="0.69"), before, other)
    assert (probability >= 0.5).mean() < 0.02


@pytest.mark.parametrize(
    "options", [{"scale": "amplitude"}, {"smoothing": 9}, {"smoothing": -1}, {"level": "x"}]
)
def test_unknown_parameters_are_refused(options):
    (name,) = options
    with pytest.raises(InputError, match=f"{name}="):
        LogRatioDetector(**options)
