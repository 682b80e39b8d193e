"""`rsdetect train` as users run it: folders in, a model out that detects; and what they get wrong."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rsdetect.cli import main
from rsdetect.nets.card import Architecture
from rsdetect.nets.checkpoint import load_model, read_card, save_model
from support.labelled_sets import write_set
from support.models import card_of, trained_looking
from support.toy_training import SIMULATED, tiny_recipe

torch.set_num_threads(1)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe())
    return path


@pytest.fixture
def simulated(tmp_path: Path) -> Path:
    path = tmp_path / "simulated.toml"
    path.write_text(tiny_recipe() + SIMULATED)
    return path


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Seven pairs of four places."""
    return write_set(tmp_path / "set", ("a_1", "a_2", "b_1", "b_2", "c_1", "d_1", "d_2"))


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr("rsdetect.training.machine.usable_cores", lambda: 1)  # the others run tests
    monkeypatch.setattr(
        sys, "argv", ["rsdetect", "train", *map(str, arguments), "--workers", "0", "--device", "cpu"]
    )
    with pytest.raises(SystemExit) as done:
        main()
    return int(done.value.code or 0)


def test_simulated_scenes_become_a_model_that_detects(monkeypatch, capsys, tmp_path, simulated, labelled):
    model = tmp_path / "m.safetensors"
    assert run(monkeypatch, "--recipe", simulated, "--out", model, "--seed", 3, "--json") == 0
    card = read_card(model)
    assert json.loads(capsys.readouterr().out) == card.model_dump(mode="json")
    assert (card.name, card.training.seed, card.training.steps, card.training.chips) == ("tiny", 3, 6, 12)
    assert "9 scenes of 64 px made by rsdetect.simulation" in card.training.data
    assert set(card.scores) == {"simulated, held out"}
    assert 0.01 <= card.threshold <= 0.99
    work = tmp_path / "m.work"
    with (work / "log.csv").open(newline="") as log:
        assert [row["step"] for row in csv.DictReader(log)] == ["3", "6"]
    assert not (work / "scenes").exists(), "they can be made again"
    pair = [str(labelled / date / "a_1.tif") for date in "AB"]
    command = ["detect", *pair, "--model", model, "--out", tmp_path / "out", "--quiet", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["rsdetect", *map(str, command)])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0
    assert (tmp_path / "out" / "change_probability.tif").exists()


def test_labelled_folders_become_a_model_and_folds_its_figures(monkeypatch, tmp_path, tiny, labelled):
    model = tmp_path / "m.safetensors"
    options = ("--recipe", tiny, "--out", model, "--folds", 4, "--steps", 3, "--quiet")
    assert run(monkeypatch, labelled, *options) == 0
    card = read_card(model)
    folds = [card.scores[f"fold {number}"] for number in range(1, 5)]
    for key, mean in card.scores["folds, mean"].items():
        assert mean == pytest.approx(np.mean([fold[key] for fold in folds]), abs=1e-3)
        spread = np.std([fold[key] for fold in folds], ddof=1)
        assert card.scores["folds, spread"][key] == pytest.approx(spread, abs=1e-3)
    assert "labelled pairs of 3 places" in card.training.data, "one of the four validates"


def test_fine_tuning_starts_from_a_model(monkeypatch, tmp_path, labelled):
    base, tuned = tmp_path / "base.safetensors", tmp_path / "tuned.safetensors"
    untrained(base, seed=1)
    changes = ("--set", "schedule.learning_rate=1e-9")
    sizes = ("--set", "chips.size_px=64", "--set", "chips.batch=2", "--set", "validation.every=2")
    options = ("--from", base, "--out", tuned, "--steps", 2, "--quiet", *changes, *sizes)
    assert run(monkeypatch, labelled, "--unlabelled", labelled, *options) == 0
    before, after = load_model(base)[0].state_dict(), load_model(tuned)[0].state_dict()
    learned = [key for key in before if "running" not in key and "num_batches" not in key]
    assert learned
    for key in learned:
        torch.testing.assert_close(after[key], before[key], atol=1e-6, rtol=1e-6)
    card = read_card(tuned)
    assert card.architecture == read_card(base).architecture
    assert card.bands == ("red", "green", "blue")
    assert "unlabelled pairs of 7 places, starting from small 0" in card.training.data
    assert "labelled pairs of 4 places" in card.training.data, "few places are all worth more in teaching"
    assert not card.scores


