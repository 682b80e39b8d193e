"""A training that is killed before any change of the file system is completed by the same command."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file

from support.forked import forked_commands
from support.jobs import listing
from support.toy_training import SIMULATED, tiny_recipe
from support.trials import trials

pytestmark = pytest.mark.stress


def test_a_training_can_be_killed_before_any_change(tmp_path, stress):
    recipe, out = tmp_path / "tiny.toml", tmp_path / "w"
    recipe.write_text(tiny_recipe(steps=3, every=1) + SIMULATED)
    model = out / "m.safetensors"
    command = ("train", "--recipe", recipe, "--out", model, "--workers", 0, "--device", "cpu")
    forked = forked_commands("rsdetect.training.run", "lightning.pytorch")
    one_core = "import rsdetect.training.machine as machine; machine.usable_cores = lambda: 1"

    def run(kill=0):
        return forked.run(*command, folder=out, kill=kill, prepare=one_core)

    def reset():
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

    reset()
    whole = run()
    assert whole["status"] == 0, whole["err"]
    wanted, files, count = load_file(model), listing(out), whole["changes"]
    middle = count // 2  # after the first of three validations, of which one line each is written
    assert all(f"step {step}," in whole["err"] for step in (1, 2, 3))
    # As it claims its folder, in the middle, and at its end.
    moments = range(1, count + 1) if stress else (3, middle, count - 1)
    for moment in trials("kills", "train", moments):
        reset()
        killed = run(kill=moment)
        assert killed["status"] == -9
        if moment == middle:
            assert "step 1," in killed["err"]
        again = run()
        if not (again["status"] == 2 and "exists" in again["err"]):  # it had ended, but for saying so
            assert again["status"] == 0, (moment, again["err"])
        if moment == middle:
            assert "step 1," not in again["err"], "it resumes, and does not start again"
        found = load_file(model)
        assert all(torch.equal(value, found[key]) for key, value in wanted.items()), moment
        assert listing(out) == files, moment
