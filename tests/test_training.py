"""Chips and calibration: what the network is shown, and that its probabilities mean what they say."""

import dataclasses

import numpy as np
import pytest
import torch
from toy_training import RGB, toy_scene

from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.augment import CLIP, plain_chip, training_chip
from rsdetect.training.batches import stack
from rsdetect.training.calibration import calibrate, count_logits, recount

torch.set_num_threads(1)  # two threads on a busy machine wait for each other ten times longer


def test_chips_repeat_with_their_seed_and_differ_between_seeds():
    one, same, other = (training_chip(toy_scene(0), 48, RGB, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one.before, same.before)
    assert not np.array_equal(one.before, other.before)


def test_a_chip_carries_its_truth_along():
    # Squares are brighter than the ground on one date, so change and difference must stay together
    # whatever was turned, cropped, enlarged and recoloured.
    overlaps = []
    for seed in range(40):
        chip = training_chip(toy_scene(seed), 48, RGB, np.random.default_rng(seed))
        assert chip.before.shape == (3, 48, 48)
        assert chip.truth.shape == chip.weight.shape == (48, 48)
        difference = np.abs(chip.after - chip.before).mean(axis=0)
        use = chip.weight > 0
        changed, still = difference[use & (chip.truth > 0)], difference[use & (chip.truth == 0)]
        if changed.size and still.size:
            overlaps.append(changed.mean() > 2 * still.mean())
    assert np.mean(overlaps) > 0.8


def test_a_chip_is_normalised_as_inference_does_it():
    chip = plain_chip(toy_scene(3), RGB)
    inside = chip.before[:, :, 3:]
    assert abs(float(np.median(inside))) < 0.1
    assert float(np.abs(chip.before).max()) <= CLIP
    assert not chip.before[:, :, :3].any()
    assert not chip.weight[:, :3].any()


def test_change_under_an_unmasked_cloud_is_not_learned_from():
    scene = toy_scene(5)
    scene.truth[-6:, 10:20] = 1
    chip = plain_chip(scene, RGB)
    assert not chip.weight[-6:, 10:20].any()
    assert chip.weight[-6:][scene.truth[-6:] == 0][3:].mean() > 0.9


def test_calibration_finds_back_how_logits_were_distorted():
    # A network stand-in whose logits are three times what the truth was drawn from, plus two.
    rng = np.random.default_rng(0)
    logit = rng.normal(-1, 1.5, (256, 256)).astype(np.float32)
    truth = (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    chip = plain_chip(toy_scene(0, 256), RGB)
    chip = dataclasses.replace(chip, truth=truth, weight=np.ones_like(truth))

    class Distorted(SiameseNet):
        def forward(self, before, after):
            return 3 * torch.from_numpy(logit)[None] + 2

    share = float(truth.mean())
    logits = count_logits(Distorted(), [stack([chip])])
    calibration = calibrate(logits)
    assert calibration.change_share == pytest.approx(share)
    assert calibration.temperature == pytest.approx(3, rel=0.05)
    assert calibration.offset == pytest.approx(-2, abs=0.2)
    assert recount(logits, calibration).calibration_error() < 0.02
    # Where change is rarer, the odds of all probabilities fall by one and the same factor.
    rarer = calibrate(logits, 0.05)
    odds = np.log(share / (1 - share)) - np.log(0.05 / 0.95)
    assert rarer.offset / rarer.temperature == pytest.approx(-2 / 3 - odds, abs=0.1)
    assert recount(logits, rarer, 0.05).calibration_error() < 0.02
