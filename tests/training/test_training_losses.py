"""Each term of the loss against NumPy or figures worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsdetect.training.losses import (
    consistency,
    contrastive,
    cross_entropy,
    dice,
    downsample_labels,
    feature_distance,
    triplet,
)
from rsdetect.training.recipe import Loss
from rsdetect.training.task import auxiliary_loss, main_loss


def example(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, (2, 8, 8))
    return logit, (rng.random(logit.shape) < 0.3) * 1.0, (rng.random(logit.shape) < 0.8) * 1.0


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.asarray(array, np.float32)) for array in arrays]


@given(st.integers(0, 1000), st.floats(0, 4), st.floats(0.5, 20))
@settings(max_examples=30, deadline=None)
def test_cross_entropy_is_its_formula(seed, focus, change_weight):
    logit, truth, weight = example(seed)
    p = 1 / (1 + np.exp(-logit))
    q = np.where(truth > 0, p, 1 - p)
    v = weight * np.where(truth > 0, change_weight, 1)
    expected = (v * (1 - q) ** focus * -np.log(q)).sum() / v.sum()
    found = cross_entropy(*tensors(logit, truth, weight), focus=focus, change_weight=change_weight)
    assert float(found) == pytest.approx(expected, rel=1e-4)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_dice_is_its_formula(seed):
    logit, truth, weight = example(seed)
    p = 1 / (1 + np.exp(-logit))
    expected = 1 - (2 * (weight * p * truth).sum() + 1) / ((weight * p).sum() + (weight * truth).sum() + 1)
    assert float(dice(*tensors(logit, truth, weight))) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", [Loss(), Loss(focus=2.0, change_weight=5.0), Loss(dice=0.3)])
def test_pixels_without_weight_do_not_count(loss):
    logit, truth, weight = tensors(*example(3))
    weight[:, :4] = 0
    loud = logit.clone()
    loud[:, :4] = 50.0
    torch.testing.assert_close(main_loss(loss, loud, truth, weight), main_loss(loss, logit, truth, weight))


def test_distances_between_features():
    before, after = torch.zeros(1, 4, 1, 2), torch.zeros(1, 4, 1, 2)
    before[0, :, 0, 0] = torch.tensor([3.0, 0, 0, 0])
    after[0, :, 0, 0] = torch.tensor([0, 3.0, 0, 0])
    before[0, :, 0, 1] = after[0, :, 0, 1] = torch.tensor([1.0, 2, 3, 4])
    # The difference is (3, -3, 0, 0), of length sqrt(18); over sqrt(4) channels 2.12. The angle is right.
    euclidean, cosine = (feature_distance(before, after, metric)[0, 0] for metric in ("euclidean", "cosine"))
    assert euclidean.tolist() == pytest.approx([18**0.5 / 2, 0], abs=1e-5)
    assert cosine.tolist() == pytest.approx([1, 0], abs=1e-6)


def test_the_distance_has_a_slope_where_both_dates_agree():
    before = torch.ones(1, 3, 2, 2, requires_grad=True)
    feature_distance(before, torch.ones(1, 3, 2, 2), "euclidean").sum().backward()
    assert torch.isfinite(before.grad).all()


def test_contrastive_worked_by_hand():
    distance, truth, weight = tensors([[[0.5, 0.2, 0.7, 9.0]]], [[[0, 1, 1, 1]]], [[[1, 1, 1, 0]]])
    # Unchanged: 0.5^2. Changed: ((1 - 0.2)^2 + (1 - 0.7)^2) / 2. A half of each; the last has no weight.
    expected = 0.5 * 0.25 + 0.5 * (0.64 + 0.09) / 2
    assert float(contrastive(distance, truth, weight, margin=1.0)) == pytest.approx(expected)
    nothing_changed = contrastive(distance, 0 * truth, weight, margin=1.0)
    assert float(nothing_changed) == pytest.approx(0.5 * (0.25 + 0.04 + 0.49) / 3)


def test_triplet_worked_by_hand():
    distance, truth, weight = tensors([[[0.1, 0.4, 0.9, 0.6]]], [[[0, 0, 1, 1]]], [[[1, 1, 1, 1]]])
    # Of all pairs (0.1, 0.9), (0.1, 0.6), (0.4, 0.9), (0.4, 0.6) the last two come within the margin.
    expected = ((0.5 + 0.4 - 0.9) + (0.5 + 0.4 - 0.6)) / 4
    assert float(triplet(distance, truth, weight, margin=0.5)) == pytest.approx(expected, abs=1e-6)
    assert float(triplet(distance, 0 * truth, weight, margin=0.5)) == 0
    undecided = torch.full_like(truth, 0.5)
    assert float(triplet(distance, undecided, weight, margin=0.5)) == 0


def test_triplets_of_a_large_batch_are_a_fair_sample():
    rng = np.random.default_rng(0)
    truth = (rng.random((2, 64, 64)) < 0.5) * 1.0
    distance = rng.random(truth.shape) + truth
    whole, part = (triplet(*tensors(distance, truth, np.ones_like(truth)), 1.0, most=m) for m in (9999, 512))
    assert float(part) == pytest.approx(float(whole), abs=0.04)


def test_truth_is_shrunk_by_weight():
    truth, weight = tensors([[[1, 0, 0, 0], [1, 1, 0, 0]]], [[[1, 1, 1, 1], [1, 0, 1, 1]]])
    shares, weights = downsample_labels(truth, weight, height=1)
    assert shares[0, 0].tolist() == pytest.approx([2 / 3, 0])
    assert weights[0, 0].tolist() == pytest.approx([3 / 4, 1])


@pytest.mark.parametrize("name", ["contrastive", "triplet"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_auxiliary_terms_pull_changed_features_apart(name, metric):
    torch.manual_seed(0)
    truth = torch.zeros(2, 16, 16)
    truth[:, :, 8:] = 1
    levels = [torch.randn(4, 6, edge, edge).requires_grad_() for edge in (8, 4)]
    optimiser = torch.optim.Adam(levels, lr=0.05)
    loss = Loss(auxiliary=name, metric=metric)
    for _ in range(80):
        optimiser.zero_grad()
        auxiliary_loss(loss, tuple(levels), truth, torch.ones_like(truth)).backward()
        optimiser.step()
    for level in levels:
        distance = feature_distance(*level.chunk(2), metric)
        half = distance.shape[-1] // 2
        assert distance[..., half:].mean() > distance[..., :half].mean() + 0.5


def test_consistency_worked_by_hand():
    teacher = torch.tensor([[[3.0, -3.0, -3.0, 0.5, 3.0]]])  # the fourth is not sure enough
    student = torch.tensor([[[0.0, 0.0, 2.0, 9.0, 9.0]]]).requires_grad_()
    seen = torch.tensor([[[1.0, 1.0, 1.0, 1.0, 0.0]]])
    loss = consistency(student, teacher, seen, sure=0.9)
    unchanged = (np.log(2) + np.log1p(np.exp(2))) / 2
    assert float(loss.detach()) == pytest.approx((np.log(2) + unchanged) / 2, rel=1e-5)
    loss.backward()
    assert student.grad[0, 0, 3:].tolist() == [0, 0]
    unsure = consistency(student.detach(), torch.zeros_like(teacher), seen, sure=0.9)
    assert float(unsure) == 0