def test_folds_guard_fine_tuning(monkeypatch, tmp_path, labelled):
    base, tuned = tmp_path / "base.safetensors", tmp_path / "tuned.safetensors"
    net = trained_looking()
    save_model(base, net, card_of(net))
    short = ("--steps", 1, "--quiet", "--workers", 0, "--set", "chips.size_px=64", "--set", "chips.batch=2")
    monkeypatch.setattr("rsdetect.training.run.choose_share", lambda folds: 0.0)
    assert run(monkeypatch, labelled, "--from", base, "--out", tuned, "--folds", 2, *short) == 0
    found, card = load_model(tuned)
    assert all(torch.equal(found.state_dict()[key], value) for key, value in net.state_dict().items())
    assert card.training.data.startswith("none, because the folds did not gain")
    assert sorted(path.name for path in (tmp_path / "tuned.work").glob("*/log.csv")) == ["log.csv"] * 2
    assert not (tmp_path / "tuned.work" / "all").exists(), "no training whose weights are thrown away"
    assert card.scores["folds, mean"] == card.scores["folds before fine-tuning, mean"]


def untrained(path: Path, seed: int) -> dict[str, torch.Tensor]:
    """Save a model with the network of the tiny recipe and random weights; its weights."""
    architecture = Architecture(bands=3, widths=(4, 8, 8), evidence=8)
    torch.manual_seed(seed)
    net = architecture.build()
    save_model(path, net, card_of(net, architecture))
    return load_file(path)


def test_weights_are_averaged_with_those_of_other_models(monkeypatch, tmp_path, simulated):
    def trained(name: str, *options: object) -> dict[str, torch.Tensor]:
        path = tmp_path / f"{name}.safetensors"
        common = ("--recipe", simulated, "--steps", 2, "--quiet", "--seed", 3, "--out", path)
        features = ("--set", "loss.auxiliary=contrastive")  # the run keeps hold of the network's features
        assert run(monkeypatch, *common, *features, *options) == 0
        return load_file(path)

    others = [tmp_path / f"{name}.safetensors" for name in ("first", "second")]
    first, second = (untrained(path, seed) for seed, path in enumerate(others))
    alone = trained("alone")
    mean = trained("mean", *(word for other in others for word in ("--average-with", other)))
    for key, value in mean.items():
        if value.is_floating_point():
            wanted = (first[key].double() + second[key].double() + alone[key].double()) / 3
            torch.testing.assert_close(value.double(), wanted, atol=1e-6, rtol=1e-6)
    card = read_card(tmp_path / "mean.safetensors")
    assert "weights averaged with those of small 0 and small 0" in card.training.data
    assert card.calibration != read_card(tmp_path / "alone.safetensors").calibration


def test_a_recipe_of_no_steps_averages_models_without_training(monkeypatch, capsys, tmp_path, simulated):
    paths = [tmp_path / f"{name}.safetensors" for name in ("first", "second", "mean")]
    first, second = (untrained(path, seed) for seed, path in enumerate(paths[:2]))
    none = ("--recipe", simulated, "--set", "schedule.steps=0", "--quiet", "--out", paths[2])
    assert run(monkeypatch, *none) == 2
    assert "name a model to start from" in capsys.readouterr().err
    assert run(monkeypatch, *none, "--from", paths[0], "--average-with", paths[1]) == 0
    for key, value in load_file(paths[2]).items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (first[key] + second[key]) / 2, atol=1e-6, rtol=1e-6)
    card = read_card(paths[2])
    assert (card.training.steps, card.training.minutes) == (0, 0.0)
    assert card.training.data.startswith("starting from small 0, weights averaged with those of small")


