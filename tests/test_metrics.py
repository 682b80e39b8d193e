"""Every figure against scikit-learn on the very pixels, or against what can be worked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from rsdetect.metrics import STEPS, Counts
from rsdetect.percent import PERCENT


@st.composite
def maps(draw):
    """Whole percent, truth and what is labelled, over some hundred pixels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 300))
    truth = rng.random(size) < draw(st.sampled_from([0.0, 0.05, 0.4, 1.0]))
    percent = np.clip(rng.normal(40 + 25 * truth, draw(st.sampled_from([1, 30, 200]))), 0, 100)
    return np.rint(percent).astype(np.uint8), truth, rng.random(size) < 0.8


def counted(percent, truth, labelled):
    return Counts.of_steps(percent, truth, labelled, PERCENT)


@given(maps(), st.integers(0, 100))
def test_figures_at_a_threshold_are_those_of_scikit_learn(case, level):
    percent, truth, labelled = case
    found = counted(*case).at(level / 100)
    truth, marked = truth[labelled], percent[labelled] >= level
    if not truth.size:
        assert np.isnan(found.accuracy)
        return
    if truth.all():  # no false mark could be seen
        undefined = (found.precision, found.f1, found.iou, found.accuracy, found.kappa)
        assert np.isnan(undefined).all()
        assert found.recall == pytest.approx(oracle.recall_score(truth, marked))
        return
    assert found.accuracy == pytest.approx(oracle.accuracy_score(truth, marked))
    precision, recall, _, _ = oracle.precision_recall_fscore_support(
        truth, marked, average="binary", zero_division=np.nan
    )
    assert found.precision == pytest.approx(precision, nan_ok=True)
    assert found.recall == pytest.approx(recall, nan_ok=True)
    if truth.any() or marked.any():
        assert found.f1 == pytest.approx(oracle.f1_score(truth, marked, zero_division=0))
        assert found.iou == pytest.approx(oracle.jaccard_score(truth, marked))
    else:
        assert np.isnan(found.f1) and np.isnan(found.iou)
    if 0 < truth.sum() < truth.size:
        assert found.kappa == pytest.approx(oracle.cohen_kappa_score(truth, marked), abs=1e-12)
        false_alarms = marked[~truth].mean()
        assert found.false_alarm_share == pytest.approx(false_alarms)


@given(maps())
def test_figures_over_all_thresholds_are_those_of_scikit_learn(case):
    percent, truth, labelled = case
    counts = counted(*case)
    truth, score = truth[labelled], percent[labelled] / 100
    if not truth.any() or truth.all():
        assert np.isnan(counts.average_precision())
        return
    assert counts.average_precision() == pytest.approx(oracle.average_precision_score(truth, score))
    precision, recall, thresholds = oracle.precision_recall_curve(truth, score)
    mine = counts.curve()
    steps = np.rint(thresholds * 100).astype(int)
    np.testing.assert_allclose(mine[0][steps], precision[:-1])
    np.testing.assert_allclose(mine[1][steps], recall[:-1])
    best, f1 = counts.best()
    every = [oracle.f1_score(truth, score >= t, zero_division=0) for t in np.arange(101) / 100]
    assert f1 == pytest.approx(max(every))
    assert every[round(best * 100)] == pytest.approx(max(every))
    assert not (np.array(every[round(best * 100) + 1 :]) >= max(every) - 1e-12).any()


