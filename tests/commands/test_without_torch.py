"""Jobs that need no network run without torch, installed or not; those that need it say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rsdetect.backends.select import multiplies_bytes
from support import without_torch
from support.jobs import changed_pair
from support.labelled_sets import write_set
from support.watched_jobs import deliver, series, write_job

EIGHT_BIT = ("openvino", "onnx") if multiplies_bytes() else ()


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """A command line of each kind that needs no network, in an order in which they can run."""
    folder = tmp_path_factory.mktemp("jobs")
    pair = changed_pair(folder / "scenes", 120, 140)
    scenes = [pair.before, pair.after]
    labelled = str(write_set(folder / "labelled", ("north_1", "south_1")))
    pairs = folder / "pairs.csv"
    pairs.write_text(f"name,before,after\nfield,{pair.before},{pair.after}\n")
    job = write_job(folder)
    deliver(folder, series(), 0, 1, 2)
    images = folder / "images.toml"
    images.write_text(f'[[image]]\npath = "{pair.before}"\nbands = ["red", "green", "blue"]\n')
    cva = ["--detector", "cva", "--quiet"]

    def named(mode):
        out = folder / mode
        out.mkdir()
        scored = ["--out", str(out / "evaluation"), *cva]
        return {
            "check": ["check", *scenes],
            "detect": ["detect", *scenes, "--out", str(out / "job"), *cva],
            "vectorize": ["vectorize", str(out / "job"), "--min-area", "50"],
            "info, run": ["info", str(out / "job")],
            "info, model": ["info", "siamese"],
            "simulate": ["simulate", "--out", str(out / "simulated"), "--size", "64"],
            "images": ["images", str(images), "--out", str(out / "images")],
            "batch": ["batch", str(pairs), "--out", str(out / "batch"), *cva],
            "evaluate": ["evaluate", labelled, *scored],
            "compare": ["compare", str(out / "evaluation"), str(out / "evaluation")],
            "monitor init": ["monitor", "init", str(out / "new.yaml")],
            "monitor run": ["monitor", "run", str(job)],
            "monitor status": ["monitor", "status", str(job)],
            **{
                backend: ["detect", *scenes, "--out", str(out / backend), "--backend", backend, "--quiet"]
                for backend in EIGHT_BIT
            },
        }

    return named


def run(mode, commands):
    done = subprocess.run(
        [sys.executable, without_torch.__file__, mode],
        input=json.dumps(list(commands.values())),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(commands, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("mode", ["installed", "hidden"])
def test_jobs_without_a_network_do_not_import_torch(commands, mode):
    asked = commands(mode)
    for name, told in run(mode, asked).items():
        assert told["status"] == 0, f"{name}: {told['err']}"
        assert not told["torch"], f"{name} imported torch"
    record = json.loads((Path(asked["detect"][4]) / "run.json").read_text())
    assert (record["machine"]["versions"]["torch"] is None) == (mode == "hidden")


def test_what_needs_torch_names_it_in_a_sentence(commands, tmp_path):
    scenes = commands("refused")["check"][1:]
    told = run(
        "hidden",
        {
            "detect": ["detect", *scenes, "--out", str(tmp_path / "job"), "--backend", "torch"],
            "quantise": ["quantise", "siamese"],
            "train": ["train", "--out", str(tmp_path / "model.safetensors")],
        },
    )
    for name, each in told.items():
        assert each["status"] == 2, f"{name}: {each['err']}"
        assert "needs PyTorch, which is not installed: pip install torch" in each["err"], name
        assert each["err"].count("\n") == 1
    assert not any(tmp_path.iterdir())
