"""Simulated pairs: the same pixels however they are cut, a correct truth, and views as requested."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.registration import phase_cross_correlation

from rsdetect.errors import InputError
from rsdetect.grid import Window
from rsdetect.simulation import (
    ChangeKind,
    Rendered,
    SceneSpec,
    render,
    render_whole,
    scene,
    training_pair,
    training_spec,
)
from rsdetect.simulation.canvas import Cover
from rsdetect.simulation.ground.landscape import draw_landscape
from rsdetect.simulation.ground.trees import LARGEST_CROWN_M
from rsdetect.simulation.imaging.atmosphere import cloud_cover
from rsdetect.simulation.imaging.compression import Compression
from rsdetect.simulation.imaging.tone_curve import Stretch
from rsdetect.simulation.noise import Frame, rough, smooth, uniform
from rsdetect.simulation.salts import Salt
from rsdetect.simulation.scene import margin_px, render_block
from rsdetect.simulation.world import World, build_world

FIELDS = tuple(Rendered.__dataclass_fields__)
BLOCK = 256  # edge of scenes that are one block
SMALL_BLOCK = 128
HEIGHT, WIDTH = 150, 270  # two by three blocks of that edge, none of them whole at the far edges


def mosaic() -> SceneSpec:
    """An aerial mosaic that is stretched by percentiles and warped."""
    for seed in range(200):
        spec = SceneSpec(kind="aerial", height=HEIGHT, width=WIDTH, seed=seed, contrast=1.5, nodata_edge=True)
        views = build_world(spec).views
        if views[1].seam and views[1].optics.warp and views[1].tone.stretch is not Stretch.FIXED:
            return spec
    raise AssertionError("No such scene was drawn.")


SPECS = [
    SceneSpec(kind="vhr", height=HEIGHT, width=WIDTH, seed=4, change=0.2, cloud=0.2, nodata_edge=True),
    SceneSpec(kind="s2", height=HEIGHT, width=WIDTH, seed=5, change=0.2, cloud=0.2, nodata_edge=True),
    mosaic(),
]


def small_blocks():
    return mock.patch.object(scene, "_LARGEST_BLOCK", SMALL_BLOCK)


@pytest.fixture(scope="module", params=SPECS, ids=lambda spec: spec.kind)
def whole(request):
    with small_blocks():
        return request.param, render_whole(request.param)


def crop(drawn: Rendered, window: Window) -> dict[str, np.ndarray]:
    place = window.slices_in(Window(0, 0, HEIGHT, WIDTH))
    return {name: getattr(drawn, name)[(..., *place)] for name in FIELDS}


def outer_frame(world: World, spec: SceneSpec, row: int = 0, col: int = 0, size: int = 400) -> Frame:
    return Frame(row, col, size, size, spec.ground_m, world.seed)


@settings(max_examples=10)
@given(data=st.data())
def test_any_window_is_a_cut_of_the_whole(whole, data):
    spec, drawn = whole
    row, col = data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1))
    height, width = data.draw(st.integers(1, HEIGHT - row)), data.draw(st.integers(1, min(WIDTH - col, 140)))
    window = Window(row, col, height, width)
    with small_blocks():
        part = render(spec, window)
    for name, expected in crop(drawn, window).items():
        np.testing.assert_array_equal(getattr(part, name), expected, err_msg=name)


def test_ground_does_not_depend_on_the_frame_it_is_drawn_in():
    # Blocks meet without a seam only if each draws the same ground where their margins overlap.
    spec = SceneSpec(seed=11, change=0.2)
    world = build_world(spec)
    first = draw_landscape(world, outer_frame(world, spec))
    second = draw_landscape(world, outer_frame(world, spec, row=37, col=150))
    # Crowns are complete once their trunk lies in the frame.
    edge = ceil(LARGEST_CROWN_M / spec.ground_m)
    here = slice(37 + edge, 400 - edge), slice(150 + edge, 400 - edge)
    there = slice(edge, 400 - edge - 37), slice(edge, 400 - edge - 150)
    # Positions are float32 metres, so a pixel on an outline may fall to either side.
    assert (first.kind[here] != second.kind[there]).mean() < 1e-3
    for one, other in zip(first.canvases, second.canvases, strict=True):
        assert (one.cover[here] != other.cover[there]).mean() < 1e-3
        apart = np.abs(one.shade[here] - other.shade[there])
        assert np.quantile(apart, 0.998) < 1e-2


@pytest.mark.parametrize(("kind", "gsd_m"), [("vhr", 0.3), ("aerial", 1.0), ("s2-swir", 10.0)])
@pytest.mark.parametrize("seed", [14, 22])
def test_blocks_meet_without_a_seam(kind, gsd_m, seed):
    # Nothing from further away than the margin reaches into a block: a wider one gives the same pixels.
    spec = SceneSpec(kind=kind, height=BLOCK, width=BLOCK, seed=seed, gsd_m=gsd_m, shift_px=(1.5, -1.5))
    usual = render_block.__wrapped__(spec, 0, 0)
    with mock.patch.object(scene, "margin_px", lambda spec: margin_px(spec) + 40):
        wider = render_block.__wrapped__(spec, 0, 0)
    # Positions are float32 metres, so a pixel on an outline may fall to either side.
    assert (usual.kind != wider.kind).mean() < 1e-4
    for image, other in ((usual.before, wider.before), (usual.after, wider.after)):
        apart = np.abs(image.astype(float) - other) > 0.01 * other + 1
        assert apart.mean() < 1e-4


def test_seed_decides_everything():
    spec = SceneSpec(height=BLOCK, width=BLOCK, seed=1)
    first = render_whole(spec)
    render_whole(replace(spec, seed=2))
    render_block.cache_clear()
    build_world.cache_clear()
    again, other = render_whole(spec), render_whole(replace(spec, seed=2))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.before != other.before).mean() > 0.5


def test_numbers_of_the_sensor(whole):
    spec, drawn = whole
    bands = {"vhr": 3, "s2": 4, "aerial": 3}[spec.kind]
    for image in (drawn.before, drawn.after):
        assert image.shape == (bands, HEIGHT, WIDTH)
        assert image.dtype == (np.uint16 if spec.kind == "s2" else np.uint8)
        # No data is 0 in every band or in none.
        np.testing.assert_array_equal((image == 0).any(axis=0), (image == 0).all(axis=0))
        assert 0 < (image[0] == 0).mean() < 0.5
    np.testing.assert_array_equal(drawn.truth, drawn.kind != 0)
    assert not (drawn.shadow_before & ~drawn.cloud_before).any()
    assert not (drawn.shadow_after & ~drawn.cloud_after).any()


@pytest.mark.parametrize("kind", ["vhr", "s2"])
@pytest.mark.parametrize("seed", range(3))
def test_outside_the_truth_the_cover_stays(kind, seed):
    spec = SceneSpec(kind=kind, seed=seed, change=0.15)
    world = build_world(spec)
    landscape = draw_landscape(world, outer_frame(world, spec))
    before, after = (canvas.cover for canvas in landscape.canvases)
    # Tall buildings lean another way on each date: what they hide is no change.
    hidden = (before == Cover.BUILDING) | (after == Cover.BUILDING)
    np.testing.assert_array_equal(
        before[(landscape.kind == 0) & ~hidden], after[(landscape.kind == 0) & ~hidden]
    )


def test_new_and_removed_buildings_are_where_the_truth_says():
    seen = {ChangeKind.BUILDING_NEW: 0, ChangeKind.BUILDING_REMOVED: 0}
    for seed in range(6):
        spec = SceneSpec(seed=seed, change=0.4)
        world = build_world(spec)
        landscape = draw_landscape(world, outer_frame(world, spec))
        before, after = (canvas.cover for canvas in landscape.canvases)
        new, removed = (landscape.kind == kind for kind in seen)
        assert (after[new] == Cover.BUILDING).all()
        assert (before[removed] == Cover.BUILDING).all()
        seen[ChangeKind.BUILDING_NEW] += int(new.sum())
        seen[ChangeKind.BUILDING_REMOVED] += int(removed.sum())
    assert all(seen.values())


def test_without_change_the_ground_stays_and_the_looks_differ():
    drawn = render_whole(SceneSpec(height=BLOCK, width=BLOCK, seed=3, change=0.0, cloud=0.0))
    assert not drawn.truth.any()
    assert np.abs(drawn.before.astype(int) - drawn.after).mean() > 3


@pytest.mark.parametrize(("kind", "wanted"), [("s2", 0.04), ("s2", 0.15), ("vhr", 0.15)])
def test_changed_share_is_about_what_was_asked_for(kind, wanted):
    shares = []
    for seed in range(5):
        spec = SceneSpec(kind=kind, height=2048, width=2048, seed=seed, change=wanted)
        world = build_world(spec)
        frames = [outer_frame(world, spec, row=900 * k, col=700 * k) for k in range(2)]
        shares += [(draw_landscape(world, frame).kind > 0).mean() for frame in frames]
    assert wanted / 2 < np.mean(shares) < 2 * wanted


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_cloud_share_is_about_what_was_asked_for(share):
    covered = []
    for seed in range(30):
        world = build_world(SceneSpec(seed=seed, cloud=share))
        frame = Frame(0, 0, 200, 200, world.cloud_m / 25, world.seed)
        covered.append(cloud_cover(frame, world.views[0], share, 0, world.cloud_m)[1].mean())
    assert share / 1.7 < np.mean(covered) < 1.7 * share


@pytest.mark.parametrize("shift", [(0.6, -1.3), (-0.35, 0.2), (0.0, 2.0)])
def test_shift_is_the_one_asked_for(shift):
    # Equal views, so that only the shift is measured; aliased or resampled detail does not move.
    suited = [
        spec
        for spec in (
            SceneSpec(height=BLOCK, width=BLOCK, seed=seed, change=0, cloud=0, shift_px=shift, contrast=0)
            for seed in range(12, 60)
        )
        if (view := build_world(spec).views[0]).optics.native == 1
        and view.optics.blur > 0.6
        and view.compression == Compression()
    ]
    measured = []
    for spec in suited[:7]:
        drawn = render_whole(spec)
        grey = [image.mean(axis=0) for image in (drawn.after, drawn.before)]
        found, *_ = phase_cross_correlation(*(g - g.mean() for g in grey), upsample_factor=50)
        measured.append(found)
    # What aliases stays in its place: a single scene may be measured a third of a pixel short.
    np.testing.assert_allclose(np.median(measured, axis=0), shift, atol=0.2)


def test_plants_are_bright_in_the_near_infrared_and_water_is_dark():
    found = {Cover.WOODY: [], Cover.WATER: []}
    for seed in range(12):
        spec = SceneSpec(kind="s2", height=BLOCK, width=BLOCK, seed=seed, cloud=0.0, change=0.0)
        world = build_world(spec)
        cover = draw_landscape(world, outer_frame(world, spec, size=BLOCK)).canvases[0].cover
        image = render_whole(spec).before.astype(float)
        index = (image[3] - image[2]) / (image[3] + image[2])
        for kind, values in found.items():
            values.extend(index[cover == kind].tolist())
    assert np.median(found[Cover.WOODY]) > 0.3
    assert np.median(found[Cover.WATER]) < 0.0


def test_training_pairs_vary_and_hold_enough_change():
    pairs = [training_pair(seed, 128, kind) for kind in ("vhr", "s2") for seed in range(16)]
    shares = np.array([pair.truth.mean() for pair in pairs])
    assert 0.08 < shares.mean() < 0.25
    assert 0 < (shares == 0).mean() < 0.35
    levels = [pair.before[:, pair.before[0] > 0].mean() for pair in pairs[:16]]
    assert np.std(levels) > 15
    np.testing.assert_array_equal(training_pair(3, 128, "vhr").after, pairs[3].after)
    assert training_spec(3).gsd_m != training_spec(4).gsd_m


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("kind", "sar"),
        ("height", 0),
        ("width", -1),
        ("seed", -1),
        ("change", 0.9),
        ("change", float("nan")),
        ("cloud", -0.1),
        ("gsd_m", 0.0),
        ("gsd_m", 500.0),
        ("shift_px", (0.0, 9.0)),
        ("contrast", -1.0),
    ],
)
def test_wrong_options_are_named(option, value):
    with pytest.raises(InputError, match=r"\.$"):
        SceneSpec(**{option: value})


def test_noise_belongs_to_the_place_and_is_standard():
    frame, moved = Frame(0, 0, 400, 400, 2.0, 9), Frame(100, -50, 400, 400, 2.0, 9)
    for field in (smooth(frame, Salt.POND, 17.0), rough(frame, Salt.POND, 40.0)):
        assert abs(field.mean()) < 0.1
        assert field.std() == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(
        smooth(frame, Salt.POND, 17.0)[100:, :350], smooth(moved, Salt.POND, 17.0)[:300, 50:], atol=1e-4
    )
    draws = uniform(1, Salt.POND, np.arange(-5000, 5000))
    assert draws.mean() == pytest.approx(0.5, abs=0.02)
    assert np.abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.05
