"""Detectors of others: a file, an object or a package runs through every door."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

import rsdetect
from rsdetect.checks.scan import Scan
from rsdetect.detectors import DETECTORS, Detector, Scorer, find_detector, make_detector
from rsdetect.detectors.identity import ScoringIdentity, describe
from rsdetect.detectors.learned import SiameseDetector
from rsdetect.detectors.registry import _BUILT_IN, Registry
from rsdetect.errors import DetectorError, InputError, JobInterrupted
from rsdetect.scenes.pair import open_pair
from rsdetect.scoring.check_worker import ready_scorer
from rsdetect.scoring.core import score_core
from rsdetect.tiles import TileWindow, plan_tiles
from support import toy_detector
from support.clusters import local_cluster
from support.jobs import OUTPUTS, changed_pair, listing, read_raster, run_apart, run_here
from support.labelled_sets import write_set
from support.monitored import TEN_DAYS, small_series, write_job

TOY = f"{toy_detector.__file__}:Greenness"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def by_file(scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("by_file")
    told = run_here(
        *("detect", scenes.before, scenes.after, "--out", out, "--detector", TOY),
        *("--tile-size", 64, "--quiet"),
    )
    assert told.status == 0, told.err
    return out


@pytest.fixture
def own(tmp_path):
    """The toy in a file that a test may change."""
    return Path(shutil.copy(toy_detector.__file__, tmp_path / "own.py"))


def record_of(out):
    return json.loads((out / "run.json").read_text())


def test_the_toy_is_short():
    assert len(Path(toy_detector.__file__).read_text().splitlines()) <= 60


def test_a_file_is_run_and_named_in_the_record_with_its_hash(by_file):
    import hashlib

    assert listing(by_file) == OUTPUTS
    told = record_of(by_file)["detector"]
    content = Path(toy_detector.__file__).read_bytes()
    assert told["name"] == "greenness" and told["parameters"] == {"sharpness": 1.0}
    assert told["source"] == {
        "class": "Greenness",
        "file": toy_detector.__file__,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert record_of(by_file)["threshold"] == toy_detector.GreennessScorer.threshold
    assert np.ptp(read_raster(by_file)[10:]) > 50


def test_an_object_gives_what_its_file_gives(scenes, by_file, tmp_path):
    rsdetect.detect(
        *(scenes.before, scenes.after), out=tmp_path / "out", detector=toy_detector.Greenness(), quiet=True
    )
    np.testing.assert_array_equal(read_raster(tmp_path / "out"), read_raster(by_file))
    told = record_of(tmp_path / "out")
    assert told["options"]["score"]["detector"] == "greenness"
    assert told["detector"] == record_of(by_file)["detector"]
    rsdetect.detect(
        *(scenes.before, scenes.after),
        out=tmp_path / "other",
        detector=toy_detector.Greenness(3.0),
        quiet=True,
    )
    assert record_of(tmp_path / "other")["fingerprint"] != told["fingerprint"]
    lazy = rsdetect.score(scenes.before, scenes.after, detector=toy_detector.Greenness())
    percent = np.nan_to_num(np.rint(lazy.values * 100), nan=255)
    assert np.abs(percent - read_raster(by_file)).max() <= 1


def test_vectorize_draws_its_polygons_again(by_file, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(by_file, again)
    told = run_here("vectorize", again, "--threshold", 0.7)
    assert told.status == 0, told.err
    assert record_of(again)["threshold"] == 0.7


def test_a_batch_runs_it_and_scores_again_when_the_file_changed(scenes, own, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text(f"name,before,after,detector\nfirst,{scenes.before},{scenes.after},own.py:Greenness\n")

    def batch():
        told = run_here("batch", pairs, "--out", tmp_path / "out", "--json")
        assert told.status == 0, told.err
        return json.loads(told.out)["pairs"][0]["state"]

    assert [batch(), batch()] == ["done", "done before"]
    own.write_text(own.read_text() + "# another version\n")
    assert batch() == "done"


def test_a_site_is_monitored_and_compared_again_when_the_file_changed(own, tmp_path):
    small_series(tmp_path / "site", dates=TEN_DAYS[:4])
    detector = {"name": "own.py:Greenness", "min_area": 1000}
    job = write_job(tmp_path / "job.yaml", tmp_path / "site", detector=detector)

    def compared():
        told = run_here("monitor", "run", job, "--json")
        assert told.status == 0, told.err
        return len(json.loads(told.out)["run"]["compared"])

    assert [compared() > 0, compared()] == [True, 0]
    own.write_text(own.read_text() + "# another version\n")
    assert compared() > 0


def test_it_is_evaluated(tmp_path):
    write_set(tmp_path / "set")
    told = run_here(
        *("evaluate", tmp_path / "set", "--out", tmp_path / "out", "--detector", TOY, "--shifts", "none"),
        *("--json", "--quiet"),
    )
    assert told.status == 0, told.err
    detector = json.loads(told.out)["detector"]
    assert detector["name"] == "greenness" and detector["source"]["class"] == "Greenness"


def test_a_job_with_it_imports_no_torch(scenes, tmp_path):
    code = (
        "import sys, rsdetect\n"
        f"rsdetect.detect({scenes.before!r}, {scenes.after!r}, out={str(tmp_path)!r}, detector={TOY!r})\n"
        "assert 'torch' not in sys.modules"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_its_scorer_pickles_by_the_path_and_hash_of_its_file(scenes, own):
    scorer = find_detector(f"{own}:Greenness")().fit(Scan(open_pair(scenes.before, scenes.after)))
    packed = pickle.dumps(scorer)
    module = sys.modules.pop(type(scorer).__module__)
    back = pickle.loads(packed)
    assert type(back) is not type(scorer) and dataclasses.astuple(back) == dataclasses.astuple(scorer)
    sys.modules[module.__name__] = module
    for change, message in (
        (
            lambda: own.write_text(own.read_text() + "# another version\n"),
            r"sees another file under .*own\.py",
        ),
        (own.unlink, r"does not see the detector's .*own\.py; .* fix this"),
    ):
        change()
        unloaded = pickle.loads(packed)  # as in the scheduler of a cluster, which scores nothing
        assert pickle.dumps(unloaded) == packed
        with pytest.raises(JobInterrupted, match=message):
            ready_scorer(unloaded)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "Mine", "cannot be read"),
        ("x = 1 / 0", "Mine", "cannot be run.*ZeroDivisionError"),
        ("def broken(", "Mine", "cannot be run.*SyntaxError"),
        ("x = 1", "Mine", "holds no subclass"),
        ("from rsdetect.detectors import Detector\nclass A(Detector): name = 'a'", "B", "it holds A; write"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(scenes, tmp_path, content, name, message):
    if content is not None:
        (tmp_path / "own.py").write_text(content)
    told = run_here(
        *("detect", scenes.before, scenes.after, "--out", tmp_path / "out"),
        *("--detector", f"{tmp_path / 'own.py'}:{name}"),
    )
    assert told.status == 2 and told.err.count("\n") == 1
    with pytest.raises(DetectorError, match=message):
        find_detector(f"{tmp_path / 'own.py'}:{name}")
    assert not (tmp_path / "out").exists()


def test_packages_add_detectors_but_take_no_built_in_name(monkeypatch):
    points = [
        EntryPoint("greenness", "support.toy_detector:Greenness", "rsdetect.detectors"),
        EntryPoint("cva", "support.toy_detector:Greenness", "rsdetect.detectors"),
        EntryPoint("gone", "no_such_package:Thing", "rsdetect.detectors"),
        EntryPoint("wrong", "json:dumps", "rsdetect.detectors"),
    ]
    monkeypatch.setattr("rsdetect.detectors.registry.entry_points", lambda group: points)
    found = Registry()
    assert list(found) == [*_BUILT_IN, "gone", "greenness", "wrong"]
    assert found["greenness"] is toy_detector.Greenness and found["cva"].__name__ == "CvaDetector"
    with pytest.raises(DetectorError, match="`detector='gone'` cannot be loaded from no_such_package"):
        found["gone"]
    with pytest.raises(DetectorError, match="`detector='wrong'`: json:dumps is not a subclass"):
        found["wrong"]


def test_an_unknown_name_and_a_model_for_nothing_are_refused():
    with pytest.raises(InputError, match=r"choose one of best, siamese, cva, .*, or name a file of your own"):
        make_detector("svm")
    with pytest.raises(InputError, match="`model` names a network, and `detector='greenness'` has none"):
        make_detector(TOY, "siamese")
    with pytest.raises(InputError, match="`detector` is an object"):
        make_detector(toy_detector.Greenness(), "siamese")


def test_a_model_alone_means_the_network():
    assert isinstance(make_detector(model="siamese-buildings"), SiameseDetector)
    assert "cva" in DETECTORS


def test_the_identity_changes_with_parameters_and_file_and_the_old_keys_hold(own):
    one, other = toy_detector.Greenness(), toy_detector.Greenness(2.0)
    mine = find_detector(f"{own}:Greenness")()
    keys = {ScoringIdentity.of(each, "auto").key for each in (one, other)}
    assert len(keys) == 2
    assert ScoringIdentity.of(mine, "auto") == ScoringIdentity.of(one, "auto")  # a copy of the file
    own.write_text(own.read_text() + "# another version\n")
    changed = find_detector(f"{own}:Greenness")()
    assert ScoringIdentity.of(changed, "auto").key not in keys
    cva = ScoringIdentity.of(make_detector("cva"), "auto")
    from rsdetect.files import hash_json

    first = {"detector": "cva", "model_sha256": None, "version": rsdetect.__version__, "backend": None}
    assert cva.key == hash_json(first)


def test_a_class_without_a_source_is_refused():
    made: dict = {"Detector": Detector, "Scorer": Scorer}
    exec("class Mine(Detector):\n    name = 'mine'", made | {"__name__": "nowhere"}, made)
    with pytest.raises(DetectorError, match=r"source of the detector mine .*define it in a file"):
        describe(made["Mine"](), toy_detector.GreennessScorer(0, 1, 1))


@pytest.fixture(scope="module")
def cluster():
    """A worker that does not know the tests' folder: it has the file and nothing else."""
    environ = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if not p.endswith("tests"))}
    with local_cluster(threads_per_worker=2, env=environ) as one:
        yield one.scheduler_address


