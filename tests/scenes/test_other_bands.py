"""Thermal and quality bands are no bands of reflected light: left out by default, and named."""

from __future__ import annotations

import pytest

import rsdetect
from rsdetect.scenes.header import read_header
from rsdetect.scenes.other_bands import other_bands
from rsdetect.scenes.pair import PairOptions, open_pair
from support.scenes import random_scene, write_scene

EARTH_ENGINE = ["SR_B2", "SR_B3", "SR_B4", "SR_B5", "ST_B10", "QA_PIXEL", "QA_RADSAT"]


def write(path, names):
    return write_scene(path, random_scene(1, len(names), 8, 8, "uint16"), names=names)


@pytest.mark.parametrize(
    ("file", "names", "kinds"),
    [
        ("a.tif", EARTH_ENGINE, {5: "thermal", 6: "quality", 7: "quality"}),
        ("LC08_stack.tif", ["B9", "B10", "B11"], {2: "thermal", 3: "thermal"}),
        ("S2A_stack.tif", ["B10", "B11", "B12"], {}),
        ("LT05_stack.tif", ["B5", "B6", "B7"], {2: "thermal"}),
        ("LE07_a.tif", ["B5", "B6_VCID_1", "B7"], {2: "thermal"}),
        ("s2.tif", ["B4", "QA60", "MSK_CLDPRB", "SCL", "AOT"], dict.fromkeys(range(2, 6), "quality")),
        ("a.tif", ["coastal aerosol", "blue", "cirrus", "lwir11", "TIR_1"], {4: "thermal", 5: "thermal"}),
        ("a.tif", ["sur_refl_b01", "sur_refl_qc_500m", "solar zenith"], {2: "quality", 3: "quality"}),
        ("a.tif", ["band 1 (665 nm)", "band 2 (10900 nm)"], {2: "thermal"}),
        ("a.tif", ["built", "stone", "state_1km"], {3: "quality"}),
    ],
)
def test_thermal_and_quality_bands_are_known_by_name(tmp_path, file, names, kinds):
    assert other_bands(read_header(write(tmp_path / file, names))) == kinds


def test_they_are_left_out_of_a_comparison_and_named(tmp_path):
    path, other = (write(tmp_path / name, EARTH_ENGINE) for name in ("a.tif", "b.tif"))
    pair = open_pair(path, other)
    assert pair.bands == ("sr_b2", "sr_b3", "sr_b4", "sr_b5")
    assert any("st_b10 (thermal), qa_pixel (quality), qa_radsat" in note for note in pair.notes)
    assert any("st_b10" in warning for warning in rsdetect.check(path, other).warnings)


def test_scenes_of_which_one_has_them_are_compared_in_the_others(tmp_path):
    pair = open_pair(write(tmp_path / "a.tif", EARTH_ENGINE), write(tmp_path / "b.tif", EARTH_ENGINE[:4]))
    assert len(pair.bands) == 4


def test_bands_that_were_asked_for_stay(tmp_path):
    path = write(tmp_path / "a.tif", EARTH_ENGINE)
    assert open_pair(path, path, PairOptions(bands=("st_b10", "sr_b4"))).bands == ("st_b10", "sr_b4")


def test_two_thermal_scenes_are_compared(tmp_path):
    path = write(tmp_path / "a.tif", ["ST_B10"])
    assert open_pair(path, path).bands == ("st_b10",)
