"""The Python API: typed, complete, quick to import, and the same results as the commands."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import os
import re
import subprocess
import sys
import typing
import zipfile
from pathlib import Path

import pytest

import rsdetect
from rsdetect.batches.pair_results import State
from rsdetect.catalogue.options import PeriodKeywords, PeriodOptions
from rsdetect.checks.described import SceneDescription
from rsdetect.checks.report import CheckReport
from rsdetect.evaluation.options import EvaluateKeywords, EvaluateOptions
from rsdetect.evaluation.results import DetectorDescription, Evaluation
from rsdetect.jobs.options import (
    DetectKeywords,
    PolygonKeywords,
    PolygonOptions,
    RunKeywords,
    RunOptions,
    ScoreKeywords,
    ScoreOptions,
    ScoringKeywords,
)
from rsdetect.scenes.pair import PairKeywords, PairOptions
from rsdetect.simulation.spec import SceneKeywords, SceneSpec
from rsdetect.training.options import TrainKeywords, TrainOptions
from support.batches import write_list
from support.jobs import changed_pair, read_raster, run_here

ROOT = Path(rsdetect.__file__).parents[1]
EXAMPLE = Path(__file__).parent / "support" / "example_user.py"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"), 150, 210)


@pytest.mark.parametrize(
    ("keywords", "options", "of_the_call"),
    [
        (PairKeywords, PairOptions, set()),
        (ScoreKeywords, ScoreOptions, set()),
        (PolygonKeywords, PolygonOptions, set()),
        (RunKeywords, RunOptions, set()),
        (PeriodKeywords, PeriodOptions, set()),
        (EvaluateKeywords, EvaluateOptions, set()),
        (SceneKeywords, SceneSpec, set()),
        (TrainKeywords, TrainOptions, {"out", "folders"}),
    ],
)
def test_keywords_are_the_fields_of_the_options(keywords, options, of_the_call):
    assert (
        set(keywords.__annotations__) == {field.name for field in dataclasses.fields(options)} - of_the_call
    )
    assert not keywords.__required_keys__


def test_score_takes_what_detect_takes_but_for_polygons_and_files():
    assert set(DetectKeywords.__annotations__) - set(ScoringKeywords.__annotations__) == {
        *PolygonKeywords.__annotations__,
        *RunKeywords.__annotations__,
    }


@pytest.mark.parametrize("function", ["detect", "score", "check", "evaluate", "batch", "simulate", "train"])
def test_a_misspelt_keyword_is_refused_with_the_nearest(function, tmp_path):
    calls = {"evaluate": ("x",), "batch": ("x",), "simulate": ("x",), "train": ()}
    needs_out = {"detect", "batch", "train"}
    out = {"out": tmp_path / "m.safetensors"} if function in needs_out else {}
    wrong = {"simulate": "sede", "train": "recipes"}.get(function, "bandz")
    with pytest.raises(rsdetect.InputError, match=f"no option '{wrong}'; did you mean"):
        getattr(rsdetect, function)(*calls.get(function, ("a.tif", "b.tif")), **out, **{wrong: 1})


def public_annotations():
    """(where, annotation as text) of all that `rsdetect.__all__` exports."""
    for name in rsdetect.__all__:
        exported = getattr(rsdetect, name)
        members = [exported]
        if inspect.isclass(exported):
            yield from ((f"{name}.{key}", str(text)) for key, text in exported.__annotations__.items())
            members = [
                getattr(member, "fget", None) or getattr(member, "__func__", member)
                for key, member in vars(exported).items()
                if not key.startswith("_")
            ]
        for member in members:
            for key, text in getattr(member, "__annotations__", {}).items():
                yield f"{name}.{getattr(member, '__name__', '')}({key})", str(text)


def test_no_public_signature_says_any():
    found = list(public_annotations())
    assert len(found) > 60
    assert not [where for where, text in found if re.search(r"\bAny\b", text)]


def test_all_exports_are_there_and_dir_lists_them():
    assert set(rsdetect.__all__) == set(rsdetect._HOMES)
    assert set(dir(rsdetect)) == {*rsdetect.__all__, "__version__"}
    for name, home in rsdetect._HOMES.items():
        assert getattr(rsdetect, name) is getattr(importlib.import_module(home), name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rsdetect.nothing  # noqa: B018


def test_what_a_type_checker_sees_is_what_there_is():
    tree = ast.parse(Path(rsdetect.__file__).read_text(encoding="utf-8"))
    checking = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module
        for node in checking.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == rsdetect._HOMES


def test_importing_submodules_leaves_the_functions_in_place():
    code = (
        "import rsdetect, rsdetect.batches.run, rsdetect.simulation.write_pair, rsdetect.evaluation.run\n"
        "assert all(callable(getattr(rsdetect, name)) for name in rsdetect.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_errors_are_importable_from_rsdetect():
    from rsdetect import InputError, JobInterrupted, RsdetectError, SceneError

    assert issubclass(SceneError, InputError) and issubclass(JobInterrupted, RsdetectError)
    with pytest.raises(SceneError):
        rsdetect.check("nowhere.tif", "nowhere.tif")


@pytest.mark.slow
def test_a_users_script_passes_mypy_strict(tmp_path):
    options = ("--strict", "--follow-imports=silent", "--config-file", os.devnull)
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import rsdetect\nrsdetect.detect('a', 'b', out='c', min_area='large', treshold=0.5)\n")
    command = (sys.executable, "-m", "mypy", *options, "--cache-dir", os.devnull, EXAMPLE, wrong)
    done = subprocess.run(
        command, env=os.environ | {"MYPYPATH": str(ROOT)}, capture_output=True, text=True, cwd=tmp_path
    )
    assert "Found 2 errors in 1 file (checked 2 source files)" in done.stdout, done.stdout
    assert 'wrong.py:2: error: Unexpected keyword argument "treshold"' in done.stdout
    assert 'Argument "min_area" to "detect" has incompatible type "Literal[' in done.stdout


def test_the_wheel_says_that_it_is_typed(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert "rsdetect/py.typed" in zipfile.ZipFile(wheel).namelist()


def test_the_example_of_the_readme_runs(scenes, monkeypatch):
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("agg")
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## In Python\n")[2]
    (example,) = re.findall(r"```python\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    monkeypatch.chdir(Path(scenes.before).parent)
    held: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), held)
    assert held["changes"].threshold == 0.8 and held["probability"].shape == (150, 210)
    assert held["axes"].images


def test_batch_does_what_the_command_does(scenes, tmp_path):
    pairs = write_list(tmp_path / "pairs.csv", f"one,{scenes.before},{scenes.after}")
    report = rsdetect.batch(pairs, out=tmp_path / "out", detector="cva", quiet=True)
    assert [row.state for row in report.results] == [State.DONE] and report.exit_status == 0
    assert (
        run_here("detect", scenes.before, scenes.after, "--detector", "cva", "--out", tmp_path / "d").status
        == 0
    )
    assert (read_raster(tmp_path / "out" / "one") == read_raster(tmp_path / "d")).all()


def test_vectorize_gives_the_map_with_the_new_threshold(scenes, tmp_path):
    first = rsdetect.detect(scenes.before, scenes.after, out=tmp_path / "out", detector="cva", quiet=True)
    again = rsdetect.vectorize(tmp_path / "out", threshold=0.9, min_area=500)
    assert again.threshold == 0.9 and again.record["min_area"] == 500
    assert again.record["counts"]["changed_pixels"] < first.record["counts"]["changed_pixels"]
    assert rsdetect.vectorize(first.folder, threshold="auto").threshold == first.threshold


def test_simulate_writes_what_the_command_writes(tmp_path):
    made = rsdetect.simulate(tmp_path / "here", kind="s2", width=96, height=64, seed=5, nodata_edge=True)
    assert made["size"] == [64, 96] and all(Path(path).exists() for path in made["files"])
    told = run_here(
        "simulate", "--out", tmp_path / "there", "--kind", "s2", "--size", "96x64", "--seed", 5, "--json"
    )
    assert told.status == 0, told.err
    for name in ("before.tif", "after.tif", "truth.tif"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_monitor_and_train_refuse_what_the_commands_refuse(tmp_path):
    with pytest.raises(rsdetect.InputError, match=r"job\.yaml"):
        rsdetect.monitor(tmp_path / "job.yaml")
    with pytest.raises(rsdetect.InputError, match=r"`out` .* does not end in \.safetensors"):
        rsdetect.train(tmp_path, out=tmp_path / "model.pt")


@pytest.mark.parametrize("kind", [CheckReport, Evaluation, SceneDescription, DetectorDescription])
def test_reports_hold_no_any(kind):
    hints = typing.get_type_hints(kind) | {"as_json": typing.get_type_hints(getattr(kind, "as_json", str))}
    assert not re.search(r"\bAny\b", repr(hints))
