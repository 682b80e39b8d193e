"""Two evaluations of the same pairs, place by place."""

import json
import math

import numpy as np
import pytest

from rsdetect.errors import InputError
from rsdetect.evaluation import compare, evaluate
from rsdetect.evaluation.comparison import FIGURES
from support.jobs import run_apart, run_here
from support.labelled_sets import write_set


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    several = write_set(root / "several", ("north_1", "south_1", "west_1", "quiet_1"))
    return several, write_set(root / "single", ("east_1",), seed=5)


@pytest.fixture(scope="module")
def evaluations(folders, tmp_path_factory):
    """By all bands, and by one of them."""
    root = tmp_path_factory.mktemp("evaluations")
    evaluate(folders, out=root / "all", detector="cva", shifts_px=())
    evaluate([f"{folder}:1" for folder in folders[::-1]], out=root / "one", detector="cva", shifts_px=(1,))
    return root / "all", root / "one"


def figures_in(folder):
    content = json.loads((folder / "evaluation.json").read_text())
    rows = {source["name"]: source["figures"] for source in content["sources"]}
    return rows | {"mean of sources": content["macro"], "of several pairs": content["macro_several"]}


def test_figures_are_those_of_the_evaluations_and_differences_theirs(evaluations):
    first, second = map(figures_in, evaluations)
    rows = {row.name: row for row in compare(*evaluations).rows}
    assert list(rows) == ["several", "single", "mean of sources", "of several pairs"]
    for name, row in rows.items():
        for figure in FIGURES:
            values = [side[name][figure]["value"] for side in (first, second)]
            for value, found in zip(values, (row.first[figure], row.second[figure]), strict=True):
                assert found == pytest.approx(math.nan if value is None else value, nan_ok=True)
            expected = math.nan if None in values else values[1] - values[0]
            assert row.difference[figure].value == pytest.approx(expected, nan_ok=True)


def test_an_evaluation_does_not_differ_from_itself(evaluations):
    for row in compare(evaluations[0], evaluations[0]).rows:
        assert {row.difference[figure].value for figure in ("f1", "average_precision")} == {0.0}
        expected = math.nan if row.name == "single" else 0.0
        assert row.difference["f1"].low == pytest.approx(expected, nan_ok=True)
        assert row.difference["f1"].high == pytest.approx(expected, nan_ok=True)


def test_both_are_drawn_together(evaluations):
    """The interval of the difference is that of draws that take the same places for both."""
    first, second = (json.loads((folder / "evaluation.json").read_text()) for folder in evaluations)

    def counts(content):
        (source,) = (source for source in content["sources"] if source["name"] == "several")
        by_name = sorted(source["scenes"], key=lambda scene: scene["name"])
        tallies = [(scene["tally"]["changed"], scene["tally"]["unchanged"]) for scene in by_name]
        return np.array(tallies), round(content["threshold"] * 100)

    def f1(drawn, level):
        changed, unchanged = drawn
        found = changed[level:].sum()
        of_both = changed.sum() + found + unchanged[level:].sum()
        return 2 * found / of_both if of_both else math.nan

    (one, level), (other, other_level) = counts(first), counts(second)
    rng = np.random.default_rng(7)
    differences = []
    for _ in range(4000):
        times = rng.multinomial(4, [0.25] * 4)
        differences.append(
            f1(np.tensordot(times, other, 1), other_level) - f1(np.tensordot(times, one, 1), level)
        )
    found = compare(*evaluations).rows[0].difference["f1"]
    low, high = np.nanpercentile(differences, (5, 95))
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))


def test_the_command_prints_tables_or_json(evaluations):
    done = run_apart("compare", *evaluations)
    assert done.status == 0
    assert "F1 at the best threshold" in done.out
    assert "of several pairs" in done.out
    done = run_here("compare", *evaluations, "--json", "--seed", "1")
    found = json.loads(done.out)
    assert (found["rsdetect"], found["seed"]) == ("comparison", 1)
    assert found["rows"][1]["difference"]["f1"]["low"] is None


def test_evaluations_of_other_pairs_are_refused(evaluations, folders, tmp_path):
    evaluate([folders[0]], out=tmp_path / "fewer", detector="cva", shifts_px=())
    evaluate(folders, out=tmp_path / "grouped", detector="cva", shifts_px=(), group_by="_1")
    old = json.loads((evaluations[0] / "evaluation.json").read_text())
    (tmp_path / "labels.json").write_text(json.dumps(old).replace('"pixels": 13440', '"pixels": 13000'))
    del old["sources"][0]["scenes"][0]["tally"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    (tmp_path / "none.json").write_text("{")
    for other, message in (
        ("fewer", "one of them lacks single"),
        ("grouped", "group pairs into places differently"),
        ("labels.json", "count different pixels"),
        ("old.json", "evaluate again"),
        ("none.json", "cannot be read as an evaluation"),
        ("nowhere", "holds no evaluation.json"),
    ):
        done = run_here("compare", evaluations[0], tmp_path / other)
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert message in done.err
    with pytest.raises(InputError):
        compare(evaluations[0], tmp_path / "nowhere")
