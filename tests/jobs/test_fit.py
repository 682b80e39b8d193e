"""A fit that trains is stored in the work folder, and a resumed job takes that one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import rsdetect
from rsdetect.detectors import make_detector
from rsdetect.detectors.fitting import fit_detector, read_fit, write_fit
from rsdetect.errors import DetectorError
from rsdetect.percent import to_percent
from rsdetect.scenes.pair import open_pair
from rsdetect.scoring.core import score_core
from rsdetect.tiles import TileWindow
from support.interruption import finished_tiles, interrupt
from support.jobs import OUTPUTS, changed_pair, listing, read_raster, run_here

# Another fit each time: what a resumed job scores by another one, shows. While there is a file own.py.hold,
# which names a folder with three finished tiles, the other tiles wait.
TRAINED = """
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from rsdetect.detectors import Detector, Scorer

def wait():
    hold = Path(__file__ + ".hold")
    while hold.exists():
        with suppress(FileNotFoundError):  # of the file, or of what another tile renames
            if len(list(Path(hold.read_text()).rglob("*.tile"))) < 3:
                return
        time.sleep(0.01)

@dataclass(frozen=True)
class TrainedScorer(Scorer):
    weights: np.ndarray
    note: dict
    name = "trained"

    def score(self, tile):
        wait()
        moved = np.abs(tile.after - tile.before) / 255
        return np.clip((moved * self.weights[:, None, None]).mean(axis=0), 0, 1).astype(np.float32)

    def state(self):
        return {"weights": self.weights, "note": self.note}

