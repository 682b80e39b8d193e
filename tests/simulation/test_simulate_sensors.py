"""How simulated ground is seen: spectra, light, lens, air, flaws, mosaics and the numbers of each sensor."""

from __future__ import annotations

from dataclasses import replace
from math import pi, sin, sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as shifted
from typer.testing import CliRunner

from rsdetect.cli import app
from rsdetect.simulation import SceneSpec, render_whole, training_spec
from rsdetect.simulation.canvas import Canvas
from rsdetect.simulation.draws import Draws
from rsdetect.simulation.exposure import stretch_limits
from rsdetect.simulation.imaging.atmosphere import apply_haze
from rsdetect.simulation.imaging.detector_noise import Flaws, add_detector_noise, detector_falloff
from rsdetect.simulation.imaging.digital_numbers import encode_product
from rsdetect.simulation.imaging.illumination import cast_shadows
from rsdetect.simulation.imaging.mosaic import draw_seam
from rsdetect.simulation.imaging.optics import MOST_WARP_PX, Optics, form_image
from rsdetect.simulation.imaging.sensors import SENSORS, Product
from rsdetect.simulation.materials import BANDS, RANGES, Season, dated_palette, world_palette
from rsdetect.simulation.noise import Frame
from rsdetect.simulation.scene import _expose_block, _scene_limits, block_shape, render_block
from rsdetect.simulation.world import build_world

CLEAR = Season(green=1.0, leaves=1.0, wet=0.0)
PLAIN = Optics(
    blur=0.7,
    sharpen=0.0,
    native=1.0,
    nearest=False,
    shift=(0.0, 0.0),
    fringe=(0.0, 0.0),
    warp=0.0,
    warp_scale=1.0,
)
FLAWLESS = Flaws(
    noise=0.0,
    grain=0.0,
    stripe=0.0,
    banding=0.0,
    dead=0.0,
    slope=(0.0, 0.0),
    vignette=0.0,
    frame_px=1000.0,
    uneven=0.0,
    tint=0.0,
    uneven_px=100.0,
)


def field(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).standard_normal((rows, cols)), 2).astype(np.float32)


def palette(season: Season = CLEAR, seed: int = 0) -> np.ndarray:
    return dated_palette(world_palette(Draws(seed)), season, Draws(1), 0.0)


def mean_of(table: np.ndarray, name: str) -> dict[str, float]:
    first, count = RANGES[name]
    return dict(zip(BANDS, table[first : first + count].mean(axis=0).tolist(), strict=True))


def test_materials_behave_beyond_the_visible():
    tables = [palette(seed=seed) for seed in range(20)]
    for name in ("grass", "crop", "conifer", "leaf"):
        for table in tables:
            plant = mean_of(table, name)
            assert plant["nir"] > plant["rededge"] > plant["red"]
            # Leaf water takes the light beyond 1.4 micrometres, the more the longer the wave.
            assert plant["nir"] > plant["swir1"] > plant["swir2"]
    for table in tables:
        water, soil, ash, snow = (mean_of(table, name) for name in ("water", "soil", "ash", "snow"))
        assert water["swir1"] < 0.03 < water["blue"]
        assert soil["swir1"] > soil["nir"] > soil["red"] > soil["blue"]
        assert ash["swir2"] > ash["nir"]  # the burn ratio is negative
        assert snow["green"] > 4 * snow["swir1"]


def test_rain_darkens_soil_most_where_water_absorbs():
    dry, wet = (mean_of(palette(replace(CLEAR, wet=share)), "soil") for share in (0.0, 1.0))
    ratio = {band: wet[band] / dry[band] for band in BANDS}
    assert all(ratio[band] < 0.7 for band in BANDS)
    assert ratio["swir2"] < ratio["swir1"] < ratio["red"]


def test_seasons_change_leaves_grass_water_and_snow():
    summer, fall, winter = (
        palette(season)
        for season in (
            CLEAR,
            Season(green=0.5, leaves=0.8, wet=0.0, autumn=0.9),
            Season(green=0.0, leaves=0.0, wet=0.0, snow=0.8, glint=0.1),
        )
    )
    assert mean_of(fall, "leaf")["red"] > 1.5 * mean_of(summer, "leaf")["red"]
    assert mean_of(winter, "leaf")["nir"] < 0.7 * mean_of(summer, "leaf")["nir"]
    assert mean_of(winter, "soil")["red"] > 2 * mean_of(summer, "soil")["red"]
    assert mean_of(winter, "water")["nir"] == pytest.approx(mean_of(summer, "water")["nir"] + 0.1, abs=0.03)
    assert mean_of(winter, "roof_tile")["red"] == pytest.approx(mean_of(summer, "roof_tile")["red"])


