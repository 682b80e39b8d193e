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
    recipe.write_text(tiny_recipe(steps=2, every=1) + SIMULATED)
    model = out / "m.safetensors"
    command = ("train", "--recipe", recipe, "--out", model, "--workers", 0, "--device", "cpu", "--quiet")
    forked = forked_commands("rsdetect.training.run", "lightning.pytorch")

    def reset():
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()

    reset()
    whole = forked.run(*command, folder=out)
    assert whole["status"] == 0, whole["err"]
    wanted, files, count = load_file(model), listing(out), whole["changes"]
    moments = range(1, count + 1) if stress else (3, count - 1)  # as it claims its folder, and at its end
    for moment in trials("kills", "train", moments):
        reset()
        assert forked.run(*command, folder=out, kill=moment)["status"] == -9
        again = forked.run(*command, folder=out)
        if not (again["status"] == 2 and "exists" in again["err"]):  # it had ended, but for saying so
            assert again["status"] == 0, (moment, again["err"])
        found = load_file(model)
        assert all(torch.equal(value, found[key]) for key, value in wanted.items()), moment
        assert listing(out) == files, moment