class Trained(Detector):
    name = "trained"
    trains = True

    def fit(self, scan):
        with open(__file__ + ".log", "a") as log:
            log.write("fit\\n")
        return TrainedScorer(np.random.default_rng().random(3).astype(np.float32), {"rounds": 3})

    def restore(self, state):
        return TrainedScorer(**state)
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return changed_pair(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(TRAINED)
    return f"{tmp_path / 'own.py'}:Trained"


def fits(tmp_path):
    return (tmp_path / "own.py.log").read_text().count("fit")


def scored(out):
    return json.loads((out / "run.json").read_text())["counts"]["tiles_scored_in_this_run"]


def resume(scenes, out, detector, **options):
    options = {"detector": detector, "tile_size": 64, "quiet": True} | options
    rsdetect.detect(scenes.before, scenes.after, out=out, **options)


def kill_after_three_tiles(command, out):
    hold = out.with_name("own.py.hold")
    hold.write_text(str(out))
    with subprocess.Popen(command) as child:
        while len(finished_tiles(out)) < 3:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
    hold.unlink()


@pytest.mark.slow
def test_a_killed_job_goes_on_with_the_fit_that_it_had(scenes, own, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "rsdetect.cli", "detect", scenes.before, scenes.after, "--out", str(out)]
    options = ["--detector", own, "--tile-size", "64", "--workers", "1", "--quiet"]
    kill_after_three_tiles([*command, *options], out)
    kept = len(finished_tiles(out))
    resume(scenes, out, own)
    assert fits(tmp_path) == 1
    assert scored(out) == 35 - kept
    assert listing(out) == OUTPUTS
    weights = json.loads((out / "run.json").read_text())["detector"]["fitted"]["weights"]
    assert weights["dtype"] == "float32" and weights["shape"] == [3]


def test_a_fit_is_kept_from_before_the_first_tile_and_not_with_no_resume(scenes, own, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rsdetect.jobs.detect.run_tiles", stop)
        with pytest.raises(KeyboardInterrupt):
            resume(scenes, tmp_path / "out", own)
    assert any(name.endswith(".fit.safetensors") for name in listing(tmp_path / "out"))
    with monkeypatch.context() as patch:
        patch.setattr("rsdetect.jobs.detect.run_tiles", stop)
        with pytest.raises(KeyboardInterrupt):
            resume(scenes, tmp_path / "out", own)
    assert fits(tmp_path) == 1
    resume(scenes, tmp_path / "out", own, resume=False)
    assert fits(tmp_path) == 2
    assert listing(tmp_path / "out") == OUTPUTS


def test_a_damaged_fit_is_made_again(scenes, own, tmp_path):
    interrupt(scenes, tmp_path / "out", detector=own)
    (stored,) = (tmp_path / "out" / ".work").glob("*.fit.safetensors")
    stored.write_bytes(stored.read_bytes()[:20])
    resume(scenes, tmp_path / "out", own)
    assert fits(tmp_path) == 2 and scored(tmp_path / "out") == 35


def test_another_version_of_the_file_is_fitted_again(scenes, own, tmp_path):
    interrupt(scenes, tmp_path / "out", detector=own)
    (tmp_path / "own.py").write_text(TRAINED + "# another\n")
    resume(scenes, tmp_path / "out", own)
    assert fits(tmp_path) == 2


def test_states_come_back_as_they_were(tmp_path):
    from rsdetect.detectors import Detector, Scorer

    given = {"a": np.arange(6.0).reshape(2, 3), "b": {"c": [np.uint8([1]), 2, "array:x"], "d": None}}

    class Given(Scorer):
        name = "given"

        def state(self):
            return given

    class Takes(Detector):
        name = "given"

        def restore(self, state):
            return state

    write_fit(tmp_path / "fit", Given())
    back = read_fit(tmp_path / "fit", Takes())
    np.testing.assert_array_equal(back["a"], given["a"])
    assert back["b"]["c"][0].dtype == np.uint8 and back["b"]["c"][1:] == [2, "array:x"]
    assert back["b"]["d"] is None and read_fit(tmp_path / "none", Takes()) is None


@pytest.mark.parametrize(("made", "message"), [("1 / 0", "failed to fit the pair .Zero"), ("3", "gave int")])
def test_a_fit_that_fails_is_one_sentence(scenes, tmp_path, made, message):
    source = "from rsdetect.detectors import Detector\nclass A(Detector):\n    name = 'a'\n"
    (tmp_path / "own.py").write_text(f"{source}    def fit(self, scan):\n        return {made}\n")
    how = ("--out", tmp_path / "out", "--detector", tmp_path / "own.py", "--quiet")
    told = run_here("detect", scenes.before, scenes.after, *how)
    assert told.status == 2 and told.err.splitlines()[-1].startswith("Error: ") and "detector a " in told.err
    with pytest.raises(DetectorError, match=message):
        fit_detector(make_detector(str(tmp_path / "own.py")), None)


@pytest.mark.slow
def test_workers_score_by_the_stored_fit_of_a_killed_job(scenes, own, tmp_path):
    distributed = pytest.importorskip("distributed")
    import dask

    out = tmp_path / "out"
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", memory_limit=0
        ) as cluster,
    ):  # fmt: skip
        how = ["--tile-size", "64", "--quiet", "--detector", own, "--scheduler", cluster.scheduler_address]
        command = [sys.executable, "-m", "rsdetect.cli", "detect", scenes.before, scenes.after]
        kill_after_three_tiles([*command, "--out", str(out), *how], out)
        (stored,) = (out / ".work").glob("*.fit.safetensors")
        scorer = read_fit(stored, make_detector(own))
        resume(scenes, out, own, scheduler=cluster.scheduler_address)
    assert fits(tmp_path) == 1 and scored(out) < 35
    pair = open_pair(scenes.before, scenes.after)
    window = pair.grid.window
    wanted = to_percent(score_core(pair, scorer, TileWindow(0, 0, window, window))).astype(int)
    assert np.abs(read_raster(out).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(("seconds", "is_stored"), [(9.9, False), (10.1, True)])
def test_a_fit_of_more_than_ten_seconds_is_stored(tmp_path, monkeypatch, seconds, is_stored):
    from rsdetect.detectors import Detector, Scorer

    clock = iter([100.0, 100.0 + seconds])
    monkeypatch.setattr("rsdetect.detectors.fitting.time", SimpleNamespace(monotonic=lambda: next(clock)))

    class Slow(Detector):
        name = "slow"

        def fit(self, scan):
            return SlowScorer()

        def restore(self, state):
            return SlowScorer(**state)

    class SlowScorer(Scorer):
        name = "slow"

        def __init__(self, weight=1.5):
            self.weight = weight

        def state(self):
            return {"weight": self.weight}

    fit_detector(Slow(), None, tmp_path / "fit")
    assert (tmp_path / "fit").exists() == is_stored
    if is_stored:
        assert fit_detector(Slow(), None, tmp_path / "fit").weight == 1.5  # and no clock is read


def test_what_is_quick_is_not_stored(scenes, tmp_path):
    interrupt(scenes, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.fit.safetensors"))