@pytest.mark.slow
def test_a_cluster_runs_the_file(scenes, by_file, cluster, own, tmp_path):
    how = ("--tile-size", "64", "--scheduler", cluster, "--detector", f"{own}:Greenness", "--quiet")
    told = run_apart("detect", scenes.before, scenes.after, "--out", tmp_path / "out", *how)
    assert told.status == 0, told.err
    np.testing.assert_array_equal(read_raster(tmp_path / "out"), read_raster(by_file))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["missing", "changed", "broken there"])
def test_a_worker_without_the_file_is_refused_in_a_sentence(scenes, cluster, own, tmp_path, monkeypatch, way):
    """The file is taken away after this process has fitted it: what a worker elsewhere sees."""
    import rsdetect.jobs.detect

    genuine = rsdetect.jobs.detect.run_tiles
    if way == "broken there":
        own.write_text(own.read_text() + f"import os\nassert os.getpid() == {os.getpid()}, 'elsewhere'\n")

    def without(*arguments, **keywords):
        if way == "missing":
            own.unlink()
        elif way == "changed":
            own.write_text(own.read_text() + "# another version\n")
        return genuine(*arguments, **keywords)

    monkeypatch.setattr(rsdetect.jobs.detect, "run_tiles", without)
    how = ("--tile-size", "64", "--scheduler", cluster, "--detector", f"{own}:Greenness", "--quiet")
    told = run_here("detect", scenes.before, scenes.after, "--out", tmp_path / "out", *how)
    assert (told.status, told.err.count("\n")) == (3, 1), told.err
    wanted = {"missing": "does not see the detector's", "changed": "sees another file under the detector's"}
    assert wanted.get(way, "AssertionError: elsewhere") in told.err and str(own) in told.err


