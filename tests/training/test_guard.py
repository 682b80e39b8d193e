"""The guard of fine-tuning takes weights between, or leaves a model as it was."""

import pytest
import torch

from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.guard import SHARES, Guard, choose_share, weights_between
from rsdetect.training.loop import Fitted
from rsdetect.training.make_card import HeldOut
from rsdetect.training.recipe import read_recipe
from support.models import SMALL, card_of, trained_looking


def moved(net: SiameseNet) -> SiameseNet:
    other = trained_looking()
    with torch.no_grad():
        for value in other.state_dict().values():
            if value.is_floating_point():
                value.mul_(1.5)
    return other


@pytest.fixture
def guard() -> Guard:
    net = trained_looking()
    recipe = read_recipe("fine-tune", ["bands=['red', 'green', 'blue']"])
    return Guard(net, card_of(net), recipe.model_copy(update={"architecture": SMALL}), "cpu")


@pytest.fixture
def held_out() -> HeldOut:
    generator = torch.Generator().manual_seed(3)
    before, after = torch.randn(2, 1, 3, 32, 32, generator=generator)
    truth = ((after - before).abs().mean(dim=1) > 1.3).float()
    batch = (before, after, truth, torch.ones_like(truth))
    return HeldOut(calibration=[batch], test=[batch], name="held-out places")


def test_without_a_share_of_the_new_weights_nothing_changes(guard, held_out):
    net, card = guard.kept(held_out)
    assert all(torch.equal(net.state_dict()[key], value) for key, value in guard.net.state_dict().items())
    assert (card.threshold, card.calibration) == (guard.card.threshold, guard.card.calibration)
    assert card.training.steps == 0 and card.scores["held-out places"]


def test_half_of_the_new_weights_lies_between_both_networks(guard, held_out):
    fitted = Fitted(moved(guard.net), steps=5, minutes=1.0, validation_f1=0.5)
    half, other = guard.applied(fitted, 0.5, held_out, "chips")
    torch.testing.assert_close(half.head.weight, 1.25 * guard.net.head.weight)
    assert other.training.data == ("chips, 50% of the weights after fine-tuning and 50% of those before")
    assert other.calibration != guard.card.calibration


def test_a_fold_scores_every_share(guard, held_out):
    scores = guard.fold_scores(moved(guard.net), held_out)
    assert tuple(scores) == SHARES
    assert all(0 <= figures["f1"] <= 1 for figures in scores.values())
    assert scores[0.0] != scores[1.0]


def test_all_of_the_new_weights_are_the_new_network(guard):
    new = moved(guard.net)
    net = weights_between(guard.net, new, 1.0)
    torch.testing.assert_close(net.head.weight, new.head.weight)
    assert not net.training


@pytest.mark.parametrize(
    ("folds", "expected"),
    [
        ([{0.0: {"f1": 0.4}, 1.0: {"f1": 0.4}}], 0.0),
        ([{0.0: {"f1": 0.4}, 1.0: {"f1": 0.9}}, {0.0: {"f1": 0.4}, 1.0: {}}], 1.0),
        ([{0.0: {}, 1.0: {}}], 0.0),
    ],
)
def test_of_equal_shares_the_smallest_is_taken_and_undefined_folds_are_left_out(folds, expected):
    assert choose_share(folds) == expected
