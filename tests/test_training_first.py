"""From labelled folders to figures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.io import imsave

from rsdetect.nets.checkpoint import load_model, save_model
from rsdetect.training.score_folder import read_pairs, score_folder


@pytest.fixture
def model() -> str:
    return "siamese-rgb"


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
    # A network that answers the other way round must score otherwise.
    net, card = load_model(model)
    with torch.no_grad():
        net.head.weight.neg_()
        net.head.bias.neg_()
    turned = tmp_path / "turned.safetensors"
    save_model(turned, net, card)
    other = score_folder(source, (1, 2, 3), str(turned))
    assert abs(other["average_precision"] - figures["average_precision"]) > 0.05
