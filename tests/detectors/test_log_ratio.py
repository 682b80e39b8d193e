"""Log-ratio: speckle, decibels, calibration, zeros, two polarisations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from rsdetect.checks.scan import Scan
from rsdetect.detectors.log_ratio import LogRatioDetector
from rsdetect.detectors.refined_lee import RefinedLee
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
    scorer, probability = detected(LogRatioDetector(filter="boxcar", smoothing=1, level="1.5"), before, after)
    means = [uniform_filter(date[0].astype(float), 3) for date in (before, after)]
    plain = np.abs(np.log(means[1] / means[0]) - scorer.offset[0])[2:-2, 2:-2]
    np.testing.assert_allclose(probability[2:-2, 2:-2], plain**2 / (plain**2 + 1.5**2), atol=1e-4)


def test_echoes_of_zero_have_a_logarithm():
    before, after, truth = flooded()
    before[:, :20], after[:, 10:30] = 0, 0
    after[:, truth] = 0
    _, probability = detected(LogRatioDetector(filter="boxcar", smoothing=0), before, after)
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
    "options",
    [{"scale": "amplitude"}, {"smoothing": 9}, {"smoothing": "some"}, {"filter": "lee"}, {"level": "x"}],
)
def test_unknown_parameters_are_refused(options):
    (name,) = options
    with pytest.raises(InputError, match=f"{name}="):
        LogRatioDetector(**options)


def plain_refined_lee(power, speckle):
    """The filter of Lee (1981) at the inner pixels of a scene, pixel by pixel."""
    row, col = np.mgrid[-3:4, -3:4]
    halves = [
        (col <= 0, col >= 0),
        (row <= 0, row >= 0),
        (row + col <= 0, row + col >= 0),
        (col >= row, col <= row),
    ]
    means = uniform_filter(power, 3)
    out = power.copy()
    for y in range(4, power.shape[0] - 4):
        for x in range(4, power.shape[1] - 4):
            m = means[y - 2 : y + 3 : 2, x - 2 : x + 3 : 2]
            sides = [
                (m[:, 0].sum() - m[:, 2].sum(), m[1, 0], m[1, 2]),
                (m[0].sum() - m[2].sum(), m[0, 1], m[2, 1]),
                (m[0, 0] + m[0, 1] + m[1, 0] - m[2, 2] - m[2, 1] - m[1, 2], m[0, 0], m[2, 2]),
                (m[0, 1] + m[0, 2] + m[1, 2] - m[2, 1] - m[2, 0] - m[1, 0], m[0, 2], m[2, 0]),
            ]
            edge = int(np.argmax([abs(gradient) for gradient, *_ in sides]))
            _, one, other = sides[edge]
            inside = halves[edge][int(abs(other - m[1, 1]) < abs(one - m[1, 1]))]
            window = power[y - 3 : y + 4, x - 3 : x + 4][inside]
            mean, variance = window.mean(), window.var()
            signal = max(variance - speckle * mean**2, 0) / (1 + speckle)
            out[y, x] = mean + signal / max(variance, 1e-30) * (power[y, x] - mean)
    return out


def test_the_refined_lee_filter_is_the_published_one():
    power = flooded(looks=3)[1][0, 30:60, 40:90].astype(np.float64)
    rows = np.stack([power, np.ones_like(power)]).astype(np.float32)
    lee = RefinedLee(np.float32([0.2]))
    ours = np.concatenate(
        [lee.push(rows[:, :11]), lee.push(np.pad(rows[:, 11:], ((0, 0), (0, 3), (0, 0))))], 1
    )
    inside = slice(4, -4), slice(4, -4)
    np.testing.assert_allclose(ours[0, 3:][inside], plain_refined_lee(power, 0.2)[inside], rtol=1e-3)


@pytest.mark.parametrize(("looks", "boxcars"), [(16, 1), (1, 2)])
def test_the_smoothing_follows_from_the_speckle_of_the_scenes(looks, boxcars):
    before, after, truth = flooded(looks=looks)
    scorer, probability = detected(LogRatioDetector(), before, after)
    assert scorer.speckle[0][0] == pytest.approx(1 / looks, rel=0.3) and scorer.smoothing == boxcars
    assert f1(probability >= 0.5, truth) > 0.9
    assert scorer.halo == boxcars + 3


def test_speckle_alone_is_no_change():
    before, _, _ = flooded(looks=1)
    before = before[:, :80, :90]
    other = before / before.mean() * np.random.default_rng(7).gamma(1, 1, before.shape)
    scorer, probability = detected(LogRatioDetector(), before, other.astype(np.float32))
    assert scorer.smoothing == 8 and (probability >= 0.5).mean() < 0.05