def test_every_sensor_has_red_green_blue_and_bands_that_materials_have():
    for sensor in SENSORS.values():
        assert {"red", "green", "blue"} <= set(sensor.bands) <= set(BANDS)
        assert set(sensor.coarse) <= set(sensor.bands)
        assert sensor.range_m[0] <= sensor.gsd_m <= sensor.range_m[1]


def test_help_lists_the_kinds():
    said = " ".join(CliRunner().invoke(app, ["simulate", "--help"], env={"COLUMNS": "400"}).output.split())
    for kind, sensor in SENSORS.items():
        assert f"{kind}: {sensor.about}." in said


@pytest.mark.parametrize("kind", list(SENSORS))
def test_each_kind_gives_its_bands_in_its_numbers(kind):
    spec = SceneSpec(kind=kind, height=64, width=72, seed=3, cloud=0.0)
    drawn = render_whole(spec)
    for image in (drawn.before, drawn.after):
        assert image.shape == (len(spec.bands), 64, 72)
        assert image.dtype == spec.dtype
        assert len(np.unique(image)) > 20
    least, most = {
        Product.PICTURE: (20, 235),
        Product.RADIANCE: (5, 180),
        Product.REFLECTANCE: (100, 5000),
        Product.SCALED: (0.2 / 2.75e-5, 0.7 / 2.75e-5),
    }[spec.sensor.product]
    assert least < np.median(drawn.before) < most


def test_numbers_of_landsat_follow_its_handbooks():
    # Landsat 5: L = rho E sin(elevation) / pi, and a number is (L - Lmin) / (Lmax - Lmin) x 255.
    # Red at a reflectance of 0.1, and 0.020 from the air, under the sun at 45 degrees.
    (number,) = encode_product([np.full((1, 1), 0.1, np.float32)], ("red",), Product.RADIANCE, 1.0)
    radiance = (0.1 + 0.020) * 1551 * sin(pi / 4) / pi
    assert number[0, 0] == pytest.approx((radiance + 1.17) / (264 + 1.17) * 255, rel=1e-4)
    (scaled,) = encode_product([np.full((1, 1), 0.1, np.float32)], ("red",), Product.SCALED, 1.0)
    assert scaled[0, 0] * 2.75e-5 - 0.2 == pytest.approx(0.1, abs=1e-4)
    (plain,) = encode_product([np.full((1, 1), 0.1, np.float32)], ("red",), Product.REFLECTANCE, 1.0)
    assert plain[0, 0] == pytest.approx(1000)


@settings(max_examples=15)
@given(down=st.floats(-4, 4), right=st.floats(-4, 4))
def test_shift_moves_the_image_down_and_right(down, right):
    ground, margin = field(80, 90), 20
    frame = Frame(0, 0, 40, 50, 1.0, 1)
    seen = form_image(ground, replace(PLAIN, shift=(down, right)), frame, margin)
    # Blurring first makes splines an exact enough yardstick.
    expected = shifted(gaussian_filter(ground, np.hypot(0.7, 0.29)), (down, right), order=3, mode="nearest")
    np.testing.assert_allclose(seen, expected[20:60, 20:70], atol=0.01)


@settings(max_examples=25)
@given(
    native=st.floats(1.0, 2.4),
    coarse=st.integers(1, 2),
    warp=st.sampled_from([0.0, 0.7]),
    nearest=st.booleans(),
    top=st.integers(0, 40),
    left=st.integers(0, 40),
)
def test_image_does_not_depend_on_the_frame(native, coarse, warp, nearest, top, left):
    optics = replace(
        PLAIN, native=native, nearest=nearest, warp=warp, warp_scale=30.0, sharpen=0.8, shift=(0.4, -1.1)
    )
    ground, margin = field(160, 160), 30
    whole = form_image(ground, optics, Frame(0, 0, 100, 100, 0.5, 7), margin, coarse)
    # The same ground in a frame of another place and size.
    inner = ground[top : top + 120, left : left + 120]
    part = form_image(inner, optics, Frame(top, left, 60, 60, 0.5, 7), margin, coarse)
    np.testing.assert_allclose(part, whole[top : top + 60, left : left + 60], atol=1e-5)


