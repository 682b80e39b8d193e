"""Labelled pairs become scenes, split by place and never within one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin

from rsdetect.errors import InputError
from rsdetect.labelled import find_unlabelled
from rsdetect.scenes.bands import WantedBands
from rsdetect.training.prepare_scenes import MOST_PX, PrepareOptions, prepare_labelled, prepare_unlabelled
from rsdetect.training.scene_index import PreparedScene, Split, fold_places, read_index, split_places
from rsdetect.training.scene_sources import PreparedScenes
from rsdetect.training.training_scenes import UNKNOWN, read_scene
from support.labelled_sets import hide_unchanged, write_set
from support.scenes import TEN_METRES

RGB = PrepareOptions(wanted=WantedBands(("red", "green", "blue", "nir"), 3))


def scenes_of(places: dict[str, tuple[int, int]]) -> list[PreparedScene]:
    """Two scenes a place; of each place the changed and the unchanged pixels."""
    return [
        PreparedScene(f"{place}-{part}.npz", place, changed + unchanged, changed)
        for place, (changed, unchanged) in places.items()
        for part in range(2)
    ]


@given(st.integers(3, 30), st.floats(0.05, 0.4), st.floats(0, 0.4), st.integers(0, 99))
def test_no_place_has_two_uses(count, validation, test, seed):
    scenes = scenes_of({f"p{number}": (10, 90) for number in range(count)})
    split = split_places(scenes, validation, test, seed)
    parts = list(vars(split).values())
    assert sorted(sum(parts, ())) == sorted({scene.place for scene in scenes})
    assert split.train
    assert split.validation
    assert bool(split.test) == bool(test)
    assert split == split_places(scenes[::-1], validation, test, seed)


@given(st.integers(3, 20), st.integers(2, 5), st.integers(0, 99))
def test_each_place_is_tested_in_one_fold(count, folds, seed):
    scenes = scenes_of({f"p{number}": (10, 90) for number in range(max(count, folds, 4))})
    splits = fold_places(scenes, folds, 0.2, seed)
    tested = sorted(sum((split.test for split in splits), ()))
    assert tested == sorted({scene.place for scene in scenes})
    for split in splits:
        assert not set(split.test) & (set(split.train) | set(split.validation))
        assert not set(split.train) & set(split.validation)
        assert split.train
        assert split.validation


@given(st.integers(0, 50))
def test_change_is_on_both_sides_of_a_split(seed):
    places = {f"p{number}": (0, 100) for number in range(8)} | {"x": (9, 91), "y": (5, 95)}
    split = split_places(scenes_of(places), 0.2, 0.0, seed)
    assert len({"x", "y"} & set(split.train)) == len({"x", "y"} & set(split.validation)) == 1


def test_without_held_out_share_all_places_are_for_training():
    assert split_places(scenes_of({"only": (5, 95)}), 0.0, 0.0, 0) == Split(("only",), (), ())


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ({"a": (1, 1)}, r"have 1 place \(a\)"),
        ({"a": (0, 9), "b": (0, 9), "c": (0, 9)}, "All labels are unchanged"),
        ({"a": (9, 0), "b": (9, 0), "c": (9, 0)}, "All labels are changed"),
        ({"a": (9, 9), "b": (0, 9), "c": (0, 9)}, "Too few places"),
    ],
)
def test_labels_that_cannot_be_split_are_refused(places, told):
    with pytest.raises(InputError, match=told):
        split_places(scenes_of(places), 0.2, 0.0, 0)


def test_more_folds_than_places_are_refused():
    with pytest.raises(
        InputError, match=r"`folds` 5 requires at least 5 places, and .* have 3 places: a, b, c"
    ):
        fold_places(scenes_of({"a": (1, 1), "b": (1, 1), "c": (1, 1)}), 5, 0.2, 0)


def write_raster(path: Path, pixels: np.ndarray, names: tuple[str, ...] = (), **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "count": pixels.shape[0],
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "dtype": pixels.dtype,
        "crs": "EPSG:32632",
        "transform": from_origin(400_000, 5_300_000, 10, 10),
        **options,
    }
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)


def test_pairs_become_scenes_of_the_same_pixels(tmp_path):
    rng = np.random.default_rng(0)
    names = ("blue", "green", "red", "nir")
    dates = rng.integers(1, 3000, (2, 4, 80, 120)).astype(np.uint16)
    dates[0, :, :5] = 0  # nodata
    label = rng.integers(0, 2, (1, 80, 120)).astype(np.uint8)
    label[:, 60:] = 255
    for folder, pixels in (("A", dates[0]), ("B", dates[1])):
        write_raster(tmp_path / "set" / folder / "one.tif", pixels, names, nodata=0)
    write_raster(tmp_path / "set" / "label" / "one.tif", label)
    (found,) = prepare_labelled([str(tmp_path / "set")], tmp_path / "out", RGB)
    assert found == PreparedScene("0-set-one-0-0.npz", "one", 55 * 120, int(label[0, 5:60].sum()))
    assert read_index(tmp_path / "out") == (found,)
    scene = PreparedScenes(tmp_path / "out", (found,)).load(0)
    assert scene.bands == ("red", "green", "blue", "nir")
    for date, pixels in ((scene.before, dates[0]), (scene.after, dates[1])):
        assert date.dtype == np.uint16
        np.testing.assert_array_equal(date[:, 5:], pixels[[2, 1, 0, 3], 5:])
    assert not scene.valid[:5].any()
    assert scene.valid[5:].all()
    np.testing.assert_array_equal(scene.truth[:60], label[0, :60])
    assert (scene.truth[60:] == UNKNOWN).all()


def test_large_pairs_are_cut_into_pieces_that_cover_them_once(tmp_path):
    edge = MOST_PX + 70
    number = np.arange(edge * 100, dtype=np.uint32).reshape(1, edge, 100).repeat(3, axis=0)
    label = np.zeros((1, edge, 100), np.uint8)
    label[:, ::7] = 255
    for folder in "AB":
        write_raster(tmp_path / "set" / folder / "long_1.tif", number)
    write_raster(tmp_path / "set" / "label" / "long_1.tif", label)
    found = prepare_labelled([str(tmp_path / "set")], tmp_path / "out", RGB)
    assert len(found) == 2
    assert len({scene.place for scene in found}) == 1
    pieces = [read_scene(tmp_path / "out" / scene.file) for scene in found]
    np.testing.assert_array_equal(np.concatenate([piece.before[0] for piece in pieces]), number[0])
    np.testing.assert_array_equal(np.concatenate([piece.truth for piece in pieces]), label[0] == 255)


def test_decibels_are_lifted_above_0(tmp_path):
    rng = np.random.default_rng(0)
    decibels = rng.normal(-12, 3, (2, 70, 70)).astype(np.float32)
    for date in ("before", "after"):
        write_raster(tmp_path / "set" / "there" / f"{date}.tif", decibels)
    options = PrepareOptions(wanted=WantedBands(("vv", "vh"), 2))
    (found,) = prepare_unlabelled([str(tmp_path / "set")], tmp_path / "out", options)
    scene = read_scene(tmp_path / "out" / found.file)
    assert float(scene.before.min()) == 0
    lifted = decibels - decibels.min(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(scene.before, lifted, atol=1e-5)
    assert (scene.truth == UNKNOWN).all()


def test_unlabelled_pairs_are_found_in_both_layouts(tmp_path):
    picture = np.zeros((3, 70, 70), np.uint8)
    for folder, name in (("t1", "x"), ("t2", "x"), ("t1", "only")):
        write_raster(tmp_path / "folders" / folder / f"{name}.tif", picture)
    assert [pair.name for pair in find_unlabelled(tmp_path / "folders")] == ["x"]
    for place in ("p", "q"):
        for date in ("before", "after"):
            write_raster(tmp_path / "places" / place / f"{date}.tif", picture)
    assert [pair.name for pair in find_unlabelled(tmp_path / "places")] == ["p", "q"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no pairs"):
        find_unlabelled(tmp_path / "empty")
    with pytest.raises(InputError, match="there is no folder"):
        find_unlabelled(tmp_path / "none")


def test_pairs_too_small_for_training_are_refused(tmp_path):
    for date in ("before", "after"):
        write_raster(tmp_path / "set" / "p" / f"{date}.tif", np.ones((3, 40, 200), np.uint8))
    with pytest.raises(InputError, match="share 200 x 40 pixels; training requires"):
        prepare_unlabelled([str(tmp_path / "set")], tmp_path / "out", RGB)
    assert not (tmp_path / "out" / "index.json").exists()


def test_an_invalid_index_is_refused(tmp_path):
    (tmp_path / "index.json").write_text('[{"file": "x"}]')
    with pytest.raises(InputError, match="not an index of prepared scenes"):
        read_index(tmp_path)


# --- neighbours -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Two folders with tiles of 1.4 km in one row, the first of the second next to the last of the first."""
    root = tmp_path_factory.mktemp("rows")
    for folder, names in (("west", "abc"), ("east", "de")):
        for number, name in enumerate(names):
            column = 140 * number + (430 if folder == "east" else 0)
            write_set(root / folder, (name,), transform=TEN_METRES @ Affine.translation(column, 0))
    return [str(root / "west"), str(root / "east")]


