"""A training run: it learns, resumes to the very same weights, and ends with its budget."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rsdetect.errors import InputError, JobInterrupted
from rsdetect.metrics import Counts
from rsdetect.training.batches import RankSampler, TrainingBatches
from rsdetect.training.checkpoints import SafetensorsIO
from rsdetect.training.loop import fit
from rsdetect.training.machine import Machine
from rsdetect.training.scene_sources import EndlessScenes, Mixture
from rsdetect.training.task import ChangeTask
from rsdetect.training.training_scenes import SEEDS
from support.toy_training import RGB, toy_feed, toy_recipe, toy_scene, toy_source

torch.set_num_threads(1)  # two threads on a busy machine wait for each other ten times longer


def toy_net(recipe, seed=0):
    torch.manual_seed(seed)
    return recipe.architecture.build()


def log_of(work: Path) -> list[dict[str, float]]:
    with (work / "log.csv").open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


QUIET = Machine(quiet=True)


def test_a_short_run_learns_to_see_squares(tmp_path):
    recipe = toy_recipe(schedule={"steps": 50}, validation={"every": 20})
    fitted = fit(toy_net(recipe), recipe, toy_feed(tmp_path, recipe), tmp_path, QUIET)
    rows = log_of(tmp_path)
    assert [row["step"] for row in rows] == [20, 40, 50]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"]
    assert fitted.validation_f1 > 0.6, "marking everything gives 0.3"
    assert fitted.validation_f1 == pytest.approx(max(row["validation_f1"] for row in rows), abs=1e-3)
    assert not fitted.net.training


def weights_of(work: Path) -> dict[str, torch.Tensor]:
    return SafetensorsIO().load_checkpoint(work / "finished.safetensors")["state_dict"]


class StopsOnce:
    """Toy scenes; making one of the later ones is interrupted as by Ctrl-C, the first time."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __call__(self, seed: int, size: int):
        if seed == 10 and not self._marker.exists():
            self._marker.touch()
            raise KeyboardInterrupt
        return toy_scene(seed, size)


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path):
    recipe = toy_recipe()
    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    fit(toy_net(recipe), recipe, toy_feed(tmp_path / "whole", recipe), tmp_path / "whole", QUIET)
    feed = toy_feed(tmp_path / "broken", recipe)
    (source,) = feed.train.sources
    broken = EndlessScenes(
        StopsOnce(tmp_path / "stopped"), source.folder, "train", source.size, source.first, 0.2, source.kept
    )
    feed = replace(feed, train=Mixture((broken,), (1.0,)))
    with pytest.raises(JobInterrupted, match="resumes"):
        fit(toy_net(recipe), recipe, feed, tmp_path / "broken", QUIET)
    assert len(log_of(tmp_path / "broken")) == 1, "stopped between the first and the second validation"
    # Another start, which must not matter: all weights come from the state.
    fit(toy_net(recipe, seed=9), recipe, feed, tmp_path / "broken", QUIET)
    whole, resumed = weights_of(tmp_path / "whole"), weights_of(tmp_path / "broken")
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        assert torch.equal(value, resumed[key]), key
    for one, other in zip(log_of(tmp_path / "whole"), log_of(tmp_path / "broken"), strict=True):
        assert {k: v for k, v in one.items() if k != "minutes"} == {
            k: v for k, v in other.items() if k != "minutes"
        }


@pytest.mark.parametrize(
    "tables",
    [
        {"loss": {"auxiliary": "contrastive"}},
        {"loss": {"auxiliary": "triplet", "metric": "cosine"}},
        {"loss": {"focus": 2.0}},
        {"loss": {"change_weight": 4.0}},
        {"chips": {"mixed": 1.0}},
        {"chips": {"same_day": 1.0}},
        {"chips": {"around_change": 1.0}},
    ],
    ids=str,
)
def test_what_a_recipe_says_reaches_the_weights(tmp_path, tables):
    heads = []
    for name, changes in (("plain", {}), ("changed", tables)):
        recipe = toy_recipe(**{"schedule": {"steps": 2}, **changes})
        recipe = recipe.model_copy(update={"schedule": recipe.schedule.model_copy(update={"steps": 2})})
        feed = toy_feed(tmp_path, recipe)
        heads.append(fit(toy_net(recipe), recipe, feed, tmp_path / name, QUIET).net.state_dict())
    key = "encoder.stem.conv.weight"
    assert torch.isfinite(heads[1][key]).all()
    assert not torch.equal(heads[0][key], heads[1][key])


def test_unlabelled_pairs_reach_the_weights(tmp_path):
    heads = []
    for weight in (0.0, 1.0):
        # Half sure is sure enough here: a network that has just begun is sure of nothing.
        recipe = toy_recipe(
            schedule={"steps": 3},
            unlabelled={"weight": weight, "sure": 0.5001, "from_share": 0.0, "batch": 2},
        )
        feed = replace(toy_feed(tmp_path, recipe), unlabelled=toy_source(tmp_path, "test", first=3))
        fitted = fit(toy_net(recipe), recipe, feed, tmp_path / str(weight), QUIET)
        heads.append(fitted.net.head.weight)
    assert torch.isfinite(heads[1]).all()
    assert not torch.equal(*heads)


