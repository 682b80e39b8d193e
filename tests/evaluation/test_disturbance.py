"""Synthetic disturbances change the after scene alone, and their figures stand beside the others."""

from dataclasses import replace

import numpy as np
import pytest

from rsdetect.errors import InputError
from rsdetect.evaluation import evaluate
from rsdetect.evaluation.disturbance import DISTURBANCES, disturb
from rsdetect.scenes.displacement import Displacement
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.scenes.scene import read_scene
from rsdetect.tiles import TileWindow
from support.labelled_sets import write_set
from support.memory import memory_scene
from support.scenes import textured_scene


@pytest.mark.parametrize("bands", [1, 3, 4])
@pytest.mark.parametrize("name", DISTURBANCES)
def test_only_the_after_scene_is_disturbed_and_holes_stay(name, bands):
    before, after = (textured_scene(seed, bands, 60, 80, "uint16") for seed in (1, 2))
    after[:, 10:20, 30:50] = 0
    pair = open_pair(*(memory_scene(date, nodata=0) for date in (before, after)))
    window = pair.grid.window
    plain, found = (read_tile(each, TileWindow(0, 0, window, window)) for each in (pair, disturb(pair, name)))
    np.testing.assert_array_equal(found.before, plain.before)
    np.testing.assert_array_equal(found.valid, plain.valid)
    changed = np.abs(found.after - plain.after)[:, plain.valid]
    low, high = np.percentile(plain.after[:, plain.valid], (2, 98))
    assert 0 < changed.mean() < 0.5 * (high - low)
    again = read_tile(disturb(pair, name), TileWindow(0, 0, window, window))
    np.testing.assert_array_equal(again.after, found.after)


def test_disturbances_are_as_strong_as_documented():
    """The figures of docs/evaluation.md, on a scene without holes."""
    pair = open_pair(*(memory_scene(textured_scene(seed, 3, 60, 80, "uint16")) for seed in (1, 2)))
    window = TileWindow(0, 0, pair.grid.window, pair.grid.window)
    plain = read_tile(pair, window).after
    noise, haze, gain = (read_tile(disturb(pair, name), window).after for name in ("noise", "haze", "gain"))
    darkest, low, high, brightest = np.percentile(plain, (0.1, 2, 98, 99.9), axis=(1, 2))[..., None, None]
    assert ((noise - plain) / (high - low)).std() == pytest.approx(0.05, rel=0.03)
    np.testing.assert_allclose(haze[..., 0], plain[..., 0])
    np.testing.assert_allclose(haze[..., -1], (0.4 * plain + 0.6 * high)[..., -1], rtol=1e-5)
    expected = np.minimum(darkest + 1.4 * (plain - darkest), brightest)
    np.testing.assert_allclose(gain, expected, rtol=1e-4, atol=1e-2)


def test_a_displaced_scene_is_not_displaced_again(monkeypatch):
    before, after = (textured_scene(seed, 1, 60, 80, "uint16") for seed in (1, 2))
    pair = open_pair(memory_scene(before), memory_scene(after))
    pair = replace(pair, after=replace(pair.after, displacement=Displacement.constant(2, 3)))
    monkeypatch.setitem(DISTURBANCES, "noise", lambda pixels, valid: pixels)
    window = pair.grid.window
    expected, found = (read_scene(each.after, window) for each in (pair, disturb(pair, "noise")))
    assert not expected[1].all() and expected[1].any()
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_figures_under_disturbances_stand_beside_the_others(tmp_path):
    folder = write_set(tmp_path / "set")
    found = evaluate([folder], detector="cva", shifts_px=(1,), disturb=("noise", "haze"))
    assert found.disturb == ("noise", "haze")
    figures = {name: each.value for name, each in found.sources[0].figures.items()}
    for name in ("shift_1_px", "noise", "haze"):
        assert figures[f"{name}_f1_loss"] == pytest.approx(figures["f1"] - figures[f"{name}_f1"])


def test_an_unknown_disturbance_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"`disturb` 'rain' is unknown; choose from noise, haze"):
        evaluate([tmp_path], disturb="rain")
