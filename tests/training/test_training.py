"""Chips and calibration: what the network is shown, and that its probabilities mean what they say."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.errors import InputError
from rsdetect.metrics import STEPS, Counts
from rsdetect.nets.siamese import SiameseNet
from rsdetect.simulation.scene import render_whole
from rsdetect.simulation.training_pairs import training_spec
from rsdetect.training.augment import CLIP
from rsdetect.training.batches import PlainChips, cutmix, stack_chips
from rsdetect.training.calibration import calibrated_counts, count_logits_in_bins, fit_calibration
from rsdetect.training.chips import Chip, plain_chip, same_day_scene, training_chip, unlabelled_chip_views
from rsdetect.training.cropping import draw_crop
from rsdetect.training.scene_sources import SimulatedScenes
from rsdetect.training.training_scenes import UNKNOWN
from support.toy_training import RGB, toy_scene

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


def test_unlabelled_pixels_have_no_weight():
    scene = toy_scene(5)
    scene.truth[20:40] = UNKNOWN
    chip = plain_chip(scene, RGB)
    assert not chip.weight[20:40].any()
    assert set(np.unique(chip.truth)) <= {0.0, 1.0}
    nothing_known = dataclasses.replace(scene, truth=np.full_like(scene.truth, UNKNOWN))
    for seed in range(5):
        chip = training_chip(nothing_known, 48, RGB, np.random.default_rng(seed))
        assert not chip.weight.any()
        assert not chip.truth.any()


@given(st.integers(0, 10_000), st.sampled_from([(64, 64), (40, 90), (200, 70)]))
def test_windows_around_change_hold_change(seed, shape):
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.uint8)
    truth[rng.integers(shape[0]), rng.integers(shape[1])] = 1
    cut = draw_crop(truth, 32, rng, around_change=1.0)
    assert cut.of(truth).sum() == 1
    assert cut.of(truth).shape == (cut.edge, cut.edge)
    moved = cut.moved(np.array([-9, 9]))
    assert moved.of(truth).shape == (cut.edge, cut.edge), "a shift stays within the scene"
    assert draw_crop(0 * truth, 32, rng, around_change=1.0).edge <= min(shape)


def test_windows_without_a_wish_lie_anywhere():
    truth = np.zeros((64, 64), np.uint8)
    truth[0, 0] = 1
    rng = np.random.default_rng(0)
    assert sum(int(draw_crop(truth, 32, rng).of(truth).sum()) for _ in range(200)) < 40


@given(st.integers(0, 1000), st.floats(0, 1))
def test_mixed_chips_are_pieces_of_two(seed, share):
    rng = np.random.default_rng(seed)
    chips = [
        Chip(*(np.full(shape, 10 * number + part, np.float32) for part, shape in enumerate(_SHAPES)))
        for number in range(3)
    ]
    mixed = cutmix(chips, share, rng)
    for number, chip in enumerate(mixed):
        from_other = chip.truth != chips[number].truth
        other = chips[(number + 1) % 3]
        for name, array in vars(chip).items():
            expected = np.where(from_other, getattr(other, name), getattr(chips[number], name))
            np.testing.assert_array_equal(array, expected)
        rows, cols = np.flatnonzero(from_other.any(1)), np.flatnonzero(from_other.any(0))
        assert from_other.sum() == rows.size * cols.size, "a rectangle"
    assert share > 0 or all(one is other for one, other in zip(mixed, chips, strict=True))


_SHAPES = ((3, 16, 16), (3, 16, 16), (16, 16), (16, 16))


def test_one_day_twice_is_no_change():
    for seed in range(6):
        rng = np.random.default_rng(seed)
        scene = toy_scene(seed)
        still = same_day_scene(scene, rng)
        assert still.before is still.after
        assert still.before is scene.before or still.before is scene.after
        assert not training_chip(still, 48, RGB, rng).truth.any()


def test_two_views_show_one_place():
    agreement, chance = [], []
    for seed in range(12):
        weak, strong = unlabelled_chip_views(toy_scene(seed), 48, RGB, np.random.default_rng(seed))
        assert np.array_equal(weak.weight, strong.weight)
        assert np.abs(weak.before - strong.before).max() > 0.05, "they look different"
        one, other = (np.abs(view.after - view.before).mean(0).ravel() for view in (weak, strong))
        agreement.append(np.corrcoef(one, other)[0, 1])
        chance.append(np.corrcoef(one, other[::-1])[0, 1])
    assert np.median(agreement) > 0.6
    assert np.median(chance) < 0.4


def test_scenes_of_any_size_fit_the_network():
    scene = toy_scene(0, 70)
    narrow = dataclasses.replace(
        scene,
        **{key: getattr(scene, key)[..., :53] for key in ("before", "after", "truth", "valid", "cloud")},
    )

    class One:
        def load(self, number):
            return narrow

    before, after, truth, weight = PlainChips([(One(), 0)], RGB)[0]
    assert before.shape == after.shape == (1, 3, 80, 64)
    assert not weight[:, 70:].any()
    assert not weight[:, :, 53:].any()
    chip = plain_chip(narrow, RGB)
    np.testing.assert_array_equal(before[0, :, :70, :53], chip.before)
    np.testing.assert_array_equal(truth[0, :70, :53], chip.truth)


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
    logits = count_logits_in_bins(Distorted(), [stack_chips([chip])])
    calibration = fit_calibration(logits)
    assert calibration.change_share == pytest.approx(share)
    assert calibration.temperature == pytest.approx(3, rel=0.05)
    assert calibration.offset == pytest.approx(-2, abs=0.2)
    assert calibrated_counts(logits, calibration).calibration_error() < 0.02
    # Where change is rarer, the odds of all probabilities fall by one and the same factor.
    rarer = fit_calibration(logits, 0.05)
    odds = np.log(share / (1 - share)) - np.log(0.05 / 0.95)
    assert rarer.offset / rarer.temperature == pytest.approx(-2 / 3 - odds, abs=0.1)
    assert calibrated_counts(logits, rarer, 0.05).calibration_error() < 0.02


def test_logits_without_information_get_a_calibration_that_a_card_holds():
    counts = np.zeros(STEPS + 1, np.int64)
    counts[::1000] = 50
    calibration = fit_calibration(Counts(counts, counts), 0.05)
    assert calibration.probability(np.array([-5.0, 5.0])) == pytest.approx(0.05, abs=0.02)


def test_a_recipe_may_say_which_kinds_of_change_count():
    everything = SimulatedScenes(("vhr",))(3, 128)
    buildings = SimulatedScenes(("vhr",), ("building_new", "building_removed"))(3, 128)
    spec = training_spec(3, 128, "vhr")
    kind = render_whole(spec).kind
    assert (buildings.after == everything.after).all()
    assert (buildings.truth == np.isin(kind, (1, 2))).all()
    assert 0 < buildings.truth.sum() < everything.truth.sum()
    with pytest.raises(InputError, match="no change 'houses' to simulate; known: building_new, "):
        SimulatedScenes(counted=("houses",))