def test_a_finished_run_is_not_trained_again(tmp_path):
    recipe = toy_recipe(schedule={"steps": 2})
    one = fit(toy_net(recipe), recipe, toy_feed(tmp_path, recipe), tmp_path, QUIET)
    written = (tmp_path / "finished.safetensors").stat().st_mtime_ns
    two = fit(toy_net(recipe, seed=1), recipe, toy_feed(tmp_path, recipe), tmp_path, QUIET)
    assert (tmp_path / "finished.safetensors").stat().st_mtime_ns == written
    assert two.steps == one.steps == 2
    assert torch.equal(one.net.head.weight, two.net.head.weight)


def test_a_run_ends_when_its_minutes_are_over(tmp_path):
    recipe = toy_recipe(schedule={"minutes": 0.01, "steps": 100_000})
    fitted = fit(toy_net(recipe), recipe, toy_feed(tmp_path, recipe), tmp_path, QUIET)
    assert fitted.steps < 100_000
    assert fitted.minutes >= 0.01
    assert log_of(tmp_path)[-1]["step"] == fitted.steps, "the last steps are validated too"


def test_a_run_ends_when_it_gets_no_better(tmp_path, monkeypatch):
    monkeypatch.setattr(Counts, "best", lambda _: (0.5, 0.4))  # no validation is better than the first
    recipe = toy_recipe(schedule={"steps": 500}, validation={"every": 2, "patience": 3})
    fitted = fit(toy_net(recipe), recipe, toy_feed(tmp_path, recipe), tmp_path, QUIET)
    assert fitted.steps == 2 * (1 + 3)


@pytest.mark.parametrize(("keep", "kept"), [("best", 1), ("last", 3)])
def test_the_best_weights_are_kept_or_the_last_as_the_recipe_says(tmp_path, monkeypatch, keep, kept):
    # The scores are given: what a network learns in a few steps, and which of its scores are equal, differs
    # between processors.
    scores, weights = [0.4, 0.8, 0.6, 0.5], []
    finish = ChangeTask.on_validation_epoch_end

    def finish_with_score(task):
        monkeypatch.setattr(Counts, "best", lambda _: (0.5, scores[len(weights)]))
        finish(task)
        weights.append({key: value.clone() for key, value in task.average.module.state_dict().items()})

    monkeypatch.setattr(ChangeTask, "on_validation_epoch_end", finish_with_score)
    recipe = toy_recipe(schedule={"steps": 8}, validation={"every": 2, "keep": keep})
    fitted = fit(toy_net(recipe), recipe, toy_feed(tmp_path, recipe), tmp_path, QUIET)
    assert [row["validation_f1"] for row in log_of(tmp_path)] == scores
    assert fitted.validation_f1 == pytest.approx(scores[kept])
    for key, value in fitted.net.state_dict().items():
        assert torch.equal(value, weights[kept][key])
    assert not torch.equal(fitted.net.head.weight, weights[0]["head.weight"]), "every step moves the weights"


def test_scenes_made_by_other_processes_give_the_same_run(tmp_path):
    recipe = toy_recipe(schedule={"steps": 6}, validation={"every": 3})
    results = []
    for workers in (0, 1):
        work = tmp_path / str(workers)
        fit(toy_net(recipe), recipe, toy_feed(work, recipe), work, Machine(workers=workers, quiet=True))
        results.append(weights_of(work))
    assert all(torch.equal(value, results[1][key]) for key, value in results[0].items())


def test_the_batch_of_a_step_is_known_by_seed_step_and_rank(tmp_path):
    mixture = Mixture((toy_source(tmp_path, first=6),), (1.0,))
    recipe = toy_recipe()

    def batch(step, rank=0, seed=0):
        return TrainingBatches(recipe.model_copy(update={"seed": seed}), mixture, None, rank)[step][0]

    assert torch.equal(batch(3), batch(3))
    for other in (batch(4), batch(3, rank=1), batch(3, seed=1)):
        assert not torch.equal(batch(3), other)


def test_every_validation_scene_is_seen_by_one_rank():
    seen = [index for rank in range(3) for index in RankSampler(10, rank, 3)]
    assert sorted(seen) == list(range(10))
    assert sum(len(RankSampler(10, rank, 3)) for rank in range(3)) == 10


def test_the_window_of_scenes_moves_and_old_files_go(tmp_path):
    source = toy_source(tmp_path, first=4, per_step=0.5, kept=5)
    assert source.numbers(0) == range(4)
    assert source.numbers(2) == range(5)
    assert source.numbers(10) == range(4, 9)
    for number in range(9):
        source.load(number)
    source.remove_stale(10)
    left = sorted(int(path.stem.rpartition("-")[2]) for path in source.folder.iterdir())
    assert left == [4, 5, 6, 7, 8]


