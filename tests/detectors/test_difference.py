"""Differences of bands and of indices, their sign, and the bands they need by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import rsdetect
from rsdetect.checks.scan import Scan
from rsdetect.detectors import make_detector
from rsdetect.detectors.difference import DifferenceDetector, DifferenceScorer
from rsdetect.detectors.ratio import Standard
from rsdetect.detectors.settings import as_settings
from rsdetect.errors import InputError
from rsdetect.grid import Window
from rsdetect.scenes.indices import INDICES
from rsdetect.scenes.pair import open_pair
from rsdetect.tiles import Tile
from support.jobs import read_raster, run_here
from support.memory import memory_scene
from support.scenes import textured_scene, write_scene

NAMES = ("blue", "green", "red", "nir", "swir1", "swir2")
LOST, GREEN = np.s_[20:50, 20:50], np.s_[70:100, 60:90]  # plants that went, and that came


def fields_pair():
    """Reflectances x 10 000 with red and near infrared exchanged in two squares."""
    before = np.stack([textured_scene(band, 1, 120, 130, "float32")[0] * 2 + 500 for band in range(6)])
    before[3] += 2500
    before[(slice(None), *GREEN)] = before[(slice(None), *GREEN)][[0, 1, 3, 2, 4, 5]]
    after = before.copy()
    for place in (LOST, GREEN):
        after[(slice(None), *place)] = after[(slice(None), *place)][[0, 1, 3, 2, 4, 5]]
    return before, after


def probability(detector, before, after, names=NAMES):
    dates = [dataclasses.replace(memory_scene(date), names=names) for date in (before, after)]
    return rsdetect.score(*dates, detector=detector).values


@pytest.mark.parametrize(("sign", "lost", "came"), [("both", 1, 1), ("gain", 0, 1), ("loss", 1, 0)])
def test_gain_and_loss_of_an_index_differ(sign, lost, came):
    found = probability(DifferenceDetector(index="ndvi", sign=sign), *fields_pair()) >= 0.5
    assert found[LOST].mean() == pytest.approx(lost, abs=0.15)
    assert found[GREEN].mean() == pytest.approx(came, abs=0.15)
    found[LOST] = found[GREEN] = False
    assert found.mean() < 0.05


@pytest.mark.parametrize("index", INDICES)
def test_every_index_is_computed_from_its_bands(index):
    before, after = fields_pair()
    scorer = DifferenceDetector(index=index, level="0.1")
    dates = [dataclasses.replace(memory_scene(date), names=NAMES) for date in (before, after)]
    pair = open_pair(*dates, wanted=scorer.bands)
    fitted = scorer.fit(Scan(pair))
    assert fitted.level == 0.1
    (tile,) = Scan(pair, whole=True)._measured(lambda tile: tile)
    places = [[NAMES.index(band) for band in part] for part in INDICES[index]]
    plain = []
    for date in (before, after):
        first, second = (date[part].sum(axis=0) for part in places)
        plain.append((first - second) / (first + second))
    np.testing.assert_allclose(fitted.moved(tile)[0], plain[1] - plain[0], atol=1e-5)


def test_an_index_of_nothing_is_zero():
    standard = Standard((0.0, 0.0), (1.0, 1.0))
    scorer = DifferenceScorer("ndvi", 0, standard, standard, level=0.1)
    window, valid = Window(0, 0, 1, 2), np.ones((1, 2), bool)
    before = np.zeros((2, 1, 2), np.float32)
    after = np.array([[[0.0, 3.0]], [[0.0, 1.0]]], np.float32)
    tile = Tile(window, window, before, after, valid, valid)
    assert scorer.moved(tile).tolist() == [[[0.0, 0.5]]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": "evi"}, "index='evi' is unknown; choose one of ndvi"),
        ({"sign": "up"}, "sign='up' is unknown; choose one of both, gain, loss"),
        ({"level": "best"}, "level='best' is unknown"),
    ],
)
def test_unknown_parameters_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        DifferenceDetector(**options)


def test_a_sign_needs_an_index_or_one_band():
    before, after = fields_pair()
    with pytest.raises(InputError, match="sign='gain' needs an index or one band, and the pair has 6"):
        probability(DifferenceDetector(sign="gain"), before, after)
    found = probability(DifferenceDetector(sign="gain"), before[3:4], after[3:4], names=("nir",))
    assert found[GREEN].mean() > 0.5 > found[LOST].mean()


def test_unnamed_bands_are_refused_for_an_index_and_taken_by_number(tmp_path):
    before, after = fields_pair()
    paths = [write_scene(tmp_path / f"{n}.tif", date) for n, date in (("b", before), ("a", after))]
    command = ("detect", *paths, "--out", tmp_path / "out", "--detector", "difference", "--quiet")
    command += ("--detector-options", "index=ndvi,sign=loss,level=kittler")
    told = run_here(*command)
    assert told.status == 2 and "no bands named nir, red; give the numbers of nir, red as --bands" in told.err
    told = run_here(*command, "--bands", "4,3")
    assert told.status == 0, told.err


@pytest.mark.parametrize("bands", [("nir", "red"), ("red", "nir")])
def test_names_of_bands_go_where_they_belong_in_any_order(tmp_path, bands):
    paths = [
        write_scene(tmp_path / f"{n}.tif", date, names=NAMES)
        for n, date in zip(("b", "a"), fields_pair(), strict=True)
    ]
    options = {"detector": "difference", "detector_options": "index=ndvi,sign=loss", "quiet": True}
    rsdetect.detect(*paths, out=tmp_path / "named", bands=bands, **options)
    rsdetect.detect(*paths, out=tmp_path / "known", **options)
    np.testing.assert_array_equal(read_raster(tmp_path / "named"), read_raster(tmp_path / "known"))


def test_parameters_are_typed_by_the_detector():
    made = make_detector("difference", settings=as_settings("index=NDVI".lower() + ",sign=loss"))
    assert made == DifferenceDetector("ndvi", "loss")
    assert make_detector("difference", settings=as_settings({"index": None})) == DifferenceDetector()
    assert make_detector(made, settings=("level=0.5",)).level == "0.5"


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("difference", "indx=ndvi", "difference has no parameter 'indx'; it has index, sign, level"),
        ("cva", "level=3", "cva has no parameter 'level'; it has none"),
        ("siamese", "device=cuda", "siamese has no parameter 'device'; it has none"),
    ],
)
def test_parameters_that_there_are_not_are_refused(name, given, message):
    with pytest.raises(InputError, match=message):
        make_detector(name, settings=as_settings(given))


@pytest.mark.parametrize("given", ["ndvi", "index=", "=ndvi", ["a"]])
def test_an_option_without_name_or_value_is_refused(given):
    with pytest.raises(InputError, match="sets nothing; write NAME=VALUE"):
        as_settings(given)


def test_a_job_records_its_parameters_and_others_make_another_fingerprint(tmp_path):
    import json

    before, after = fields_pair()
    paths = [write_scene(tmp_path / f"{n}.tif", date) for n, date in (("b", before), ("a", after))]
    told = {}
    for level in ("otsu", "quantile:0.9"):
        rsdetect.detect(
            *paths, out=tmp_path / "out", detector="difference", detector_options={"level": level},
            overwrite=True, quiet=True,
        )  # fmt: skip
        told[level] = json.loads((tmp_path / "out" / "run.json").read_text())
    assert told["otsu"]["detector"]["parameters"]["level"] == "otsu"
    assert told["otsu"]["options"]["score"]["detector_options"] == ["level=otsu"]
    assert told["otsu"]["fingerprint"] != told["quantile:0.9"]["fingerprint"]
