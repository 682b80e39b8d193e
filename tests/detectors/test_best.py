"""The default detector: the mean of its parts' evidence, over a square that follows the pixel size."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from affine import Affine
from scipy.ndimage import uniform_filter

import rsdetect
from rsdetect.checks.scan import Scan
from rsdetect.detectors import DEFAULT_DETECTOR, make_detector, named
from rsdetect.detectors.best import BUILDINGS_MODEL, BestDetector, half_width, pixel_size_m
from rsdetect.detectors.learned import DEFAULT_MODEL, SiameseDetector
from rsdetect.errors import InputError
from rsdetect.grid import Grid, Window
from rsdetect.jobs.check_detector import check_contract
from rsdetect.nets.checkpoint import read_card
from rsdetect.scenes.pair import open_pair, read_tile
from rsdetect.simulation import SceneSpec
from rsdetect.simulation.scene import render_whole
from rsdetect.tiles import TileWindow
from support.memory import memory_scene
from support.scenes import random_scene, textured_scene
from support.whole_scene import in_one_call, put_together


def memory_pair(bands=3, height=200, width=168, seed=0, **scene):
    before = textured_scene(seed, bands, height, width, "float32")
    after = before + np.random.default_rng(seed + 1).normal(0, 12, before.shape).astype(np.float32)
    after[:, 60:120, 50:110] += 80
    return open_pair(memory_scene(before, **scene), memory_scene(after, **scene))


def of_pixel(size):
    """Georeference of a scene with pixels of this size in metres; None = none."""
    return {"crs": None} if size is None else {"crs": 32632, "transform": Affine(size, 0, 6e5, 0, -size, 5e6)}


def whole_tile(pair):
    window = Window(0, 0, *pair.grid.shape)
    return read_tile(pair, TileWindow(0, 0, window, window))


def test_it_is_the_default_and_a_model_alone_still_means_siamese():
    assert BestDetector.name == DEFAULT_DETECTOR
    assert isinstance(make_detector(), BestDetector)
    assert isinstance(make_detector(model="siamese-buildings"), SiameseDetector)
    assert named(None, "siamese") == "siamese"


def test_a_model_is_refused_and_siamese_named_for_it():
    with pytest.raises(InputError, match="detector='siamese'"):
        make_detector("best", model="siamese-buildings")


def test_the_contract_is_kept():
    check_contract(BestDetector())


@pytest.mark.parametrize("pixel", [None, 10, 30])
def test_the_probability_is_the_logistic_function_of_the_mean_evidence_of_the_parts(pixel):
    pair = memory_pair(height=208, width=176, **of_pixel(pixel))  # multiples of the stride
    scorer = BestDetector().fit(Scan(pair))
    tile = whole_tile(pair)
    evidence = scorer.sfa.log_ratio(tile) + scorer.texture.log_ratio(tile)
    for network in scorer.networks:
        probability = np.clip(network.score(tile).astype(np.float64), 1e-6, 1 - 1e-6)
        evidence = evidence + np.log(probability / (1 - probability))
    constants = scorer.provenance()
    width = constants["averaged_px"]
    assert width == 2 * half_width(pixel_size_m(pair.grid)) + 1
    mean = uniform_filter(evidence, width, mode="constant") / uniform_filter(
        np.ones_like(evidence), width, mode="constant"
    )
    expected = 1 / (1 + np.exp(-constants["weight"] * mean - constants["offset"]))
    np.testing.assert_allclose(scorer.score(tile), expected, atol=1e-4)


@pytest.mark.parametrize(("kind", "pixel"), [("vhr", 0.5), ("s2", 10)])
def test_little_is_marked_where_nothing_changed(kind, pixel):
    # Looks differ: light, season, view. In the mean of pairs 1.1 % is marked (docs/notes/best.md).
    drawn = render_whole(SceneSpec(kind=kind, height=256, width=256, seed=911, change=0, cloud=0))
    scenes = [
        memory_scene(date, transform=Affine.scale(pixel, -pixel)) for date in (drawn.before, drawn.after)
    ]
    pair = open_pair(*scenes)
    scorer = BestDetector().fit(Scan(pair))
    assert (scorer.score(whole_tile(pair)) >= scorer.threshold).mean() < 0.05


@pytest.mark.parametrize(("pixel", "stride", "half"), [(None, 16, 8), (3, 16, 1), (10, 16, 0), (30, 8, 0)])
def test_strips_and_tiles_of_any_size_give_the_whole(pixel, stride, half):
    pair = memory_pair(height=249, width=171, **of_pixel(pixel))
    scorer = BestDetector().fit(Scan(pair))
    assert (scorer.stride, scorer.half_width) == (stride, half)
    whole = in_one_call(pair, scorer)
    assert scorer.strips
    for size in (64, 136):
        np.testing.assert_allclose(put_together(pair, scorer, size), whole, atol=2e-5)


def test_invalid_pixels_are_no_part_of_a_mean():
    rng = np.random.default_rng(3)
    before, after = (random_scene(rng, 3, 150, 140, "float32") for _ in range(2))
    scores = []
    for fill in (-9999.0, 1e4):
        dates = [date.copy() for date in (before, after)]
        for date in dates:
            date[:, 40:60, 30:90] = fill
        pair = open_pair(*(memory_scene(date, nodata=fill) for date in dates))
        scores.append(in_one_call(pair, BestDetector().fit(Scan(pair))))
    np.testing.assert_array_equal(*scores)
    assert np.isnan(scores[0][45:55, 40:80]).all() and not np.isnan(scores[0][:40]).any()


@pytest.mark.parametrize(
    ("crs", "pixel", "expected"),
    [(32632, 10.0, 10.0), (4326, 1e-4, 9.3), (2225, 10.0, 3.048), (None, 1.0, None)],
)
def test_the_pixel_size_is_one_in_metres_on_the_ground(crs, pixel, expected):
    wkt = None if crs is None else pyproj.CRS(crs).to_wkt()
    x, y = (11.0, 48.0) if crs == 4326 else (6e5, 5e6 if crs == 32632 else 2e6)
    grid = Grid(wkt, Affine(pixel, 0, x, 0, -pixel, y), height=10, width=10)
    assert pixel_size_m(grid) == (None if expected is None else pytest.approx(expected, rel=0.03))


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        (None, {"siamese": (2,), "siamese-buildings": (1,)}),
        (0.5, {"siamese": (2,), "siamese-buildings": (1,)}),
        (4.9, {"siamese": (2,), "siamese-buildings": (1,)}),
        (5, {"siamese": (1, 2)}),
        (10, {"siamese": (1, 2)}),
        (20, {"siamese": (1,)}),
        (30, {"siamese": (1,)}),
    ],
)
def test_the_networks_and_their_resolutions_depend_on_the_pixel_size(pixel, expected):
    scorer = BestDetector().fit(Scan(memory_pair(height=64, width=96, **of_pixel(pixel))))
    assert {network.model: network.blocks for network in scorer.networks} == expected
    parts = scorer.provenance()["parts"]
    for name, blocks in expected.items():
        assert parts[name]["resolutions"] == [1 / edge for edge in blocks]


def test_both_networks_read_the_same_bands():
    cards = [read_card(name) for name in (DEFAULT_MODEL, BUILDINGS_MODEL)]
    assert len({(card.bands, card.required) for card in cards}) == 1


def logits_of(pair, scorer):
    probability = np.clip(in_one_call(pair, scorer).astype(np.float64), 1e-6, 1 - 1e-6)
    return np.log(probability / (1 - probability))


def test_half_the_resolution_is_the_network_on_blocks_of_four_pixels():
    pair = memory_pair(height=64, width=96)
    plain = SiameseDetector().fit(Scan(pair))
    half, both = (logits_of(pair, plain.with_half_resolution(alone=alone)) for alone in (True, False))
    np.testing.assert_array_equal(half[::2, ::2], half[1::2, 1::2])
    np.testing.assert_allclose(both, (logits_of(pair, plain) + half) / 2, atol=0.01)
    assert np.abs(both - half).max() > 0.1


def test_evidence_is_averaged_over_fewer_pixels_where_they_are_larger():
    widths = [half_width(size) for size in (0.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 250.0)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == half_width(None) == 8 and widths[-2:] == [0, 0]


def test_the_record_holds_the_model_and_what_each_part_was_fitted_to(tmp_path):
    from support.jobs import changed_pair

    scenes = changed_pair(tmp_path, crs=None)
    result = rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out")
    detector = result.record["detector"]
    assert detector["name"] == "best"
    assert detector["model_sha256"] == detector["parts"]["siamese"]["model_sha256"]
    assert set(detector["parts"]) == {"siamese", "siamese-buildings", "sfa", "texture"}
    buildings = detector["parts"]["siamese-buildings"]["model_sha256"]
    assert detector["parameters"] == {"siamese-buildings": buildings}