def test_fresh_pairs_are_new_on_each_draw_and_follow_from_their_number(tmp_path):
    source, rng = toy_source(tmp_path, first=2, fresh=1.0), np.random.default_rng(0)
    numbers = [source.draw(0, rng) for _ in range(8)]
    assert len(set(numbers)) == 8 and {number % SEEDS for number in numbers} == {0, 1}
    pairs = [source.load(number) for number in numbers]
    for number, pair in zip(numbers, pairs, strict=True):
        np.testing.assert_array_equal(source.load(number).after, pair.after)
        assert np.array_equal(pair.before, source.load(number % SEEDS).before) or np.array_equal(
            pair.before, source.load(number % SEEDS).after
        )
        moved = (pair.before != pair.after).any(axis=0)
        assert not moved[pair.truth == 0].mean() > 0.1, "beside the soft edges of regions"
        assert not (pair.truth == 1).any() or moved[pair.truth == 1].mean() > 0.9
    assert any((pair.truth == 1).any() for pair in pairs) and any(not pair.truth.any() for pair in pairs)
    assert {number for _, number in Mixture((source,), (1.0,)).first(2)} == {0, 1}, "validation has none"


def test_a_scene_is_the_same_before_and_after_it_is_kept(tmp_path):
    source = toy_source(tmp_path)
    first, again = source.load(3), source.load(3)
    for field, value in vars(first).items():
        np.testing.assert_array_equal(value, getattr(again, field))
    assert again.bands == RGB


def test_a_mixture_draws_by_weight(tmp_path):
    bright = EndlessScenes(lambda seed, size: toy_scene(seed + 500, size), tmp_path / "b", "train", 64, 4)
    mixture = Mixture((toy_source(tmp_path, first=4), bright), (3.0, 1.0))
    rng = np.random.default_rng(0)
    of_bright = {toy_scene(500 + n).before.tobytes() for n in range(4)}
    drawn = [mixture.draw(0, rng).before.tobytes() in of_bright for _ in range(200)]
    assert 0.17 < np.mean(drawn) < 0.33
    assert len(mixture.first(8)) == 8
    assert sum(source is bright for source, _ in mixture.first(8)) == 2


def test_checkpoints_come_back_as_they_were(tmp_path):
    channels_last = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    given = {
        "loops": {"a.b": {"n": 3, "done": True, "none": None}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0), "m": channels_last}, 1: {}}}],
        "betas": (0.9, 0.999),
        "score": float("inf"),
        "shared": channels_last,
    }
    path = tmp_path / "deep" / "state.safetensors"
    disk = SafetensorsIO()
    disk.save_checkpoint(given, path)
    back = disk.load_checkpoint(path)
    torch.testing.assert_close(back, given, rtol=0, atol=0)
    assert isinstance(back["betas"], tuple)
    assert list(path.parent.iterdir()) == [path], "no temporary file stays"
    with pytest.raises(TypeError, match="PosixPath"):
        disk.save_checkpoint({"path": path}, path)
    disk.remove_checkpoint(path)
    disk.remove_checkpoint(path)
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"junk that is long enough to look like a header"])
def test_an_unreadable_state_is_refused(tmp_path, content):
    recipe = toy_recipe(schedule={"steps": 2})
    (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="not the state of a training run"):
        fit(toy_net(recipe), recipe, toy_feed(tmp_path, recipe), tmp_path, QUIET)


TOGETHER = """
import os, sys
from pathlib import Path
import torch
from support.toy_training import toy_feed, toy_recipe
from rsdetect.training import loop as fitting
from rsdetect.training.machine import Machine

torch.set_num_threads(1)
work = Path(sys.argv[1])
recipe = toy_recipe(schedule={"steps": 4}, validation={"every": 2})
tasks = []
build = fitting.ChangeTask
fitting.ChangeTask = lambda *given: tasks.append(build(*given)) or tasks[0]
torch.manual_seed(0)
net = recipe.architecture.build()
fitted = fitting.fit(net, recipe, toy_feed(work, recipe), work, Machine(processes=2, quiet=True))
rank = os.environ.get("LOCAL_RANK", "0")
assert (fitted is None) == (rank != "0")
weights = {key: value.clone() for key, value in tasks[0].average.module.state_dict().items()}
torch.save(weights, work / f"rank-{rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_train_one_network(tmp_path):
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    found_in = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(found_in), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(tmp_path / "work")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in log_of(tmp_path / "work")] == [2, 4]
    finished = weights_of(tmp_path / "work")
    ranks = [torch.load(tmp_path / "work" / f"rank-{rank}.pt", weights_only=True) for rank in (0, 1)]
    for key, value in ranks[1].items():
        if (
            value.dtype.is_floating_point and "running" not in key
        ):  # each rank has statistics of its own chips
            torch.testing.assert_close(finished[f"average.module.{key}"], value)
