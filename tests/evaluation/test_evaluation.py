"""`evaluate`: what it measures is what `detect` gives, and every figure is what its name says."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from sklearn import metrics as oracle

import rsdetect
from rsdetect.errors import InputError, ModelError
from rsdetect.evaluation import Evaluation, card_scores, evaluate, store_scores
from rsdetect.evaluation.bootstrap import bootstrap_places, macro, percentile_interval
from rsdetect.evaluation.figures import evaluation_figures
from rsdetect.evaluation.misregistration import misregister
from rsdetect.evaluation.object_counts import count_edges, count_objects
from rsdetect.evaluation.results import Interval
from rsdetect.evaluation.tally import Tally
from rsdetect.grid import Window
from rsdetect.nets.card import Card
from rsdetect.nets.checkpoint import find_model, load_model, read_card, save_model
from rsdetect.scenes.pair import PairOptions, open_pair
from rsdetect.scenes.scene import read_scene
from support.jobs import changed_pair, listing, run_apart, run_here
from support.labelled_sets import H, W, hide_unchanged, write_set
from support.scenes import TEN_METRES, random_scene, textured_scene, write_plain, write_scene


@pytest.fixture(scope="module")
def labelled_set(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("sets") / "north-and-south")


@pytest.fixture(scope="module")
def evaluation(labelled_set):
    return evaluate([labelled_set], detector="cva", seed=3)


def strict(text):
    def never(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=never)


# --- what is measured is what users get ---------------------------------------------------------------


def percents(labelled_set, name, out):
    rsdetect.detect(
        labelled_set / "A" / f"{name}.tif",
        labelled_set / "B" / f"{name}.tif",
        out=out,
        detector="cva",
        quiet=True,
    )
    with rasterio.open(out / "change_probability.tif") as raster:
        percent = raster.read(1)
    with rasterio.open(labelled_set / "label" / f"{name}.tif") as label:
        return percent, label.read(1) == 255


def test_figures_are_those_of_the_rasters_that_detect_writes(labelled_set, evaluation, tmp_path):
    (source,) = evaluation.sources
    names = [scene.name for scene in source.scenes]
    assert names == ["north_1", "north_2", "quiet_1", "south_1"]
    rasters = {name: percents(labelled_set, name, tmp_path / name) for name in names}
    for scene in source.scenes:
        percent, truth = (array.ravel() for array in rasters[scene.name])
        marked = percent >= 50
        assert scene.figures["accuracy"] == pytest.approx(oracle.accuracy_score(truth, marked))
        if truth.any():
            assert scene.figures["f1"] == pytest.approx(oracle.f1_score(truth, marked))
            expected = oracle.average_precision_score(truth, percent / 100)
            assert scene.figures["average_precision"] == pytest.approx(expected)
    percent, truth = (np.concatenate([r[i].ravel() for r in rasters.values()]) for i in range(2))
    figures = {name: figure.value for name, figure in source.figures.items()}
    assert figures["kappa"] == pytest.approx(oracle.cohen_kappa_score(truth, percent >= 50))
    assert figures["iou"] == pytest.approx(oracle.jaccard_score(truth, percent >= 50))
    assert figures["precision"] == pytest.approx(oracle.precision_score(truth, percent >= 50))
    every = [oracle.f1_score(truth, percent >= level, zero_division=0) for level in range(101)]
    assert figures["f1_best"] == pytest.approx(max(every))
    assert figures["recall_best"] == pytest.approx(
        oracle.recall_score(truth, percent >= round(100 * figures["threshold_best"]))
    )
    assert figures["changed_share"] == pytest.approx(truth.mean())
    assert figures["f1_marking_everything"] == pytest.approx(oracle.f1_score(truth, np.ones_like(truth)))
    quiet = rasters["quiet_1"][0] >= 50
    assert figures["false_alarm_share"] == pytest.approx(quiet.mean())
    points = {threshold: others for threshold, *others in source.curve}
    assert points[0.5] == [figures["precision"], figures["recall"]]
    assert sum(pixels for _, _, pixels in source.reliability) == 4 * H * W


def test_pixels_without_label_or_observation_are_not_counted(tmp_path):
    scenes = changed_pair(tmp_path / "ulm")  # rows 0 to 6 are nodata
    label = np.zeros((300, 420), np.uint8)
    label[50:100, 70:210] = 1
    label[:, 300:] = 255
    label[0, 0] = 1
    write_scene(tmp_path / "ulm" / "labels.tif", label)
    found = evaluate([tmp_path], detector="cva", shifts_px=())
    figures = found.sources[0].figures
    assert figures["changed_share"].value == pytest.approx(50 * 140 / (293 * 300))
    assert scenes.after


def test_the_network_is_measured_that_the_model_file_holds(labelled_set, tmp_path):
    plain = evaluate([labelled_set], shifts_px=())
    assert plain.detector["model_sha256"]
    assert len(plain.detector["model_sha256"]) == 64
    # A network that answers the other way round must score otherwise.
    net, card = load_model("siamese")
    with torch.no_grad():
        net.head.weight.neg_()
        net.head.bias.neg_()
    save_model(tmp_path / "turned.safetensors", net, card)
    turned = evaluate([labelled_set], model=str(tmp_path / "turned.safetensors"), shifts_px=())
    assert plain.macro["average_precision"].value > turned.macro["average_precision"].value + 0.2


# --- objects and outlines -----------------------------------------------------------------------------


def blocks(*corners, shape=(60, 80)):
    mask = np.zeros(shape, bool)
    for row, col, height, width in corners:
        mask[row : row + height, col : col + width] = True
    return mask


def test_objects_worked_by_hand():
    changed = blocks((0, 0, 10, 10), (20, 0, 10, 10), (40, 0, 10, 10), (0, 40, 4, 4))
    marked = blocks(
        (0, 0, 10, 5),  # half of the first: found
        (20, 0, 10, 4),  # less than half of the second: not found, and not false either
        (40, 20, 4, 5),  # 20 px of nothing: false
        (40, 40, 4, 4),  # 16 px of nothing: too small to count
        (50, 60, 5, 5),  # false, but for one changed pixel
    )
    changed[50, 60] = True
    everything = np.ones_like(changed)
    assert count_objects(marked, changed, everything) == {
        "objects": 3,
        "objects_found": 1,
        "false_regions": 1,
    }
    # Without labels, nothing is false, and nothing can be detected.
    some = everything.copy()
    some[38:] = False
    assert count_objects(marked, changed, some) == {"objects": 2, "objects_found": 1, "false_regions": 0}
    nothing = np.zeros_like(changed)
    assert count_objects(nothing, nothing, everything) == {
        "objects": 0,
        "objects_found": 0,
        "false_regions": 0,
    }


def test_regions_that_touch_at_corners_are_two_as_in_detect():
    marked = blocks((0, 0, 5, 5), (5, 5, 5, 5))
    told = count_objects(marked, np.zeros_like(marked), np.ones_like(marked))
    assert told["false_regions"] == 2


@given(st.integers(0, 2**32 - 1))
def test_outlines_agree_within_two_pixels(seed):
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 50, (4, 4))
    marked, changed = blocks(*corners[:2]), blocks(*corners[2:])
    everything = np.ones_like(marked)
    told = count_edges(marked, changed, everything)

    def edge(mask):  # a pixel with one of its four neighbours outside the mask, seen by padding
        padded = np.pad(mask, 1, mode="edge")
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        return mask & ~inner

    def near(one, other):
        return int((one & (distance_transform_edt(~other) <= 2)).sum()) if other.any() else 0

    mine, true = edge(marked), edge(changed)
    assert told == {
        "marked_edge": mine.sum(),
        "marked_edge_near": near(mine, true),
        "true_edge": true.sum(),
        "true_edge_near": near(true, mine),
    }


def test_a_mask_moved_by_two_pixels_has_a_perfect_outline_and_by_six_none():
    changed = blocks((10, 10, 20, 20))
    for moved, expected in ((2, 1.0), (12, 0.0)):
        told = count_edges(
            np.roll(changed, moved, (0, 1)) if moved > 2 else np.roll(changed, 1, 1), changed, ~blocks()
        )
        share = told["marked_edge_near"] / told["marked_edge"]
        assert (share == 1.0) if expected else (share < 0.3)


def test_false_regions_by_area_where_the_pixels_have_one(labelled_set, tmp_path):
    def by_area(folder):
        figures = evaluate([folder], detector="cva", shifts_px=()).sources[0].figures
        return figures["false_regions_per_mpx"].value, figures["false_regions_per_km2"].value

    per_mpx, per_km2 = by_area(labelled_set)
    assert per_km2 == pytest.approx(per_mpx / 100)  # 10 m pixels: 100 km2 a Mpx
    degrees = TEN_METRES.translation(10, 60) @ TEN_METRES.scale(1e-4, -1e-4)
    per_mpx, per_km2 = by_area(write_set(tmp_path / "degrees", crs="EPSG:4326", transform=degrees))
    metres = 111_412e-4 * 55_800e-4
    assert per_km2 == pytest.approx(per_mpx / metres, rel=1e-3)
    assert math.isnan(by_area(write_set(tmp_path / "plain", driver="PNG", crs=None, transform=None))[1])


# --- a planted shift ------------------------------------------------------------------------------------


@pytest.mark.parametrize("georeferenced", [True, False])
def test_a_planted_shift_moves_the_after_scene_to_the_right(tmp_path, georeferenced):
    from scipy.ndimage import shift

    write = write_scene if georeferenced else write_plain
    after = textured_scene(2, 3, 60, 70)
    suffix = "tif" if georeferenced else "png"
    paths = [
        write(tmp_path / f"{n}.{suffix}", a) for n, a in (("a", random_scene(1, 3, 60, 70)), ("b", after))
    ]
    pair = open_pair(*paths)
    values, valid = read_scene(misregister(pair, 2).after, pair.grid.window)
    np.testing.assert_array_equal(values[:, :, 2:], after[:, :, :-2])
    assert not valid[:, :2].any()
    assert valid[:, 2:].all()
    half, valid = read_scene(misregister(pair, 0.5).after, pair.grid.window)
    wanted = shift(after.astype(np.float32), (0, 0, 0.5), order=3, mode="nearest")
    assert np.abs(half - wanted)[:, :, 4:-4].mean() < 1.0
    assert np.abs(half - after)[:, :, 4:-4].mean() > 4.0
    part, _ = read_scene(misregister(pair, 0.5).after, Window(11, 7, 30, 40))
    np.testing.assert_array_equal(part, half[:, 11:41, 7:47])
    untouched, _ = read_scene(misregister(pair, 2).before, pair.grid.window)
    np.testing.assert_array_equal(untouched, read_scene(pair.before, pair.grid.window)[0])


def test_a_shift_is_planted_into_scenes_of_other_extents_too(tmp_path):
    after = textured_scene(2, 1, 60, 70)
    moved = TEN_METRES @ TEN_METRES.translation(-8, -3)
    paths = (
        write_scene(tmp_path / "a.tif", random_scene(1, 1, 40, 50)),
        write_scene(tmp_path / "b.tif", after, transform=moved),
    )
    pair = open_pair(*paths)
    values, _ = read_scene(misregister(pair, 1).after, pair.grid.window)
    np.testing.assert_array_equal(values, after[:, 3:43, 7:57])
    aligned = open_pair(*paths, PairOptions(align=True))
    np.testing.assert_array_equal(read_scene(misregister(aligned, 1).after, pair.grid.window)[0], values)


def test_a_misregistration_of_the_whole_pair_has_the_expected_loss(labelled_set, tmp_path):
    told = evaluate([labelled_set], detector="cva", shifts_px=(2,)).sources[0].scenes[0].figures
    # The same, with the pixels of the file moved by hand.
    for name in ("A", "B", "label"):
        (tmp_path / name).mkdir()
        with rasterio.open(labelled_set / name / "north_1.tif") as file:
            pixels = file.read()
        if name == "B":
            pixels = np.roll(pixels, 2, axis=2)
            pixels[:, :, :2] = 0
        write_scene(tmp_path / name / "x.tif", pixels, nodata=0 if name == "B" else None)
    by_hand = evaluate([tmp_path], detector="cva", shifts_px=()).sources[0].scenes[0].figures
    assert told["shift_2_px_f1"] == pytest.approx(by_hand["f1"], abs=1e-9)
    assert told["shift_2_px_average_precision"] == pytest.approx(by_hand["average_precision"], abs=1e-9)
    assert told["shift_2_px_f1_loss"] == pytest.approx(told["f1"] - told["shift_2_px_f1"])


# --- intervals --------------------------------------------------------------------------------------------


def tallies_of(seed, count=6):
    rng = np.random.default_rng(seed)
    fields = Tally.__dataclass_fields__
    made = []
    for _ in range(count):
        shapes = {name: (101,) if name in ("changed", "unchanged") else () for name in fields}
        shapes |= dict.fromkeys(("shifted_changed", "shifted_unchanged"), (2, 101))
        made.append(Tally(**{name: rng.integers(1, 50, shape) for name, shape in shapes.items()}))
    return made


def test_draws_take_places_whole_and_give_the_figures_of_their_totals():
    parts = tallies_of(1)
    places = ["a", "a", "b", "c", "c", "c"]
    draws = bootstrap_places(parts, places, 0.4, (0.5, 1.0), (7,))
    again = bootstrap_places(parts, places, 0.4, (0.5, 1.0), (7,))
    other = bootstrap_places(parts, places, 0.4, (0.5, 1.0), (8,))
    assert all((draws[name] == again[name]).all() for name in draws)
    assert (draws["f1"] != other["f1"]).any()
    together = [parts[0:2], parts[2:3], parts[3:6]]
    times = np.random.default_rng((7,)).multinomial(3, [1 / 3] * 3, 1000)
    for i in (0, 17, 999):
        chosen = [part for group, n in zip(together, times[i], strict=True) for part in group * n]
        for name, figure in evaluation_figures(Tally.total(chosen), 0.4, (0.5, 1.0)).items():
            assert draws[name][i] == pytest.approx(figure), name


def test_intervals_cover_as_often_as_they_say():
    # Scenes with shares of change drawn from one distribution: nine intervals of ten hold its mean.
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(20):
        shares = rng.beta(4, 12, 40)
        blank = tallies_of(0, 1)[0]
        parts = [
            replace(blank, changed=np.eye(101, dtype=int)[50] * round(1e4 * s), pixels=np.asarray(10_000))
            for s in shares
        ]
        draws = bootstrap_places(parts, [str(i) for i in range(40)], 0.5, (), (trial,))
        interval = percentile_interval(float(np.mean(shares)), draws["changed_share"])
        held += interval.low <= 0.25 <= interval.high
    assert held >= 15


def test_the_macro_mean_counts_each_source_once():
    figures = [
        {"f1": Interval(0.2, 0.1, 0.3)},
        {"f1": Interval(0.8, math.nan, math.nan)},
        {"f1": Interval(math.nan, math.nan, math.nan)},
    ]
    draws = [
        {"f1": np.linspace(0.1, 0.3, 1000)},
        {"f1": np.full(1000, np.nan)},
        {"f1": np.full(1000, np.nan)},
    ]
    told = macro(figures, draws)["f1"]
    assert told.value == pytest.approx(0.5)
    assert (told.low, told.high) == (pytest.approx(0.455, abs=1e-3), pytest.approx(0.545, abs=1e-3))
    alone = macro(figures[1:], draws[1:])["f1"]
    assert alone.value == 0.8
    assert math.isnan(alone.low)
    assert math.isnan(macro(figures[2:], draws[2:])["f1"].value)


def test_a_set_of_one_place_has_figures_and_no_interval(tmp_path):
    folder = write_set(tmp_path / "one", ("a_0_0", "a_0_96"))
    (source,) = evaluate([folder], detector="cva", shifts_px=()).sources
    assert source.places == 1
    assert math.isnan(source.figures["f1"].low)
    assert source.figures["f1"].value > 0.3
    assert any("one place" in note for note in source.notes)


# --- several sources, and their bands ---------------------------------------------------------------


def test_sources_have_bands_of_their_own_and_are_averaged(labelled_set, tmp_path):
    other = write_set(tmp_path / "other", ("x_1", "y_1"), seed=9)
    both = evaluate([labelled_set, f"{other}:1"], detector="cva", shifts_px=())
    first, second = (
        evaluate([folder], detector="cva", shifts_px=()).macro for folder in (labelled_set, f"{other}:1")
    )
    whole = evaluate([other], detector="cva", shifts_px=(), bands=(1, 2, 3)).macro
    assert [source.name for source in both.sources] == ["north-and-south", "other"]
    assert both.macro["f1"].value == pytest.approx((first["f1"].value + second["f1"].value) / 2)
    assert whole["average_precision"].value != second["average_precision"].value
    assert both.macro["f1"].low < both.macro["f1"].value < both.macro["f1"].high


def test_the_card_stores_the_scores(evaluation):
    scores = card_scores(evaluation)
    assert set(scores) == {"north-and-south", "macro"}
    told = scores["north-and-south"]
    assert told["f1"] == round(evaluation.sources[0].figures["f1"].value, 3)
    assert told["f1_low"] <= told["f1"] <= told["f1_high"]
    assert all(isinstance(value, float) for value in told.values())
    card = read_card("siamese")
    assert (
        Card.model_validate({**card.model_dump(), "scores": scores}).scores["macro"]["f1"]
        == scores["macro"]["f1"]
    )


def test_scores_go_into_the_card_of_the_model_file_that_was_evaluated(labelled_set, tmp_path):
    model = tmp_path / "mine.safetensors"
    model.write_bytes(find_model("siamese").read_bytes())
    before = read_card(model)
    arguments = (labelled_set, "--model", model, "--shifts", "none", "--into-card", "--json")
    told = run_here("evaluate", *arguments, "--out", tmp_path / "out")
    assert told.status == 0
    after = read_card(model)
    found = strict(told.out)["sources"][0]["figures"]["f1"]
    assert after.scores["north-and-south"]["f1"] == round(found["value"], 3)
    assert after.scores["north-and-south"]["f1_high"] == round(found["high"], 3)
    assert set(after.scores) == set(before.scores) | {"north-and-south", "macro"}
    assert after.model_copy(update={"scores": before.scores}) == before
    for one, other in zip(*(load_model(path)[0].parameters() for path in (model, "siamese")), strict=True):
        assert torch.equal(one, other)
    found = evaluate([labelled_set], detector="cva", shifts_px=())
    with pytest.raises(ModelError, match="is not the evaluated file"):
        store_scores(found, model)


def test_evaluate_is_in_the_index(labelled_set):
    found = rsdetect.evaluate([labelled_set], detector="cva", shifts_px=())
    assert isinstance(found, Evaluation)


# --- the command line ---------------------------------------------------------------------------------------


def test_the_command_writes_a_record_and_a_page_and_prints_tables(labelled_set, tmp_path):
    out = tmp_path / "new" / "out"
    told = run_apart(
        "evaluate", labelled_set, "--out", out, "--detector", "cva", "--shifts", "1", "--seed", "3"
    )
    assert told.status == 0
    assert "At the threshold 0.50 of the detector" in told.out
    assert "north-and-south" in told.out
    assert told.err == f"Pictures of the worst tiles: {out / 'evaluation.html'}\n"
    assert "…" not in told.out  # outside of a terminal no number is cut
    assert listing(out) == ["evaluation.html", "evaluation.json"]
    record = strict((out / "evaluation.json").read_text())
    assert (record["rsdetect"], record["schema"], record["seed"]) == ("evaluation", 1, 3)
    assert record["detector"] == {
        "name": "cva", "model": None, "model_version": None, "model_sha256": None, "bands": None,
        "backend": None, "precision": None,
    }  # fmt: skip
    (source,) = record["sources"]
    assert (source["pairs"], source["places"]) == (4, 3)
    f1 = source["figures"]["f1"]
    assert f1["low"] <= f1["value"] <= f1["high"]
    assert set(source["figures"]) == set(record["macro"]) == set(source["scenes"][0]["figures"])
    assert source["scenes"][2]["figures"]["recall"] is None  # of no change, no share can be found
    assert {tile["pair"] for tile in source["worst"]} <= {"north_1", "north_2", "quiet_1", "south_1"}
    told = run_here("evaluate", labelled_set, "--out", out, "--detector", "cva")
    assert told.status == 2
    assert "add --overwrite" in told.err
    told = run_here(
        "evaluate",
        labelled_set,
        "--out",
        out,
        "--detector",
        "cva",
        "--overwrite",
        "--json",
        "--shifts",
        "none",
    )
    assert (told.status, told.err) == (0, "")
    again = strict(told.out)
    assert again == strict((out / "evaluation.json").read_text())
    assert again["shifts_px"] == []
    assert "shift_1_px_f1" not in again["macro"]


def test_the_same_seed_gives_the_same_intervals(labelled_set, evaluation):
    again = evaluate([labelled_set], detector="cva", seed=3)
    assert again.sources[0].figures == evaluation.sources[0].figures


@pytest.fixture
def refused(tmp_path, labelled_set):
    """Run evaluate, check that it fails with one sentence and leaves no file, and return the message."""

    def run(*arguments):
        out = tmp_path / "not" / "made"
        told = run_here("evaluate", *arguments, "--out", out)
        assert (told.status, told.out) == (2, "")
        assert told.err.startswith("Error: ")
        assert told.err.count("\n") == 1
        assert "defect" not in told.err
        assert not (tmp_path / "not").exists()
        return told.err

    return run


def test_folders_that_cannot_be_scored_are_refused(refused, labelled_set, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no labelled pairs" in refused(tmp_path / "empty", "--detector", "cva")
    assert "there is no folder" in refused(tmp_path / "nowhere", "--detector", "cva")
    assert "given twice" in refused(labelled_set, f"{labelled_set}:1", "--detector", "cva")
    assert "'round' is unknown" in refused(labelled_set, "--detector", "cva", "--layout", "round")
    assert "no folders A/" in refused(tmp_path / "empty", "--detector", "cva", "--layout", "folders")


def test_models_and_options_that_cannot_be_met_are_refused(refused, labelled_set):
    assert "nowhere.safetensors" in refused(labelled_set, "--model", "nowhere.safetensors")
    assert "'magic' is unknown" in refused(labelled_set, "--detector", "magic")
    assert "asks for 7" in refused(labelled_set, "--bands", "7,1,1")
    assert "asks for 9" in refused(f"{labelled_set}:9", "--detector", "cva")
    assert "'far' is not a list of pixels" in refused(labelled_set, "--shifts", "far")
    assert "--shifts 0 is not a shift" in refused(labelled_set, "--shifts", "1,0")
    assert "give it as --model" in refused(labelled_set, "--detector", "cva", "--into-card")
    assert "--seed -1" in refused(labelled_set, "--seed", "-1")


def test_labels_that_do_not_fit_are_refused_before_anything_is_scored(refused, tmp_path):
    folder = write_set(tmp_path / "set", ("a", "b"))
    write_plain(folder / "label" / "b.tif", np.zeros((10, 12), np.uint8), driver="GTiff")
    assert "b.tif has 12 x 10 pixels" in refused(folder, "--detector", "cva")
    for name in "ab":
        write_scene(folder / "label" / f"{name}.tif", np.full((H, W), 255, np.uint8))
    assert "no pixel is labelled" in refused(folder, "--detector", "cva")


def test_a_label_outside_of_what_both_dates_observed_is_refused(refused, tmp_path):
    folder = write_set(tmp_path / "set", ("a",), nodata=0)
    label = np.full((H, W), 255, np.uint8)
    label[:10], label[10:12] = 0, 1
    write_scene(folder / "label" / "a.tif", label)
    with rasterio.open(folder / "B" / "a.tif", "r+") as after:
        pixels = after.read()
        pixels[:, :12] = 0
        after.write(pixels)
    assert "no labelled pixel in" in refused(folder, "--detector", "cva", "--shifts", "none")


def test_a_scene_that_breaks_on_the_way_is_named_and_leaves_nothing(refused, tmp_path):
    folder = write_set(tmp_path / "set", ("a", "b"))
    whole = (folder / "B" / "b.tif").read_bytes()
    (folder / "B" / "b.tif").write_bytes(whole[: len(whole) // 2])
    assert "b.tif cannot be read at rows" in refused(folder, "--detector", "cva", "--shifts", "none")


def test_an_option_that_is_not_there_is_refused(labelled_set):
    with pytest.raises(InputError, match="no option 'treshold'; there are align, backend, bands"):
        evaluate([labelled_set], treshold=0.3)


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(labelled_set, tmp_path):
    (tmp_path / "file").write_text("")
    told = run_here("evaluate", labelled_set, "--out", tmp_path / "file" / "out", "--detector", "cva")
    assert told.status == 2
    assert "cannot be written" in told.err


def test_a_set_in_which_nothing_is_labelled_as_unchanged_has_recall_alone(tmp_path, evaluation, caplog):
    folder = write_set(tmp_path / "set", ("north_1", "south_1"))
    hide_unchanged(folder)
    found = evaluate([folder], detector="cva", shifts_px=(1,))
    (source,) = found.sources
    defined = {name for name, figure in source.figures.items() if not math.isnan(figure.value)}
    assert defined == {"recall", "recall_best", "changed_share", "objects_found", "calibration_error"}
    assert any("nothing is labelled as unchanged" in note for note in source.notes)
    assert "nothing is labelled as unchanged" in caplog.text
    assert not any("nothing is labelled" in note for note in evaluation.sources[0].notes)
