"""A network sees mirrored ground beyond the scene, but not beyond a tile or an area of interest."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from rsdetect.checks.scan import Scan
from rsdetect.detectors import make_detector
from rsdetect.nets.checkpoint import read_card
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.tiles import plan_tiles
from support.memory import memory_scene
from support.scenes import textured_scene
from support.whole_scene import in_one_call, put_together


def dates(height, width):
    return [textured_scene(seed, 3, height, width, "uint8") for seed in (1, 2)]


@pytest.mark.parametrize("backend", ["torch", pytest.param("onnx", marks=pytest.mark.eight_bit)])
def test_beyond_the_scene_lies_its_mirror_image(backend):
    given = dates(90, 70)
    pair = open_pair(*map(memory_scene, given))
    larger = open_pair(
        *(memory_scene(np.pad(date, ((0, 0), (64, 64), (64, 64)), "symmetric")) for date in given)
    )
    scorer = make_detector("siamese", backend=backend).fit(Scan(pair))
    expected = in_one_call(larger, replace(scorer, covered=larger.covered))[64:-64, 64:-64]
    np.testing.assert_allclose(in_one_call(pair, scorer), expected, atol=1e-5)
    np.testing.assert_allclose(put_together(pair, scorer, (64, 40)), expected, atol=1e-5)


def test_thin_and_thick_strips_mirror_alike(monkeypatch):
    pair = open_pair(*map(memory_scene, dates(150, 70)))
    scorer = make_detector("siamese", backend="torch").fit(Scan(pair))
    usual = in_one_call(pair, scorer)
    monkeypatch.setattr("rsdetect.scoring.core._WIDE", 0)  # rows above the scene fill pushes of their own
    np.testing.assert_allclose(in_one_call(pair, scorer), usual, atol=1e-5)
    plan = plan_tiles(pair.grid, (64, 64), scorer.halo, scorer.stride, lead=(40, 24))
    monkeypatch.setattr("support.whole_scene.plan_tiles", lambda *_: plan)
    np.testing.assert_allclose(put_together(pair, scorer, 64), usual, atol=1e-5)


def test_neither_an_area_of_interest_nor_missing_pixels_are_mirrored():
    given = dates(70, 200)
    given[0][:, :30, 80:90] = 0
    area = shapely.box(70, 0, 120, 50)
    whole = open_pair(*(memory_scene(date, nodata=0) for date in given))
    to_ground = lambda xy: np.stack(whole.grid.transform @ (xy[:, 0], xy[:, 1]), axis=1)  # noqa: E731
    options = PairOptions(aoi=shapely.transform(area, to_ground))
    pair = open_pair(*(memory_scene(date, nodata=0) for date in given), options)
    assert (pair.covered.row_off, pair.covered.col_off, *pair.covered.shape) == (0, -64, 70, 200)
    scorer = make_detector("siamese", backend="torch").fit(Scan(pair))
    tile = read_tile(pair, next(iter(plan_tiles(pair.grid, 128, scorer.halo, scorer.stride))))
    seen = scorer.normalised(tile, read_card(scorer.model)).any(axis=(0, 1))
    expected, top = tile.valid.copy(), -tile.read.row_off
    assert expected.sum() == 50 * 50 - 30 * 10, "the area without the missing pixels"
    expected[top - 58 : top] = tile.valid[top : top + 58][::-1]
    expected[top + 70 : top + 128] = tile.valid[top + 12 : top + 70][::-1]
    assert (seen != expected).mean() < 1e-3, "a pixel may be the median of every band"