@dataclasses.dataclass(frozen=True)
class Wrong(Scorer):
    """A scorer of no detector, which gives `made(tile)`."""

    made: object

    name = "wrong"

    def score(self, tile):
        return self.made(tile)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda tile: tile.after, r"shape \(3, 300, 420\) and type float32 for a tile of shape \(300, 420\)"),
        (lambda tile: tile.valid, "type bool"),
        (lambda tile: np.full(tile.valid.shape, np.nan), "NaN at valid pixels"),
        (lambda tile: np.full(tile.valid.shape, 1.5), r"values from 1\.5 to 1\.5"),
        (lambda tile: np.full(tile.valid.shape, -0.1), r"values from -0\.1 to -0\.1"),
        (lambda tile: {}["missing"], "failed .KeyError"),
    ],
)
def test_what_is_no_probability_is_refused_with_the_name_of_the_detector(scenes, made, message):
    pair = open_pair(scenes.before, scenes.after)
    window = pair.grid.window
    with pytest.raises(DetectorError, match=f"^the detector wrong .*{message}") as refused:
        score_core(pair, Wrong(made), TileWindow(0, 0, window, window))
    assert refused.value.exit_status == 2 and str(refused.value).count(";") == 1


@dataclasses.dataclass(frozen=True)
class WrongStrips(Scorer):
    """A scorer that goes down strips; each gives `made(rows, number)` for its rows so far."""

    made: object

    name = "wrong"
    halo, strips, skips_equal = 4, True, True

    def strip(self, height, width):
        return WrongStrip(self.made, self.halo)


