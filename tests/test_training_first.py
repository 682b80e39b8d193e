"""From scenes to a model file that the detector takes, and from labelled folders to figures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave
from test_training import write_pool

from rsdetect.detectors.learned import SiameseDetector
from rsdetect.nets.checkpoint import load_model, save_model
from rsdetect.training import first_model
from rsdetect.training.loop import Recipe, start
from rsdetect.training.scenes import FIRST_SEED, ScenePool
from rsdetect.training.score_folder import read_pairs, score_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the script writes it, of an untrained network."""
    folder = tmp_path_factory.mktemp("model")
    held_out = {use: write_pool(folder, use, 2) for use in ("calibration", "test")}
    with torch.random.fork_rng(), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        patch.setattr(first_model, "HELD_OUT", 2)
        net = first_model.ARCHITECTURE.build()
        card = first_model.make_card(start(net, Recipe()), Recipe(), net, held_out)
    path = folder / "model.safetensors"
    save_model(path, net, card)
    return path


def test_the_script_writes_a_file_that_the_detector_takes(model):
    net, card = load_model(model)
    assert card.reach_px <= 64
    assert card.calibration.change_share == first_model.CHANGE_SHARE
    assert set(card.scores) == {"simulated, held out"}
    assert SiameseDetector(str(model)).bands == ("red", "green", "blue") == card.bands
    assert not net.training


def test_uses_of_scenes_never_share_a_seed():
    firsts = sorted(FIRST_SEED.values())
    assert min(np.diff(firsts)) > 10 * Recipe().scenes


def test_a_scene_that_is_never_rendered_is_not_waited_for_endlessly(tmp_path):
    with pytest.raises(TimeoutError, match="train-64-000007"):
        ScenePool(tmp_path, "train", 64).load(7, patience_s=0.3)


@pytest.mark.parametrize("small_pixels", [0.0, 1.0])
def test_rendered_scenes_come_back_as_red_green_blue(tmp_path, small_pixels):
    pool = ScenePool(tmp_path, "train", 64, small_pixels)
    pool.render(0)
    scene = pool.load(0)
    assert scene.before.shape == scene.after.shape == (3, 64, 64)
    assert scene.before.dtype == (np.uint16 if small_pixels else np.uint8)
    assert scene.valid.dtype == scene.cloud.dtype == np.bool_
    written = pool.path(0).stat().st_mtime_ns
    pool.render(0)
    assert pool.path(0).stat().st_mtime_ns == written, "what is there is not rendered again"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two labelled pairs: PNG labels of 0 and 255; in the second, 1, 0 and 255 for not labelled."""
    rng = np.random.default_rng(0)
    for date in ("A", "B", "label"):
        (tmp_path / date).mkdir()
    for number in range(2):
        image = rng.integers(50, 90, (50, 70, 3)).astype(np.uint8)
        changed = np.zeros((50, 70), bool)
        changed[10:30, 20:50] = True
        imsave(tmp_path / "A" / f"{number}.png", image, check_contrast=False)
        image[changed] += 100
        imsave(tmp_path / "B" / f"{number}.png", image, check_contrast=False)
        label = changed.astype(np.uint8) * (255 if number == 0 else 1)
        if number:
            label[40:] = 255
        imsave(tmp_path / "label" / f"{number}.png", label, check_contrast=False)
    return tmp_path


def test_labels_are_read_in_both_codes(source):
    first, second = read_pairs(source, (3, 2, 1))
    assert first.truth.sum() == second.truth.sum() == 600
    assert first.labelled.all()
    assert not second.labelled[40:].any()
    assert second.labelled[:40].all()
    (plain, _) = read_pairs(source, (1, 2, 3))
    np.testing.assert_array_equal(plain.before[0], first.before[2])


def test_a_folder_is_scored_through_the_detector(source, model, tmp_path):
    figures = score_folder(source, (1, 2, 3), str(model))
    assert figures["f1_low"] <= figures["f1"] <= figures["f1_high"]
    share = 1200 / (3500 + 2800)
    everything = 2 * share / (1 + share)
    assert figures["f1_best"] >= round(everything, 3), "marking everything is one of the thresholds"
    # A network that answers the other way round must score otherwise.
    net, card = load_model(model)
    with torch.no_grad():
        net.head.weight.neg_()
        net.head.bias.neg_()
    turned = tmp_path / "turned.safetensors"
    save_model(turned, net, card)
    other = score_folder(source, (1, 2, 3), str(turned))
    assert abs(other["average_precision"] - figures["average_precision"]) > 0.05
