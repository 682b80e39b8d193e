"""Normalising a pair: maps between dates against known ones, large true change, seams, odd scenes."""

from __future__ import annotations

import json
from dataclasses import asdict

import geopandas
import numpy as np
import pytest

import rsdetect
from rsdetect.checks.scan import Scan
from rsdetect.detectors import DETECTORS, find_detector
from rsdetect.detectors.normalise import fit_normalisation, normalise
from rsdetect.errors import InputError, NothingToCompare
from rsdetect.grid import Window
from rsdetect.scenes.normalisation import NORMALISATIONS, PairNormalisation
from rsdetect.scenes.pair import PairOptions, open_pair, read_tile
from rsdetect.scoring.core import score_core
from rsdetect.stats import PixelSample
from rsdetect.tiles import TileWindow, plan_tiles
from support.memory import memory_scene
from support.odd_scenes import ODD
from support.scenes import textured_scene, write_scene

MAPPING = [method for method in NORMALISATIONS if method not in ("percentile", "none")]
GAINS, OFFSETS = np.array([1.4, 0.8, 1.1]), np.array([-20.0, 30.0, 5.0])


def pair_with_change(share, *, height=120, width=150, seed=0):
    """Before; after in another radiometry with noise, and other ground in the left `share`; the truth."""
    rng = np.random.default_rng(seed)
    bands = [textured_scene(seed + i, 1, height, width, "float32", sharpness=3)[0] for i in range(3)]
    before = np.stack(bands) + rng.normal(0, 2, (3, height, width))
    after = before * GAINS[:, None, None] + OFFSETS[:, None, None] + rng.normal(0, 2, before.shape)
    truth = np.zeros((height, width), bool)
    truth[:, : round(width * share)] = True
    after[:, truth] = 280 + rng.normal(0, 15, (3, int(truth.sum())))
    return before.astype(np.float32), after.astype(np.float32), truth


def sample_of(before, after):
    return PixelSample(before.reshape(len(before), -1), after.reshape(len(after), -1))


def prepared(before, after, method):
    pair = open_pair(memory_scene(before), memory_scene(after))
    return normalise(Scan(pair), method)


def scored(pair, scorer, size=None):
    whole = np.full(pair.grid.shape, np.nan, np.float32)
    for tile in plan_tiles(pair.grid, size or max(pair.grid.shape), scorer.halo, scorer.stride):
        whole[tile.core.slices_in(pair.grid.window)] = score_core(pair, scorer, tile)
    return whole


def f1(marked, truth):
    return 2 * (marked & truth).sum() / (marked.sum() + truth.sum())


@pytest.mark.parametrize("method", ["robust", "irmad"])
@pytest.mark.parametrize("share", [0, 0.3, 0.55])
def test_gain_and_offset_are_those_of_the_pixels_that_did_not_change(method, share):
    before, after, _ = pair_with_change(share)
    found = fit_normalisation(sample_of(before, after), method)
    np.testing.assert_allclose(found.gains, 1 / GAINS, rtol=0.03)
    np.testing.assert_allclose(found.offsets, -OFFSETS / GAINS, atol=4)


def test_histograms_become_equal_whatever_the_monotone_change():
    before, _, _ = pair_with_change(0)
    after = np.exp(before / 60).astype(np.float32)
    found = fit_normalisation(sample_of(before, after), "histogram")
    back = found.apply(after, np.ones(after.shape[1:], bool))
    assert np.abs(back - before).mean() < 0.5


def test_cva_finds_a_change_of_half_the_scene_where_percentiles_do_not():
    before, after, truth = pair_with_change(0.5)
    found = {}
    for method in NORMALISATIONS:
        scan = prepared(before, after, method)
        scorer = find_detector("cva")().fit(scan)
        found[method] = f1(scored(scan.pair, scorer) >= scorer.threshold, truth)
    assert found["percentile"] < 0.8
    assert min(found["robust"], found["irmad"]) > 0.98


@pytest.mark.parametrize("method", NORMALISATIONS)
@pytest.mark.parametrize("name", ["cva", "sfa", "log-ratio"])
def test_tiles_have_no_seams_and_a_fit_repeats(method, name):
    before, after, _ = pair_with_change(0.2)
    scan = prepared(before, after, method)
    scorer = find_detector(name)().fit(scan)
    again = find_detector(name)().fit(Scan(scan.pair, workers=3))
    assert again == scorer
    whole = scored(scan.pair, scorer)
    np.testing.assert_allclose(scored(scan.pair, scorer, 64), whole, atol=1e-5)


