"""`rsdetect detectors` lists, and `check-detector` finds what breaks the contract."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rsdetect.detectors.learned import SiameseDetector
from support import toy_detector
from support.jobs import run_here

DOCS = Path(__file__).parents[2] / "docs" / "detectors.md"
BROKEN = """
import itertools
import numpy as np
from dataclasses import dataclass
from rsdetect.detectors import Detector, Scorer

@dataclass(frozen=True)
class BrokenScorer(Scorer):
    mean: float
    name = "broken"
    {attributes}

    def score(self, tile):
        moved = np.abs(tile.after - tile.before).mean(axis=0) * tile.valid / 255
        {score}

fits = itertools.count(1)

class Broken(Detector):
    name = "broken"

    def fit(self, scan):
        {fit}
"""
PLAIN = {"attributes": "", "score": "return moved", "fit": "return BrokenScorer(1.0)"}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, None),
        ({"score": "return moved[None]"}, "gave scores of shape"),
        ({"score": "return np.where(tile.valid, np.nan, moved)"}, "gave NaN at valid pixels"),
        ({"score": "return moved + 2"}, "gave values from 2"),
        ({"score": "return moved.nothing"}, r"failed \(AttributeError: .*, at line 15 of .*own.py\)"),
        ({"fit": "return {}['red']"}, r"failed to fit the pair \(KeyError: 'red', at line 23 of .*own.py\)"),
        ({"fit": "return None"}, " of detector broken gave NoneType"),
        ({"attributes": "def state(self): return 1 / 0"}, r"failed \(ZeroDivisionError: .*, at line 11 of"),
        ({"score": "return moved / max(moved.max(), 1e-6)"}, "other scores in tiles of 64 pixels"),
        (
            {"score": "return np.clip(moved + np.random.default_rng().random(moved.shape) * 0.1, 0, 1)"},
            "other scores for the same tile the second time",
        ),
        (
            {"score": "from scipy.ndimage import uniform_filter as f; return f(moved, 9, mode='constant')"},
            "other scores in tiles of .* attribute halo is 0 px",
        ),
        (
            {
                "score": "from scipy.ndimage import uniform_filter as f; return f(moved, 9, mode='constant')",
                "attributes": "halo = 4",
            },
            None,
        ),
        ({"score": "tile.after[:] = 0; return moved"}, "changes the pixels that it is given"),
        ({"attributes": "threshold = 0.0"}, "no threshold in"),
        ({"attributes": "name = 'other'"}, "a scorer of another name"),
        (
            {"fit": "return BrokenScorer(1 / next(fits))", "score": "return moved * self.mean"},
            "other scores after fitting the same pair again",
        ),
        ({"fit": "return BrokenScorer(lambda: 1)"}, "does not pickle"),
    ],
)
def test_each_breach_is_one_sentence_with_status_2(tmp_path, parts, message):
    (tmp_path / "own.py").write_text(BROKEN.format(**PLAIN | parts))
    told = run_here("check-detector", f"{tmp_path / 'own.py'}:Broken")
    last = told.err.splitlines()[-1]
    if message is None:
        assert (told.status, last) == (0, "passed: a stored fit is the fit")
        return
    assert told.status == 2 and re.match("Error: the (detector broken|fit).*" + message, last), told.err


def test_parameters_of_the_checked_detector_are_options():
    told = run_here("check-detector", "difference", "--detector-options", "sign=sideways")
    assert told.status == 2 and "sideways" in told.err


@pytest.mark.parametrize("name", ["cva", f"{toy_detector.__file__}:Greenness"])
def test_what_is_sound_passes(name):
    told = run_here("check-detector", name, "--json")
    assert told.status == 0, told.err
    assert len(json.loads(told.out)["passed"]) == 10


def test_the_network_passes():
    told = run_here("check-detector", "siamese", "--json")
    assert told.status == 0, told.err


@pytest.mark.parametrize("fit", ["by blocks", "by a sample"])
def test_the_detector_of_the_manual_passes(tmp_path, fit):
    manual = DOCS.read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n# brightness.py\n(.*?)```", manual, re.S)
    (sampled,) = re.findall(r"```python\n(    def fit\(self, scan\):  # of Brightness.*?)```", manual, re.S)
    (tmp_path / "brightness.py").write_text(source + sampled * (fit == "by a sample"))
    told = run_here("check-detector", f"{tmp_path / 'brightness.py'}:Brightness")
    assert told.status == 0, told.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ["detect", "a", "b", "--out", "o", "--min-area", "400m2"],
            "--min-area '400m2' is neither a number nor 'auto'",
        ),
        (["detect", "a", "b", "--out", "o", "--opening", "1.5"], "Error: --opening takes one integer."),
        (["detect", "a", "b", "--out", "o", "--nodata", "abc"], "and got 'abc'"),
        (["vectorize", "nowhere"], "no finished run (run.json: No such file or directory)"),
        (["check-detector", "texture", "--detector-options", "x=1"], "has no parameter 'x'"),
    ],
)
def test_options_of_another_type_are_refused_plainly(command, said):
    told = run_here(*command)
    assert told.status == 2 and said in told.err, told.err


def test_the_bands_of_the_manual_are_those_of_a_detector():
    manual = DOCS.read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(from rsdetect.detectors import[^`]*WantedBands.*?)```", manual, re.S)
    made = {}
    exec(source, made)
    assert made["Greenness"]().bands == made["WantedBands"](("red", "nir", "swir1"), 2)


def test_detectors_are_listed_with_bands_passes_and_cost():
    told = run_here("detectors", "--json")
    rows = {row["name"]: row for row in json.loads(told.out)["detectors"]}
    assert told.status == 0 and list(rows)[:3] == ["best", "siamese", "cva"]
    assert rows["cva"]["bands"] is None and rows["cva"]["passes"] == 2
    assert rows["siamese"]["bands"][:3] == ["red", "green", "blue"] and rows["siamese"]["bands_required"] == 3
    assert all(row["description"] and row["seconds_per_mpx"] > 0 for row in rows.values())
    by_backend = {
        name: SiameseDetector(backend=name).seconds_per_mpx for name in ("torch", "openvino", "onnx")
    }
    assert by_backend["torch"] > max(by_backend["openvino"], by_backend["onnx"])
    assert SiameseDetector(device="cuda:0").seconds_per_mpx is None
    table = run_here("detectors")
    assert table.status == 0 and "siamese" in table.out and "any" in table.out
