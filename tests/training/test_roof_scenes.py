"""Scenes of real roofs: what counts is a building that one date alone has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from rsdetect.errors import InputError
from rsdetect.training.compositing import roof_scene as module
from rsdetect.training.compositing.acquisition_day import MARGIN_PX
from rsdetect.training.compositing.composite_ground import expose_scene
from rsdetect.training.compositing.roof_scene import roof_scene
from rsdetect.training.compositing.source_images import VISIBLE, read_images
from rsdetect.training.options import TrainOptions
from rsdetect.training.run import train
from rsdetect.training.scene_sources import RoofScenes
from rsdetect.training.training_scenes import FIRST_SEED

SIZE = 96
EDGE = 260  # of an image
BRIGHT = 1.8  # spreads; only roofs are


def write(folder: Path, name: str, pitch: int | None, seed: int, days: int = 1) -> None:
    """An image of bounded noise with a bright roof of 6 x 9 px every `pitch` pixels; None = bare."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 111, (days, 3, EDGE, EDGE), dtype=np.uint8)
    buildings = np.zeros((EDGE, EDGE), bool)
    if pitch is not None:
        rows, cols = np.indices(buildings.shape) % pitch
        buildings = (rows >= 10) & (rows < 16) & (cols >= 10) & (cols < 19)
    pixels[:, :, buildings] = 190
    np.savez(
        folder / f"{name}.npz",
        pixels=pixels,
        valid=np.ones((days, EDGE, EDGE), bool),
        bands=np.array(VISIBLE),
        buildings=buildings,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("roofs")
    for at in range(5):
        write(folder, f"built-{at}", 26 + at, at)
        write(folder, f"empty-{at}", None, 100 + at)
    return folder


@pytest.fixture(scope="module")
def images(folder):
    return read_images(folder, SIZE + 2 * MARGIN_PX)


def test_a_number_is_always_the_same_scene(images):
    for seed in range(6):
        one, again = roof_scene(seed, SIZE, images), roof_scene(seed, SIZE, images)
        assert all(np.array_equal(getattr(one, name), getattr(again, name)) for name in vars(one))


@pytest.fixture
def seen(monkeypatch):
    """Both dates of each scene before they are exposed, with the drift of tones between them."""
    seen = []

    def keep(ground, grounds, swing, size, rng):
        seen.append((ground, grounds, swing))
        return expose_scene(ground, grounds, swing, size, rng)

    monkeypatch.setattr(module, "expose_scene", keep)
    return seen


def test_what_one_date_alone_has_a_roof_on_is_change(images, seen):
    for seed in range(60):
        roof_scene(seed, SIZE, images)
    assert_roofs_of_one_date_are_change([grounds for _, grounds, _ in seen])


def assert_roofs_of_one_date_are_change(scenes):
    right = [0, 0]
    counted = [0, 0]
    for grounds in scenes:
        roofs = [x[0] > BRIGHT for x in (grounds.before, grounds.after)]
        edges = [binary_dilation(roof) & ~binary_erosion(roof, border_value=1) for roof in roofs]
        clear = ~(edges[0] | edges[1] | grounds.doubtful)
        shown = roofs[0] ^ roofs[1]
        for change in (0, 1):
            those = clear & (grounds.truth == bool(change))
            right[change] += (shown[those] == bool(change)).sum()
            counted[change] += those.sum()
    assert right[0] > 0.995 * counted[0]
    assert right[1] > 0.97 * counted[1]
    assert counted[1] > 0.005 * counted[0]


def test_a_place_on_two_real_days_is_no_change_but_where_a_roof_is_moved(folder, tmp_path, seen):
    for path in folder.glob("built-*.npz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write(tmp_path, "empty", None, 200, days=2)
    images = read_images(tmp_path, SIZE + 2 * MARGIN_PX)
    for seed in range(30):
        roof_scene(seed, SIZE, images, two_days=1.0)
    assert_roofs_of_one_date_are_change([grounds for _, grounds, _ in seen])
    for ground, grounds, swing in seen:
        roofs = (grounds.before[0] > BRIGHT) | (grounds.after[0] > BRIGHT)
        free = ~binary_dilation(roofs | grounds.truth, iterations=12) & ground.valid
        days = [date[:, free] for date in (grounds.before, grounds.after)]
        assert not swing and not ground.image.drifts, "the tones of both days are real"
        if free.sum() > 500:
            assert np.corrcoef(days[0].ravel(), days[1].ravel())[0, 1] < 0.9, "the same day twice"


def test_where_no_place_has_two_days_there_are_scenes_all_the_same(images):
    assert roof_scene(3, SIZE, images, two_days=1.0).before.any()


def test_scenes_hold_unbuilt_change_unchanged_roofs_and_none_at_all(images):
    scenes = [roof_scene(seed, SIZE, images) for seed in range(40)]
    shares = np.array([scene.truth.mean() for scene in scenes])
    assert 0.05 < (shares == 0).mean() < 0.7
    assert 0.005 < shares.mean() < 0.3
    for scene in scenes:
        assert scene.bands == VISIBLE and scene.before.shape == scene.after.shape == (3, SIZE, SIZE)
        assert not scene.truth[~scene.valid].any()
        assert not (scene.cloud & (scene.truth == 0)).any(), "what is ignored was rebuilt, so it is change"


def test_images_of_held_out_scenes_are_not_trained_on(folder):
    source = RoofScenes(folder)
    used = [{image.name for image in source._of_use(SIZE, held_out)} for held_out in (False, True)]
    assert used == [
        {f"{kind}-{at}-0" for kind in ("built", "empty") for at in range(4)},
        {"built-4-0", "empty-4-0"},
    ]
    here, there = source(5, SIZE), source(FIRST_SEED["test"] + 5, SIZE)
    assert not np.array_equal(here.before, there.before)


def test_a_recipe_of_roofs_requires_images_with_buildings(tmp_path, folder):
    def options(images):
        return TrainOptions(out=tmp_path / "m.safetensors", recipe="roofs", base="siamese", images=images)

    with pytest.raises(InputError, match="takes roofs from images: give `images`"):
        train(options(None))
    few = tmp_path / "few"
    few.mkdir()
    write(few, "built", 26, 0)
    with pytest.raises(InputError, match="too few images with known buildings"):
        train(options(few))
    assert not list(tmp_path.glob("*.work"))
