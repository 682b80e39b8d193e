"""Simulated 8-bit pictures: tone, and what compression leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsdetect.simulation.draws import Draws
from rsdetect.simulation.imaging.compression import Compression, compress
from rsdetect.simulation.imaging.tone_curve import (
    Limits,
    Stretch,
    Tone,
    apply_tone,
    colour_matrix,
    measure_limits,
)

LINEAR = Tone(
    stretch=Stretch.FIXED,
    low=np.full(4, 0.02, np.float32),
    high=np.full(4, 0.4, np.float32),
    percent=(2.0, 98.0),
    room=0.0,
    weight=1.0,
    gamma=1.0,
    mix=np.eye(3, dtype=np.float32),
    lift=np.zeros(4, np.float32),
    top=np.ones(4, np.float32),
)


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 64 * 64, dtype=np.float32).reshape(64, 64)


def picture(seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30, 220, (3, 16, 16)).repeat(8, axis=1).repeat(8, axis=2)
    return list((coarse + rng.normal(0, 4, coarse.shape)).astype(np.float32))


def test_a_fixed_stretch_has_its_black_and_white_points():
    bands = [np.array([[0.02, 0.21, 0.4, 0.0]], np.float32)] * 3
    for shown in apply_tone(bands, LINEAR, measure_limits(bands, LINEAR)):
        np.testing.assert_allclose(shown, [[0, 127.5, 255, 0]], atol=1e-3)


def test_each_band_is_stretched_between_its_own_percentiles():
    bands = [ramp(0.1, 0.2), ramp(0.0, 0.5), ramp(0.3, 0.9)]
    tone = replace(LINEAR, stretch=Stretch.EACH)
    for shown, band in zip(apply_tone(bands, tone, measure_limits(bands, tone)), bands, strict=True):
        assert (shown <= 0).mean() == pytest.approx(0.02, abs=0.01)
        assert (shown >= 255).mean() == pytest.approx(0.02, abs=0.01)
        middle = np.abs(band - np.median(band)) < 1e-3
        assert shown[middle].mean() == pytest.approx(127.5, abs=3)


def test_a_joint_stretch_keeps_colour_and_leaves_near_infrared_its_own():
    bands = [ramp(0.1, 0.2), ramp(0.1, 0.3), ramp(0.1, 0.4), ramp(0.3, 0.9)]
    limits = measure_limits(bands, replace(LINEAR, stretch=Stretch.JOINT))
    assert len(set(limits.high[:3].tolist())) == 1
    assert limits.high[0] == pytest.approx(0.394, abs=0.002)
    assert limits.high[3] == pytest.approx(0.888, abs=0.002)


def test_a_grey_world_has_grey_means():
    bands = [ramp(0.1, 0.2), ramp(0.05, 0.3) ** 1.5, ramp(0.1, 0.4)]
    tone = replace(LINEAR, stretch=Stretch.GREY)
    means = [shown.mean() for shown in apply_tone(bands, tone, measure_limits(bands, tone))]
    assert np.ptp(means) < 4


def test_weight_and_room_move_the_limits():
    bands = [ramp(0.1, 0.2)] * 3
    measured = measure_limits(bands, replace(LINEAR, stretch=Stretch.EACH))
    half = measure_limits(bands, replace(LINEAR, stretch=Stretch.EACH, weight=0.5))
    np.testing.assert_allclose(half.high, (measured.high + 0.4) / 2, rtol=1e-5)
    roomy = measure_limits(bands, replace(LINEAR, stretch=Stretch.EACH, room=0.5))
    np.testing.assert_allclose(roomy.high - roomy.low, 2 * (measured.high - measured.low), rtol=1e-4)


def test_a_flat_scene_has_limits_apart():
    bands = [np.full((8, 8), 0.1, np.float32)] * 3
    limits = measure_limits(bands, replace(LINEAR, stretch=Stretch.EACH))
    assert (limits.high > limits.low).all()


def test_faded_film_has_no_black_and_no_white():
    tone = replace(LINEAR, lift=np.full(4, 0.2, np.float32), top=np.full(4, 0.8, np.float32))
    bands = [np.array([[0.0, 0.4]], np.float32)] * 3
    for shown in apply_tone(bands, tone, Limits(LINEAR.low[:3], LINEAR.high[:3])):
        np.testing.assert_allclose(shown, [[51, 204]], atol=0.1)


@given(saturation=st.floats(0, 2), far=st.floats(0, 1.5))
def test_colour_mixing_leaves_grey_grey(saturation, far):
    mix = colour_matrix(Draws(3), far, saturation)
    np.testing.assert_allclose(mix @ np.full(3, 0.3), 0.3, atol=1e-5)


def test_no_compression_is_none():
    bands = picture()
    for before, after in zip(bands, compress(bands, Compression()), strict=True):
        assert after is before


@pytest.mark.parametrize("how", [Compression(blocks=4.0), Compression(waves=4.0)])
def test_flat_pictures_stay_and_coarser_loses_more(how):
    flat = [np.full((32, 32), value, np.float32) for value in (100.0, 60.0, 180.0)]
    for band, kept in zip(flat, compress(flat, replace(how, halved_colour=True)), strict=True):
        assert np.abs(kept - band).max() < 8
        assert np.ptp(kept) < 1e-3
    errors = []
    for factor in (0.25, 1.0, 4.0):
        coarser = Compression(factor * how.blocks, how.halved_colour, factor * how.waves)
        bands = picture()
        kept = compress(bands, coarser)
        errors.append(np.mean([np.abs(a - b).mean() for a, b in zip(bands, kept, strict=True)]))
    assert 0 < errors[0] < errors[1] < errors[2] < 40


def test_fine_waves_come_back_whole_without_a_threshold():
    bands = picture()
    for band, kept in zip(bands, compress(bands, Compression(waves=1e-6)), strict=True):
        np.testing.assert_allclose(kept, band, atol=0.05)


def test_dropped_details_take_noise_and_leave_edges():
    bands = picture()
    kept = compress(bands, Compression(waves=12.0))
    inside = [np.std(band[:8, :8]) for band in (bands[1], kept[1])]
    assert inside[1] < 0.6 * inside[0]
    assert np.corrcoef(bands[1].ravel(), kept[1].ravel())[0, 1] > 0.97


def test_halved_colour_keeps_brightness():
    bands = picture()
    fine = compress(bands, Compression(blocks=0.01))
    halved = compress(bands, Compression(blocks=0.01, halved_colour=True))
    luma = [0.3 * r + 0.59 * g + 0.11 * b for r, g, b in (fine, halved)]
    np.testing.assert_allclose(luma[0], luma[1], atol=0.3)
    colour = halved[0] - luma[1]
    np.testing.assert_allclose(colour[0::2], colour[1::2], atol=0.3)
    np.testing.assert_allclose(colour[:, 0::2], colour[:, 1::2], atol=0.3)
    assert np.abs(fine[0] - halved[0]).mean() > 1


def test_a_fourth_band_is_compressed_by_itself():
    bands = [*picture(), picture(5)[0]]
    kept = compress(bands, Compression(blocks=6.0, halved_colour=True))
    alone = compress([bands[3]] * 3, Compression(blocks=6.0))
    assert len(kept) == 4
    np.testing.assert_allclose(kept[3], alone[1], atol=1e-3)