def test_what_is_there_is_not_overwritten(monkeypatch, capsys, tmp_path, simulated):
    model = tmp_path / "m.safetensors"
    model.write_bytes(b"mine")
    assert run(monkeypatch, "--recipe", simulated, "--out", model) == 2
    assert model.read_bytes() == b"mine"
    assert "exists already; --overwrite replaces it" in capsys.readouterr().err
    assert list(tmp_path.glob("m.work")) == []


def test_a_work_folder_holds_one_run(monkeypatch, capsys, tmp_path, simulated):
    options = ("--recipe", simulated, "--work", tmp_path / "w", "--quiet")
    assert run(monkeypatch, *options, "--steps", 1, "--out", tmp_path / "one.safetensors") == 0
    assert run(monkeypatch, *options, "--steps", 2, "--out", tmp_path / "two.safetensors") == 2
    assert "belongs to a run with other options" in capsys.readouterr().err
    assert not (tmp_path / "two.safetensors").exists()


def test_a_refused_run_does_not_block_the_next(monkeypatch, capsys, tmp_path, tiny, labelled):
    (tmp_path / "empty").mkdir()
    model, work = tmp_path / "m.safetensors", tmp_path / "m.work"
    options = ("--recipe", tiny, "--out", model, "--steps", 1, "--quiet")
    assert run(monkeypatch, tmp_path / "empty", *options) == 2
    assert "holds no labelled pairs" in capsys.readouterr().err
    assert not work.exists()
    assert run(monkeypatch, labelled, *options) == 0, capsys.readouterr().err


def test_a_refused_run_leaves_a_folder_as_it_was(monkeypatch, tmp_path, tiny):
    (tmp_path / "empty").mkdir()
    work = tmp_path / "mine"
    (work / "inner").mkdir(parents=True)
    (work / "inner" / "notes.txt").write_text("mine")
    options = ("--recipe", tiny, "--out", tmp_path / "m.safetensors", "--work", work)
    assert run(monkeypatch, tmp_path / "empty", *options) == 2
    assert [path.name for path in work.rglob("*")] == ["inner", "notes.txt"]