@given(st.integers(0, 2**32 - 1))
def test_as_much_is_marked_as_has_changed(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(400) < rng.uniform(0.05, 0.6)
    p = np.clip(0.3 * truth + rng.normal(0.4, 0.2, 400), 0, 1).astype(np.float32)
    counts = Counts.of(p, truth, np.ones(400, bool))
    marked = [int((np.rint(p * 10_000) >= t).sum()) for t in range(10_001)]
    nearest = min(abs(m - int(truth.sum())) for m in marked)
    assert abs(marked[round(counts.as_much_as_changed() * 10_000)] - int(truth.sum())) == nearest


@given(maps())
def test_calibration_error_is_its_definition_over_the_pixels(case):
    percent, truth, labelled = case
    truth, score = truth[labelled], percent[labelled] / 100
    if not truth.size:
        return
    group = np.minimum(percent[labelled].astype(int) * 15 // 100, 14)
    error = sum(
        (group == g).mean() * abs(score[group == g].mean() - truth[group == g].mean())
        for g in np.unique(group)
    )
    assert counted(*case).calibration_error() == pytest.approx(error)


@given(maps(), st.lists(st.integers(0, 300), max_size=4))
def test_counts_of_parts_are_the_counts_of_the_whole(case, cuts):
    cuts = sorted(min(cut, case[0].size) for cut in cuts)
    parts = [counted(*(array[a:b] for array in case)) for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    whole, total = counted(*case), Counts.total(parts)
    np.testing.assert_array_equal(total.changed, whole.changed)
    np.testing.assert_array_equal(total.unchanged, whole.unchanged)


def test_axes_before_the_last_stay():
    rng = np.random.default_rng(0)
    singles = [
        counted(rng.integers(0, 101, 500).astype(np.uint8), rng.random(500) < 0.2, np.ones(500, bool))
        for _ in range(6)
    ]
    stacked = Counts(
        *(
            np.stack([getattr(c, side) for c in singles]).reshape(2, 3, -1)
            for side in ("changed", "unchanged")
        )
    )
    thresholds, at_best = stacked.at_best()
    for i, single in enumerate(singles):
        at = np.unravel_index(i, (2, 3))
        # Sums over another shape may be taken in another order, which rounds otherwise.
        assert stacked.average_precision()[at] == pytest.approx(single.average_precision(), rel=1e-12)
        assert stacked.calibration_error()[at] == pytest.approx(single.calibration_error(), rel=1e-12)
        assert stacked.at(0.3).kappa[at] == pytest.approx(single.at(0.3).kappa, rel=1e-12)
        assert (thresholds[at], at_best.f1[at]) == pytest.approx(single.best(), rel=1e-12)


def test_nine_pixels_worked_by_hand():
    percent = np.array([[90, 80, 10], [60, 40, 10], [50, 10, 255]], np.uint8)
    truth = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]], bool)
    labelled = percent != 255
    found = counted(percent, truth, labelled).at(0.5)  # marks 90, 80, 60, 50; changed are 90, 80, 40
    assert (found.found, found.false, found.missed, found.rejected) == (2, 2, 1, 3)
    assert (found.precision, found.recall, found.iou) == (0.5, pytest.approx(2 / 3), 0.4)
    assert found.f1 == pytest.approx(4 / 7)
    assert found.accuracy == 5 / 8
    assert found.kappa == pytest.approx((5 / 8 - 0.5) / (1 - 0.5))  # by chance (4*3 + 4*5) / 64 agree
    assert found.false_alarm_share == 2 / 5
    # From the top: right at 90 and 80, wrong at 60 and 50, right at 40, the 5th to be marked.
    assert counted(percent, truth, labelled).average_precision() == pytest.approx((1 + 1 + 3 / 5) / 3)


def test_probabilities_are_rounded_to_steps():
    p = np.array([0.0, 0.49996, 0.5, 1.0], np.float32)
    counts = Counts.of(p, np.array([0, 1, 1, 1], bool), np.ones(4, bool))
    assert counts.steps == STEPS
    assert np.flatnonzero(counts.changed).tolist() == [5000, STEPS]
    assert counts.changed[5000] == 2
    assert counts.at(0.5).found == 3


def test_weighting_changes_the_share_and_nothing_else():
    rng = np.random.default_rng(1)
    truth = rng.random(20_000) < 0.3
    counts = Counts.of(
        rng.random(20_000).astype(np.float32) ** (1 - 0.5 * truth), truth, np.ones(20_000, bool)
    )
    rarer = counts.at_share(0.05)
    share = rarer.changed.sum() / (rarer.changed.sum() + rarer.unchanged.sum())
    assert share == pytest.approx(0.05, abs=1e-3)
    assert rarer.at(0.4).recall == counts.at(0.4).recall
    assert rarer.at(0.4).false_alarm_share == pytest.approx(counts.at(0.4).false_alarm_share, abs=0.01)
