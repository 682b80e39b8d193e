"""The shift between two scenes is measured to a fraction of a pixel, or said to be unknown."""

from __future__ import annotations

import json

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import fourier_shift

from rsdetect.checks.registration import measure_shift
from rsdetect.checks.report import check_pair
from rsdetect.scenes.pair import open_pair
from support.memory import memory_scene
from support.scenes import TEN_METRES, random_scene, textured_scene, write_plain, write_scene

GROUND = textured_scene(5, 1, 400, 420, "float32")


def moved(array, rows, cols):
    """The scene with its content moved down and to the right, by the Fourier shift theorem."""
    return np.stack([np.fft.ifft2(fourier_shift(np.fft.fft2(band), (rows, cols))).real for band in array])


def measured(before, after, workers=1, **about):
    scenes = [memory_scene(array.astype("float32"), **about) for array in (before, after)]
    return measure_shift(open_pair(*scenes), workers)


shifts = st.floats(-3, 3).map(lambda number: round(number * 4) / 4)


@settings(max_examples=8)
@given(rows=shifts, cols=shifts)
def test_a_planted_shift_is_found_with_its_sign(rows, cols):
    shift = measured(GROUND, moved(GROUND, rows, cols))
    assert shift.is_reliable
    assert shift.rows_px == pytest.approx(rows, abs=0.15)
    assert shift.cols_px == pytest.approx(cols, abs=0.15)
    assert shift.distance_px == pytest.approx(np.hypot(rows, cols), abs=0.2)
    assert shift.distance_m == pytest.approx(10 * shift.distance_px, rel=1e-3)


def test_a_shift_is_found_through_gain_noise_and_nodata_edges():
    rng = np.random.default_rng(0)
    after = moved(GROUND, 0.5, -1.25) * 37 + 900 + rng.normal(0, 100, GROUND.shape)
    before = GROUND.copy()
    rows, cols = np.mgrid[:400, :420]
    before[:, rows + cols < 90] = np.nan
    after[:, cols - rows > 340] = np.nan
    shift = measured(before, after)
    assert shift.is_reliable
    assert (shift.rows_px, shift.cols_px) == pytest.approx((0.5, -1.25), abs=0.15)


def test_a_shift_is_found_although_a_third_of_the_ground_changed():
    after = moved(GROUND, -0.75, 2)
    after[:, :140] = textured_scene(9, 1, 140, 420, "float32")
    shift = measured(GROUND, after)
    assert (shift.rows_px, shift.cols_px) == pytest.approx((-0.75, 2), abs=0.15)


def test_identical_scenes_are_not_shifted_at_all():
    shift = measured(GROUND, GROUND)
    assert (shift.rows_px, shift.cols_px, shift.spread_px, shift.agreement) == (0, 0, 0, 1)
    assert len(shift.vectors) == shift.tiles and all(vector[2:] == (0, 0) for vector in shift.vectors)
    rows, cols = {vector[0] for vector in shift.vectors}, {vector[1] for vector in shift.vectors}
    assert len(rows) > 1 and len(cols) > 1 and max(rows) < 400 and max(cols) < 420


def test_scenes_of_different_ground_give_no_shift_to_believe():
    shift = measured(GROUND, textured_scene(77, 1, 400, 420, "float32"))
    assert not shift.is_reliable


@pytest.mark.parametrize(
    "array", [np.full((1, 200, 200), 7.0), np.full((1, 200, 200), np.nan), GROUND[:, :40]]
)
def test_without_texture_validity_or_room_there_is_no_shift(array):
    assert measured(array, array) is None


def test_a_shift_does_not_depend_on_the_number_of_workers():
    after = moved(GROUND, 1, 1)
    assert measured(GROUND, after) == measured(GROUND, after, workers=3)


def test_a_shift_in_degrees_is_given_in_metres():
    after = moved(GROUND, 0, 2)
    shift = measured(GROUND, after, crs="EPSG:4326", transform=Affine(1e-4, 0, 10, 0, -1e-4, 60))
    assert shift.distance_m == pytest.approx(2 * 5.58, rel=0.08)  # a degree of longitude at 60 N is 55.8 km


def test_a_shift_in_feet_is_given_in_metres():
    shift = measured(GROUND, moved(GROUND, 0, 2), crs="EPSG:2263", transform=TEN_METRES)
    assert shift.distance_m == pytest.approx(20 * 0.3048, rel=0.08)


def test_a_plain_picture_has_a_shift_in_pixels_only(tmp_path):
    before = write_plain(tmp_path / "before.png", GROUND.astype("uint8"))
    after = write_plain(tmp_path / "after.png", moved(GROUND, 1, 0).clip(1, 255).astype("uint8"))
    shift = measure_shift(open_pair(before, after))
    assert shift.rows_px == pytest.approx(1, abs=0.15)
    assert shift.distance_m is None


def test_the_report_warns_above_a_pixel_names_the_option_and_keeps_quiet_below(tmp_path):
    for rows, warned in ((0.75, False), (1.25, True)):
        before = write_scene(tmp_path / "before.tif", GROUND)
        after = write_scene(tmp_path / "after.tif", moved(GROUND, rows, 0).astype("float32"))
        report = check_pair(open_pair(before, after))
        assert any("add `register=True`" in warning for warning in report.warnings) == warned
        json.dumps(report.as_json(), allow_nan=False)


def test_a_shift_measured_by_only_two_tiles_is_uncertain(tmp_path):
    before = write_scene(tmp_path / "before.tif", GROUND[:, :100, :150])
    after = write_scene(tmp_path / "after.tif", moved(GROUND, 1, 1)[:, :100, :150].astype("float32"))
    report = check_pair(open_pair(before, after))
    assert not report.shift.is_reliable
    assert report.warnings == ()


def test_noise_alone_is_never_a_reliable_shift():
    one, other = (random_scene(seed, 1, 400, 400, "float32") for seed in (1, 2))
    assert not measured(one, other).is_reliable