def test_prepared_scenes_know_what_they_adjoin(rows, tmp_path):
    prepare_labelled(rows, tmp_path / "made", RGB)
    adjoins = {scene.place: scene.adjoins for scene in read_index(tmp_path / "made")}
    assert adjoins == {
        "0-west/a": ("0-west/b",),
        "0-west/b": ("0-west/a", "0-west/c"),
        "0-west/c": ("0-west/b", "1-east/d"),
        "1-east/d": ("0-west/c", "1-east/e"),
        "1-east/e": ("1-east/d",),
    }
    old = [
        {key: value for key, value in vars(scene).items() if key != "adjoins"}
        for scene in read_index(tmp_path / "made")
    ]
    (tmp_path / "made" / "index.json").write_text(json.dumps(old))
    assert {scene.adjoins for scene in read_index(tmp_path / "made")} == {()}


def test_neighbours_of_all_folders_are_kept_together(rows, tmp_path):
    near = prepare_labelled(rows, tmp_path / "near", replace(RGB, group_by="5m"))
    assert {scene.place for scene in near} == {"0-west/a", "1-east/d"}
    assert {scene.adjoins for scene in near} == {("0-west/a",), ("1-east/d",)}
    all_in_one = prepare_labelled(rows, tmp_path / "all", replace(RGB, group_by="500m"))
    assert {(scene.place, scene.adjoins) for scene in all_in_one} == {("0-west/a", ())}
    named = prepare_labelled(rows, tmp_path / "named", replace(RGB, group_by="[ab]|[cde]"))
    assert {scene.place for scene in named} == set("abcde")


def test_testing_next_to_training_places_warns(caplog):
    far = scenes_of({f"p{number}": (10, 90) for number in range(8)})
    near = [replace(scene, adjoins=tuple(f"p{number}" for number in range(8))) for scene in far]
    for scenes, said in ((far, 0), (near, 1)):
        caplog.clear()
        split_places(scenes, 0.2, 0.2, 0)
        assert len(caplog.records) == said
        fold_places(scenes, 4, 0.2, 0)
        assert len(caplog.records) == 2 * said
    assert "`group_by='500m'`" in caplog.text
    caplog.clear()
    split_places(near, 0.2, 0, 0)
    assert not caplog.records, "nothing is tested"


def test_labels_without_an_unchanged_pixel_are_refused(tmp_path):
    folder = write_set(tmp_path / "set", ("north_1",))
    hide_unchanged(folder)
    with pytest.raises(InputError, match="is unchanged, so false positives"):
        prepare_labelled([str(folder)], tmp_path / "out", RGB)