BAD = {
    "no such recipe": (["--recipe", "siamesse"], "There is no recipe 'siamesse'"),
    "unknown key": (["--set", "schedule.step=3"], "did you mean 'steps'"),
    "no model": (["SET", "--from", "FILE"], "is not a readable safetensors file"),
    "no such model": (["SET", "--from", "none.safetensors"], "There is no model file"),
    "no model to average with": (["--average-with", "FILE"], "is not a readable safetensors file"),
    "another network": (
        ["SET", "--recipe", "TINY", "--average-with", "siamese"],
        "cannot be averaged with those of this run",
    ),
    "no folder": (["none"], "there is no folder none"),
    "no pairs": (["EMPTY"], "holds no labelled pairs"),
    "one place": (["ONE", "--recipe", "TINY"], "have 1 place (a_1)"),
    "one class": (["QUIET", "--recipe", "TINY"], "All labels are unchanged"),
    "labels missing": (["UNLABELLED"], "has images of two dates and no folder label/"),
    "nothing to learn from": (["--recipe", "TINY"], "has no sources of scenes: give folders"),
    "too many folds": (["SET", "--folds", "9", "--recipe", "TINY"], "--folds 9 requires at least 9 places"),
    "one fold": (["SET", "--folds", "1"], "two or more folds are required"),
    "no grouping": (["SET", "--group-by", "(", "--recipe", "TINY"], "neither a distance like 500m"),
    "folds without places": (["--folds", "3"], "two or more folds are required"),
    "no unlabelled pairs": (["SET", "--unlabelled", "EMPTY", "--recipe", "TINY"], "holds no pairs"),
    "workers": (["--workers", "-1"], "--workers -1 is negative"),
    "no GPU": (["--device", "cuda:7"], "does not exist"),
    "no bands": (["SET", "--bands", "7,8,9"], "--bands asks for 7"),
    "another ending": (["--out", "model.pt"], "does not end in .safetensors"),
    "no output folder": (["--out", "none/m.safetensors"], "There is no folder"),
    "images for nothing": (["SET", "--images", "EMPTY", "--recipe", "TINY"], "cuts no scenes from images"),
    "no images": (["--images", "EMPTY", "--recipe", "CUTS", "--steps", "1"], "has no prepared image"),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_are_reported_in_a_sentence(monkeypatch, capsys, tmp_path, tiny, labelled, case):
    arguments, told = BAD[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"this is no model")
    cuts = tmp_path / "cuts.toml"
    cuts.write_text((tiny_recipe() + SIMULATED).replace("simulated", "cuts"))
    unlabelled = tmp_path / "unlabelled"
    for date in "AB":
        (unlabelled / date).mkdir(parents=True)
    names = {"SET": labelled, "FILE": junk, "EMPTY": tmp_path / "empty", "TINY": tiny, "CUTS": cuts}
    names |= {"UNLABELLED": unlabelled, "ONE": tmp_path / "one", "QUIET": tmp_path / "still"}
    if "ONE" in arguments:
        write_set(tmp_path / "one", ("a_1",))
    if "QUIET" in arguments:
        write_set(tmp_path / "still", ("quiet_1", "quiet_a", "quiet_b"))
    given = [str(names.get(argument, argument)) for argument in arguments]
    out = [] if "--out" in arguments else ["--out", "m.safetensors"]
    monkeypatch.setattr(sys, "argv", ["rsdetect", "train", *given, *out])
    with pytest.raises(SystemExit) as done:
        main()
    said = capsys.readouterr().err
    assert done.value.code == 2, said
    assert told in said
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("m.safetensors*"))


BARE = """
import sys
blocked = {"rasterio", "dask", "distributed", "geopandas", "pyogrio", "shapely", "xarray", "pyproj"}
sys.modules.update(dict.fromkeys(blocked))  # None: to import it fails
from pathlib import Path
from rsdetect.training.options import TrainOptions
from rsdetect.training.run import train
recipe, out = sys.argv[1:]
train(TrainOptions(out=Path(out), recipe=recipe, workers=0, quiet=True))
"""


def test_training_needs_no_raster_library(tmp_path, simulated):
    simulated.write_text(
        tiny_recipe(steps=1, every=1) + SIMULATED + '[[sources]]\nkind = "cuts"\nsize_px = 64\nfirst = 2\n'
    )
    model = tmp_path / "m.safetensors"
    arguments = [sys.executable, "-c", BARE, str(simulated), str(model)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "with change cut from images" in read_card(model).training.data


def test_the_old_name_of_unlabelled_works_with_a_warning(monkeypatch, capsys, tmp_path, tiny, labelled):
    (tmp_path / "empty").mkdir()
    options = ("--recipe", tiny, "--out", tmp_path / "m.safetensors")
    assert run(monkeypatch, labelled, "--pseudo-labels", tmp_path / "empty", *options) == 2
    said = capsys.readouterr().err
    assert "Warning: --pseudo-labels is deprecated and will be removed in 0.6.0; use --unlabelled" in said
    assert "empty holds no pairs" in said


def test_a_work_folder_of_others_is_refused(monkeypatch, capsys, tmp_path, simulated):
    work = tmp_path / "mine"
    (work / "scenes").mkdir(parents=True)
    (work / "scenes" / "valley.tif").write_text("mine")
    options = ("--recipe", simulated, "--out", tmp_path / "m.safetensors", "--work", work, "--quiet")
    assert run(monkeypatch, *options) == 2
    assert "holds files of no training run" in capsys.readouterr().err
    assert (work / "scenes" / "valley.tif").read_text() == "mine"