@pytest.mark.parametrize("method", NORMALISATIONS)
def test_equal_dates_have_no_change(method):
    before, _, _ = pair_with_change(0)
    scan = prepared(before, before, method)
    scorer = find_detector("cva")().fit(scan)
    assert not scored(scan.pair, scorer).any()


def test_percentile_reads_and_fits_as_without_the_option():
    before, after, _ = pair_with_change(0.1)
    scan = prepared(before, after, "percentile")
    assert scan.pair.normalisation == PairNormalisation()
    tile = read_tile(scan.pair, TileWindow(0, 0, Window(0, 0, 9, 9), Window(0, 0, 9, 9)))
    np.testing.assert_array_equal(tile.after, after[:, :9, :9])


def test_invalid_pixels_stay_zero_and_affect_no_map():
    before, after, _ = pair_with_change(0.1)
    found = []
    for hidden in (-5, -900):
        odd = after.copy()
        odd[:, 20:50, 60:90] = hidden
        pair = open_pair(memory_scene(before), memory_scene(odd, nodata=hidden))
        scan = normalise(Scan(pair), "robust")
        window = Window(20, 60, 10, 10)
        tile = read_tile(scan.pair, TileWindow(0, 0, window, window))
        assert not tile.after.any()
        found.append(scan.pair.normalisation)
    assert found[0] == found[1]


@pytest.mark.parametrize("method", MAPPING)
@pytest.mark.parametrize("odd", ODD)
def test_odd_scenes_give_probabilities_or_are_refused(method, odd):
    array = ODD[odd]
    other = array[:, ::-1, ::-1].copy()
    try:
        scan = prepared(array, other, method)
        scorer = find_detector("cva")().fit(scan)
    except (InputError, NothingToCompare):
        return
    percent = scored(scan.pair, scorer)
    window = scan.pair.grid.window
    valid = read_tile(scan.pair, TileWindow(0, 0, window, window)).valid
    assert np.isfinite(percent[valid]).all()


def test_too_few_pixels_and_unknown_methods_are_refused():
    few = np.arange(3 * 9, dtype=np.float32).reshape(3, 3, 3)
    with pytest.raises(InputError, match="requires at least 100 pixels that are valid on both dates"):
        prepared(few, few + 1, "robust")
    with pytest.raises(InputError, match=r"`normalise` 'mean' is unknown; choose one of percentile, none"):
        PairOptions(normalise="mean")


def test_every_built_in_detector_takes_a_normalised_pair():
    before, after, truth = pair_with_change(0.2)
    scan = prepared(before, after, "robust")
    for name in set(DETECTORS) - {"best", "siamese"}:
        scorer = find_detector(name)().fit(scan)
        probability = scored(scan.pair, scorer)
        assert probability[truth].mean() > probability[~truth].mean(), name


def test_a_job_records_the_map_and_vectorize_reads_it(tmp_path):
    before, after, _ = pair_with_change(0.3)
    scenes = write_scene(tmp_path / "before.tif", before), write_scene(tmp_path / "after.tif", after)
    out = tmp_path / "out"
    done = {}
    for method in ("percentile", "robust"):
        changes = rsdetect.detect(
            *scenes, out=out, detector="cva", normalise=method, quiet=True, overwrite=True
        )
        done[method] = changes.record
    assert done["percentile"]["fingerprint"] != done["robust"]["fingerprint"]
    assert done["percentile"]["normalisation"] == json.loads(json.dumps(asdict(PairNormalisation())))
    np.testing.assert_allclose(done["robust"]["normalisation"]["gains"], 1 / GAINS, rtol=0.03)
    drawn = geopandas.read_file(out / "changes.gpkg", layer="changes")
    rsdetect.vectorize(out)
    again = geopandas.read_file(out / "changes.gpkg", layer="changes")
    columns = [name for name in drawn.columns if name.startswith("difference")]
    assert columns
    np.testing.assert_allclose(again[columns], drawn[columns], rtol=1e-5)