def test_nothing_beyond_the_radius_enters_an_image():
    optics = replace(
        PLAIN, native=1.9, warp=2.0, warp_scale=9.0, sharpen=1.0, shift=(3.0, -4.0), fringe=(0.3, 0.3)
    )
    reach, margin = optics.reach_px(2), 40
    ground = field(120, 120)
    far = ground.copy()
    inner = slice(margin - reach, -(margin - reach))
    far[:] = 1e4
    far[inner, inner] = ground[inner, inner]
    frame = Frame(5, -9, 40, 40, 1.0, 3)
    for step in (-3.0, 3.0):
        one, other = (form_image(x, optics, frame, margin, 2, step) for x in (ground, far))
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_warp_moves_by_two_pixels_at_most_and_slowly():
    ramp = np.broadcast_to(np.arange(140, dtype=np.float32)[:, None], (140, 140)).copy()
    optics = replace(PLAIN, warp=1.0, warp_scale=40.0)
    seen = form_image(ramp, optics, Frame(0, 0, 100, 100, 1.0, 5), 20)
    moved = np.arange(20, 120)[:, None] - seen
    assert 0.3 < moved.std() < 1.5
    assert np.abs(moved).max() <= MOST_WARP_PX + 1e-3
    assert np.abs(np.diff(moved, axis=1)).max() < 0.2


def test_larger_own_pixels_lose_detail_and_keep_the_level():
    ground = np.random.default_rng(0).standard_normal((140, 140)).astype(np.float32) + 10
    frame = Frame(0, 0, 100, 100, 1.0, 5)
    spreads = []
    for native in (1.0, 1.5, 2.2):
        seen = form_image(ground, replace(PLAIN, native=native), frame, 20)
        assert seen.mean() == pytest.approx(10, abs=0.05)
        spreads.append(seen.std())
    assert spreads[0] > 1.2 * spreads[1] > 1.4 * spreads[2]
    twice = form_image(ground, replace(PLAIN, nearest=True), frame, 20, coarse=2)
    np.testing.assert_allclose(twice[0::2], twice[1::2], atol=1e-6)
    assert np.abs(twice[1:-1:2] - twice[2::2]).mean() > 0.1


@pytest.mark.parametrize("tangent", [0.5, 1.0, 2.5])
def test_a_shadow_is_as_long_as_the_sun_is_low(tangent):
    canvas = Canvas.blank((80, 20))
    canvas.height_m[60:64] = 10.0
    view = SimpleNamespace(sun=(1.0, 0.0), sun_tan=tangent)  # the sun is in the south
    shadow = cast_shadows(canvas.height_m, view, 1.0, 48)
    length = np.flatnonzero(shadow[:60, 10]).size
    assert length == pytest.approx(10 / tangent, abs=1.0)
    assert not shadow[64:].any()
    assert not cast_shadows(canvas.height_m, view, 1.0, 3)[:57].any()


def test_air_whitens_and_is_the_same_in_any_frame():
    view = SimpleNamespace(haze=np.linspace(0.05, 0.0, 7), haze_swing=0.8, cirrus=0.3)
    frame, moved = Frame(0, 0, 80, 80, 2.0, 4), Frame(30, 20, 40, 40, 2.0, 4)
    ground = [np.full((80, 80), 0.1, np.float32) for _ in range(3)]
    seen = apply_haze(ground, (0, 2, 5), view, frame, 0, 60.0)
    part = apply_haze([band[:40, :40] for band in ground], (0, 2, 5), view, moved, 0, 60.0)
    for band, cut in zip(seen, part, strict=True):
        np.testing.assert_allclose(cut, band[30:70, 20:60], atol=1e-4)
    assert all(band.min() > 0.0999 for band in seen)
    # Short waves are veiled most.
    assert seen[0].mean() > seen[1].mean() > seen[2].mean()
    assert seen[0].std() > 0.01


def test_a_seam_divides_the_scene_and_is_the_same_in_any_frame():
    for seed in range(8):
        seam = draw_seam((300, 200), 1, Draws(seed))
        whole = seam.share(Frame(0, 0, 300, 200, 0.5, 9))
        assert 0.02 < whole.mean() < 0.98
        assert whole.min() == 0
        assert whole.max() == 1
        part = seam.share(Frame(100, 50, 120, 90, 0.5, 9))
        np.testing.assert_allclose(part, whole[100:220, 50:140], atol=1e-3)


def test_beyond_a_seam_another_day_is_shown_and_the_truth_stays():
    spec = next(
        spec
        for spec in (SceneSpec(seed=s, height=128, width=128, change=0.2, contrast=1.5) for s in range(60))
        if build_world(spec).views[1].seam
    )
    seam = build_world(spec).views[1].seam
    drawn = render_whole(spec)
    frame, sensed, (kind, *_) = _expose_block(spec, 0, 0)
    share = seam.share(frame)
    here, there = (np.stack(bands).mean(axis=0) for bands in (sensed[1].bands, sensed[1].beyond))
    assert np.abs(here - there).mean() > 0.002
    assert 0 < share.mean() < 1
    np.testing.assert_array_equal(drawn.kind, kind)