class WrongStrip:
    def __init__(self, made, late):
        self.made, self.late, self.number = made, late, 0

    def push(self, rows):
        self.number += 1
        return self.made(rows, self.number)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda rows, _: rows.after, r"shape \(3, \d+, \d+\) and type float32 for a tile of shape"),
        (lambda rows, _: rows.valid, "type bool"),
        (lambda rows, _: np.full(rows.valid.shape, np.nan), "NaN at valid pixels"),
        (lambda rows, number: np.full(rows.valid.shape, 0.5 * number), r"values from 1 to 1\.5|to 1\.5"),
        (lambda rows, _: rows.nothing, "failed .AttributeError"),
    ],
)
def test_what_is_no_probability_is_refused_on_the_way_down_a_strip(scenes, made, message):
    pair = open_pair(scenes.before, scenes.after)
    window = pair.grid.window
    with pytest.raises(DetectorError, match=f"^the detector wrong .*{message}"):
        score_core(pair, WrongStrips(made), TileWindow(0, 0, window, window))


def test_the_first_rows_of_a_strip_may_be_anything(scenes):
    """They lie closer than the halo to its top; those that a strip gives late belong above the scene."""

    def made(rows, number):
        given = np.full(rows.valid.shape, np.float32(0.5))
        given[: 4 + 4 if number == 1 else 0] = np.nan
        return given

    pair = open_pair(scenes.before, scenes.after)
    plan = plan_tiles(pair.grid, (256, 420), 4, 1)
    for tile in plan:
        scored = score_core(pair, WrongStrips(made), tile)
        assert np.isin(scored[np.isfinite(scored)], [0, 0.5]).all() and (scored == 0.5).any()


@pytest.mark.parametrize(("noise", "status"), [(0.2, 2), (0.0, 0)])
def test_a_job_whose_detector_answers_otherwise_the_second_time_does_not_start(
    scenes, own, tmp_path, noise, status
):
    random = f"np.random.default_rng().random(moved.shape) * {noise}"
    source = own.read_text()
    own.write_text(source.replace("return (1 -", f"return ({random} + {1 - noise}) * (1 -"))
    assert own.read_text() != source
    how = ("--out", tmp_path / "out", "--detector", f"{own}:Greenness", "--quiet")
    given = run_here("detect", scenes.before, scenes.after, *how)
    assert given.status == status, given.err
    if status:
        assert given.err.count("\n") == 1 and "other scores for the same tile the second time" in given.err
        assert not (tmp_path / "out").exists()


def test_scores_at_invalid_pixels_mean_nothing(scenes):
    pair = open_pair(scenes.before, scenes.after)
    window = pair.grid.window
    scorer = Wrong(lambda tile: np.where(tile.valid, 0.5, np.nan))
    scored = score_core(pair, scorer, TileWindow(0, 0, window, window))
    assert set(np.unique(scored[10:])) <= {0.0, 0.5}, "0 where both dates are equal"
    assert (scored[10:] == 0.5).mean() > 0.5 and np.isnan(scored[0]).all()
