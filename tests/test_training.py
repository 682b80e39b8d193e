"""The training loop on toy scenes: it learns, resumes to the same weights, and leaves a usable file."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rsdetect.nets.siamese import SiameseNet
from rsdetect.training.augment import CLIP, plain_chip, training_chip
from rsdetect.training.calibration import calibrate
from rsdetect.training.curves import Counts
from rsdetect.training.loop import Recipe, draw_batch, start, train, train_step
from rsdetect.training.losses import change_loss
from rsdetect.training.scenes import Scene, ScenePool

torch.set_num_threads(1)  # two threads on a busy machine wait for each other ten times longer

SIZE = 64
RGB = ("red", "green", "blue")


def toy_scene(seed: int, size: int = SIZE) -> Scene:
    """Grey ground in other light on each date; bright squares come or go."""
    rng = np.random.default_rng(seed)
    ground = 90 + 12 * rng.standard_normal((3, size, size))
    dates = [ground.copy(), ground * rng.uniform(0.7, 1.2) + 8]
    truth = np.zeros((size, size), np.uint8)
    for _ in range(3):
        row, col = rng.integers(0, size - 16, 2)
        square = (slice(row, row + 16), slice(col, col + 16))
        dates[rng.integers(2)][(..., *square)] += 120
        truth[square] = 1
    valid = np.ones((size, size), bool)
    valid[:, :3] = False
    cloud = np.zeros_like(valid)
    cloud[-6:] = True
    before, after = (np.clip(date, 1, 255).astype(np.uint8) * valid for date in dates)
    return Scene(before, after, truth, valid, cloud, RGB)


def write_pool(folder: Path, use: str, count: int) -> ScenePool:
    pool = ScenePool(folder, use, SIZE)
    for number in range(count):
        scene = toy_scene(number + (1000 if use == "validation" else 0))
        np.savez(pool.path(number), **vars(scene))
    return pool


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> tuple[ScenePool, ScenePool]:
    folder = tmp_path_factory.mktemp("scenes")
    return write_pool(folder, "train", 12), write_pool(folder, "validation", 4)


def small_net() -> SiameseNet:
    torch.manual_seed(0)
    return SiameseNet(3, (8, 12, 16), 12)


RECIPE = Recipe(
    bands=RGB,
    steps=40,
    batch=4,
    chip_px=48,
    scenes=12,
    scenes_first=4,
    validate_every=20,
    validation_scenes=4,
)


def test_a_short_run_learns_to_see_squares(pools, tmp_path):
    run = train(small_net(), RECIPE, pools, tmp_path)
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 3
    first, last = (float(row.split(",")[2]) for row in rows[1:])
    assert last < 0.8 * first
    assert run.best > 0.6, "random scores give 0.19, the share of changed pixels"


def test_a_run_that_was_stopped_ends_with_the_same_weights(pools, tmp_path):
    whole = start(small_net(), RECIPE)
    for step in range(6):
        train_step(whole, RECIPE, draw_batch(pools[0], RECIPE, step))
    first = start(small_net(), RECIPE)
    for step in range(3):
        train_step(first, RECIPE, draw_batch(pools[0], RECIPE, step))
    first.save(tmp_path / "state.safetensors")
    second = start(SiameseNet(3, (8, 12, 16), 12), RECIPE)
    second.load(tmp_path / "state.safetensors")
    assert second.step == 3
    for step in range(3, 6):
        train_step(second, RECIPE, draw_batch(pools[0], RECIPE, step))
    for of in ("net", "average"):
        expected = getattr(whole, of).state_dict()
        for key, value in getattr(second, of).state_dict().items():
            torch.testing.assert_close(value, expected[key], rtol=1e-4, atol=1e-5)


def test_a_finished_run_is_not_trained_again(pools, tmp_path):
    recipe = dataclasses.replace(RECIPE, steps=2)
    train(small_net(), recipe, pools, tmp_path)
    state = load_file(tmp_path / "state.safetensors")
    run = train(small_net(), recipe, pools, tmp_path)
    assert run.step == 2
    torch.testing.assert_close(run.net.state_dict()["head.weight"], state["net.head.weight"])


def test_chips_repeat_with_their_seed_and_differ_between_seeds():
    one, same, other = (training_chip(toy_scene(0), 48, RGB, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(one.before, same.before)
    assert not np.array_equal(one.before, other.before)


def test_a_chip_carries_its_truth_along(pools):
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


def test_the_loss_ignores_pixels_without_weight():
    logit, truth, weight = torch.randn(2, 8, 8), torch.zeros(2, 8, 8), torch.ones(2, 8, 8)
    weight[:, :4] = 0
    loud = logit.clone()
    loud[:, :4] = 50.0
    torch.testing.assert_close(change_loss(loud, truth, weight), change_loss(logit, truth, weight))


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
    calibration, counts = calibrate(Distorted(), [chip], share)
    assert calibration.temperature == pytest.approx(3, rel=0.05)
    assert calibration.offset == pytest.approx(-2, abs=0.2)
    assert counts.calibration_error() < 0.02
    # Where change is rarer, the odds of all probabilities fall by one and the same factor.
    rarer, counts = calibrate(Distorted(), [chip], 0.05)
    odds = np.log(share / (1 - share)) - np.log(0.05 / 0.95)
    assert rarer.offset / rarer.temperature == pytest.approx(-2 / 3 - odds, abs=0.1)
    assert counts.calibration_error() < 0.02


def test_curves_against_figures_worked_by_hand():
    p = np.array([0.9, 0.8, 0.7, 0.2], dtype=np.float32)
    truth = np.array([True, False, True, False])
    counts = Counts.total(
        [Counts.of(p[:2], truth[:2], np.ones(2, bool)), Counts.of(p[2:], truth[2:], np.ones(2, bool))]
    )
    assert counts.average_precision() == pytest.approx((1 + 2 / 3) / 2)
    assert counts.f1_at(0.75) == pytest.approx(0.5)
    assert counts.best() == (pytest.approx(0.7, abs=2e-4), pytest.approx(0.8))
    assert Counts.of(p, truth, ~truth).changed.sum() == 0
