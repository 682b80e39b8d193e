"""Ground that is equal on both dates is never change, whatever a detector makes of its surroundings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.ndimage import minimum_filter

from rsdetect.checks.scan import Scan
from rsdetect.detectors import Scorer, find_detector
from rsdetect.scenes.pair import open_pair
from support.memory import memory_scene
from support.scenes import random_scene, textured_scene
from support.whole_scene import in_one_call, put_together


@dataclass(frozen=True)
class Everything(Scorer):
    """Marks all there is, at once or in strips."""

    halo: int = 0
    strips: bool = False
    name = "everything"
    late = 0

    def score(self, tile):
        return np.ones(tile.valid.shape, np.float32)

    def strip(self, height, width):
        return self

    def push(self, rows):
        return self.score(rows)


def half_equal(seed=5, height=90, width=110):
    rng = np.random.default_rng(seed)
    before = random_scene(rng, 2, height, width, "float32")
    after = before.copy()
    after[0][rng.random((height, width)) < 0.02] += 1
    return before, after


@pytest.mark.parametrize("strips", [False, True])
@pytest.mark.parametrize("halo", [0, 1, 2, 7])
def test_equal_pixels_are_0_and_with_a_halo_equal_squares_of_5_pixels(halo, strips):
    before, after = half_equal()
    pair = open_pair(memory_scene(before), memory_scene(after))
    equal = (before == after).all(axis=0)
    expected = ~minimum_filter(equal, 2 * min(halo, 2) + 1, mode="constant", cval=True)
    scorer = Everything(halo, strips)
    for scores in (in_one_call(pair, scorer), put_together(pair, scorer, 32)):
        np.testing.assert_array_equal(scores, expected.astype(np.float32))


@pytest.mark.parametrize("name", ["cva", "sfa", "texture", "best"])
def test_a_large_change_does_not_make_change_of_ground_that_is_equal(name):
    before = textured_scene(2, 3, 160, 170, "float32")
    after = before.copy()
    after[:, 40:90, 50:120] = 128 + np.random.default_rng(0).normal(0, 60, (3, 50, 70))
    pair = open_pair(memory_scene(before), memory_scene(after))
    scorer = find_detector(name)().fit(Scan(pair))
    scores = in_one_call(pair, scorer)
    equal = (before == after).all(axis=0)
    assert not scores[minimum_filter(equal, 5)].any()
    assert (scores[45:85, 55:115] >= scorer.threshold).mean() > 0.5