def test_flaws_are_as_strong_as_asked_for():
    frame, rng = Frame(64, 32, 200, 200, 1.0, 6), Draws(0)
    flat = [np.full((200, 200), 0.2, np.float32)]

    def flawed(**wanted: float) -> np.ndarray:
        return add_detector_noise(flat, replace(FLAWLESS, **wanted), frame, 1, rng)[0] - 0.2

    assert np.abs(flawed()).max() < 1e-7
    for grain in (0.0, 0.8):
        noise = flawed(noise=0.01, grain=grain)
        assert noise.std() == pytest.approx(0.01, rel=0.05)
        likeness = np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]
        assert likeness == pytest.approx(grain / (1 + 2 * grain**2), abs=0.03)
    striped = flawed(stripe=0.01)
    assert np.ptp(striped, axis=0).max() < 1e-6
    assert striped[0].std() == pytest.approx(0.01, rel=0.2)
    banded = flawed(banding=0.01)
    np.testing.assert_allclose(banded[16:], banded[:-16], atol=1e-6)
    assert banded[:, 0].std() == pytest.approx(0.01, rel=0.4)
    lost = np.abs(flawed(dead=0.1)).max(axis=1) > 1e-6
    assert lost.mean() == pytest.approx(0.1, abs=0.06)


def test_signal_falls_off_alike_in_any_frame():
    flaws = replace(FLAWLESS, slope=(0.2, -0.1), vignette=0.3, frame_px=150.0, uneven=0.1, tint=0.05)
    whole = detector_falloff(Frame(0, 0, 200, 200, 1.0, 6), flaws, (200, 200), 1, 3)
    part = detector_falloff(Frame(50, 60, 100, 90, 1.0, 6), flaws, (200, 200), 1, 3)
    for band, cut in zip(whole, part, strict=True):
        np.testing.assert_allclose(cut, band[50:150, 60:150], rtol=1e-4)
    (slope,) = detector_falloff(
        Frame(0, 0, 200, 200, 1.0, 6), replace(FLAWLESS, slope=(0.2, 0.0)), (200, 200), 1, 1
    )
    assert slope[-1, 0] - slope[0, 0] == pytest.approx(0.2, abs=0.01)
    tinted = whole[0] / whole[2]
    assert 0.02 < tinted.std() < 0.3


def test_blocks_of_a_stretched_scene_have_one_black_and_white():
    spec = next(
        spec
        for spec in (SceneSpec(seed=s, height=80, width=1030, contrast=1.5, cloud=0.0) for s in range(40))
        if (tones := [view.tone for view in build_world(spec).views])
        and all(tone.stretch.name == "EACH" for tone in tones)
        and not any(view.seam for view in build_world(spec).views)
    )
    assert block_shape(spec) == (80, 512)
    limits = _scene_limits(spec)
    middle = tuple(stretch_limits(spec, each) for each in _expose_block(spec, 0, 1)[1])
    for one, other in zip(limits, middle, strict=True):
        np.testing.assert_array_equal(one[0].high, other[0].high)
    # The first block alone would be stretched otherwise, and is not.
    alone = stretch_limits(spec, _expose_block(spec, 0, 0)[1][0])
    assert np.abs(alone[0].high - limits[0][0].high).max() > 1e-3
    first, second = (render_block(spec, 0, number).before.astype(float) for number in (0, 1))
    across = np.abs(first[:, :, -1] - second[:, :, 0]).mean()
    inside = np.abs(np.diff(first[:, :, -40:], axis=2)).mean()
    assert across < 2 * inside + 1


def test_training_specs_mix_sensors_sizes_and_unchanged_pairs():
    specs = [training_spec(seed) for seed in range(1500)]
    kinds = {kind: np.mean([spec.kind == kind for spec in specs]) for kind in SENSORS}
    assert all(share > 0.04 for share in kinds.values())
    assert kinds["vhr"] + kinds["aerial"] > 0.45
    assert np.mean([spec.change == 0 for spec in specs]) == pytest.approx(0.25, abs=0.04)
    fine = np.log([spec.ground_m for spec in specs if spec.kind == "vhr" and spec.ground_m <= 3.0])
    # Even in the logarithm: as many below the middle as above.
    assert np.mean(fine < (np.log(0.3) + np.log(3)) / 2) == pytest.approx(0.5, abs=0.08)
    contrast = [np.mean([s.contrast for s in specs if (s.change == 0) == none]) for none in (True, False)]
    assert contrast[0] > contrast[1]
    far = [sqrt(s.shift_px[0] ** 2 + s.shift_px[1] ** 2) for s in specs if s.shift_px]
    assert 1.5 < max(far) <= 2.0
    assert all(training_spec(seed, 64, "tm").kind == "tm" for seed in range(5))
