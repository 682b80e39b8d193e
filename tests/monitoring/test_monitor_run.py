"""Runs of a job: once, again, piecemeal, in any order, two at a time, with scenes that fail."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pyogrio
import pytest
import shapely
from filelock import FileLock

from rsdetect.folders import LOCK, MARK
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.nets.checkpoint import find_model, model_hash
from support.jobs import COMMAND, contents, listing, run_apart, run_here
from support.monitored import dates_in, deliver, events_of, layers, require_the_truth, small_series, write_job

POLICIES = (
    {"policy": "previous"},
    {"policy": "composite", "count": 3},
    {"policy": "fixed", "scene": "2024-04-01"},
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    small_series(folder)
    return folder


@pytest.fixture(scope="module")
def whole(site, tmp_path_factory):
    """A job that ran once over the whole site, and what it left."""
    folder = tmp_path_factory.mktemp("whole")
    job = write_job(folder / "job.yaml", site)
    told = run_here("monitor", "run", job, "--json")
    assert told.status == 0, told.err
    return job, folder / "out"


def run(job, status=0):
    told = run_here("monitor", "run", job, "--quiet")
    assert told.status == status, told.err
    return told


@pytest.mark.parametrize("policy", POLICIES[1:], ids=lambda policy: policy["policy"])
def test_planted_changes_are_confirmed_and_the_flood_is_resolved(site, tmp_path, policy):
    job = write_job(tmp_path / "job.yaml", site, baseline=policy)
    run(job)
    found = require_the_truth(tmp_path / "out", site)
    assert found["confirmed"] >= found["planted"] > found["resolved"] > 0, found


def test_the_same_with_the_date_before(site, whole):
    found = require_the_truth(whole[1], site)
    assert found["confirmed"] >= found["planted"] > found["resolved"] > 0, found


def test_running_again_does_nothing(whole):
    job, out = whole
    before = {path: path.stat().st_mtime_ns for path in (out / "steps").rglob("*")}
    history = layers(out)
    told = run_here("monitor", "run", job)
    assert (told.status, told.out) == (0, "")
    assert "nothing new" in told.err
    assert {path: path.stat().st_mtime_ns for path in (out / "steps").rglob("*")} == before
    assert layers(out) == history


def test_every_step_leaves_what_detect_leaves(whole):
    _, out = whole
    steps = sorted((out / "steps").iterdir())
    assert len(steps) == 7
    for step in steps:
        names = {path.name for path in step.iterdir()}
        assert {"change_probability.tif", "changes.gpkg", "run.json"} <= names
    assert steps[0].name.startswith("2024-04-11_20240411.tif_")


def test_events_have_the_kind_of_the_polygon_that_began_them(whole):
    _, out = whole
    events = pyogrio.read_dataframe(out / "events.gpkg", layer="events").set_index("event_id")
    kinds = {}
    for step in (out / "steps").iterdir():
        polygons = pyogrio.read_dataframe(step / "changes.gpkg", layer="changes")
        for area, kind in zip(polygons.geometry, polygons.kind, strict=True):
            outline = shapely.to_wkb(shapely.normalize(shapely.MultiPolygon([area])))
            day = step.name[:10].replace("-", "")
            kinds[f"{day}-{hashlib.sha256(outline).hexdigest()[:8]}"] = kind
    assert len(events) > 2
    assert events.kind.to_dict() == {name: kinds[name] for name in events.index}


def test_a_scene_that_arrives_late_is_put_in_its_place(site, tmp_path):
    stamps = dates_in(site)[:6]
    for name, deliveries in (("late", [stamps[:3] + stamps[4:], stamps]), ("in time", [stamps])):
        folder = tmp_path / name
        job = write_job(tmp_path / f"{name}.yaml", folder / "scenes", folder / "out", baseline=POLICIES[1])
        for delivery in deliveries:
            deliver(site, folder / "scenes", delivery)
            run(job)
    late, in_time = (tmp_path / name / "out" for name in ("late", "in time"))
    assert layers(late) == layers(in_time)
    # Outdated steps are removed, so that the folders are those that count.
    assert listing(late / "steps") == listing(in_time / "steps")


def test_what_a_late_scene_does_not_touch_is_not_compared_again(site, tmp_path):
    stamps = dates_in(site)[:5]
    job = write_job(tmp_path / "job.yaml", tmp_path / "scenes")
    deliver(site, tmp_path / "scenes", stamps[:-2] + stamps[-1:])
    run(job)
    before = {path.parent.name: path.stat().st_mtime_ns for path in tmp_path.glob("out/steps/*/run.json")}
    deliver(site, tmp_path / "scenes", stamps[-2:-1])
    told = json.loads(run_here("monitor", "run", job, "--json").out)
    after = {path.parent.name: path.stat().st_mtime_ns for path in tmp_path.glob("out/steps/*/run.json")}
    assert [name for name in before if after.get(name) != before[name]] == [max(before)]
    assert set(told["run"]["compared"]) == {f"{stamp}.tif" for stamp in stamps[-2:]}


def test_scenes_in_any_order_one_or_several_a_run(site, whole, tmp_path):
    stamps = dates_in(site)
    random.Random(5).shuffle(stamps)
    job = write_job(tmp_path / "job.yaml", tmp_path / "scenes")
    for some in (slice(0, 1), slice(1, 2), slice(2, 4), slice(4, 8)):
        deliver(site, tmp_path / "scenes", stamps[some])
        run(job)
    assert layers(tmp_path / "out") == layers(whole[1])


def test_a_scene_that_is_removed_afterwards_leaves_the_history_as_it_was(site, whole, tmp_path):
    scenes = tmp_path / "scenes"
    deliver(site, scenes, dates_in(site)[:-1])
    job = write_job(tmp_path / "job.yaml", scenes)
    run(job)
    for stamp in dates_in(site)[:3]:
        (scenes / f"{stamp}.tif").unlink()
        (scenes / f"{stamp}_mask.tif").unlink()
    before = layers(tmp_path / "out")
    run(job)
    assert layers(tmp_path / "out") == before
    deliver(site, scenes, dates_in(site)[-1:])
    run(job)
    ids = [event["event_id"] for event in layers(tmp_path / "out")["events"]]
    assert ids == [event["event_id"] for event in layers(whole[1])["events"]]


def test_a_scene_that_is_excluded_is_as_if_it_did_not_exist(site, tmp_path):
    stamps = dates_in(site)[:5]
    deliver(site, tmp_path / "fewer", stamps[:2] + stamps[3:])
    without = write_job(tmp_path / "without.yaml", tmp_path / "fewer", tmp_path / "without")
    run(without)
    deliver(site, tmp_path / "scenes", stamps)
    excluding = write_job(
        *(tmp_path / "excluding.yaml", tmp_path / "scenes", tmp_path / "excluding"),
        scenes={"exclude": [f"{stamps[2]}.tif"]},
    )
    run(excluding)
    assert layers(tmp_path / "without") == layers(tmp_path / "excluding")


def test_memory_and_tile_size_of_a_job_reach_the_comparison(site, tmp_path):
    deliver(site, tmp_path / "scenes", dates_in(site)[:2])
    detector = {"name": "cva", "min_area": 1000, "threshold": 0.4}
    asked = {}
    for name, more in (("usual", {}), ("asked", {"memory": "700MB", "tile_size": 64, "workers": 2})):
        job = write_job(
            tmp_path / f"{name}.yaml", tmp_path / "scenes", tmp_path / name, detector=detector | more
        )
        run(job)
        (record,) = (tmp_path / name).glob("steps/*/run.json")
        asked[name] = json.loads(record.read_text())
    told = asked["asked"]["options"]["score"]
    assert (told["memory"], told["tile_size"], told["workers"]) == ("700MB", 64, 2)
    assert asked["asked"]["plan"]["memory_mib"]["total"] == round(700e6 / 2**20)
    assert asked["usual"]["options"]["score"]["tile_size"] is None
    assert asked["usual"]["counts"]["changed_pixels"] == asked["asked"]["counts"]["changed_pixels"]


# --- who compared ---------------------------------------------------------------------------------------


def compared(job, status=0):
    told = run_here("monitor", "run", job, "--json")
    assert told.status == status, told.err
    return len(json.loads(told.out)["run"]["compared"])


def weights_of(out):
    return {json.loads(path.read_text())["detector"]["model_sha256"] for path in out.glob("steps/*/run.json")}


def upgrade(patch, to):
    """Another version of rsdetect, as far as its results show."""

    def version(package):
        return to if package == "rsdetect" else importlib.metadata.version(package)

    patch.setattr("rsdetect.detectors.identity.version", version)
    patch.setattr("rsdetect.jobs.record.version", version)
    patch.setattr("rsdetect.jobs.record._version", version)  # which looks a version up once


def test_other_weights_under_the_same_path_compare_again(site, tmp_path):
    deliver(site, tmp_path / "scenes", dates_in(site)[:3])
    model = tmp_path / "mine.safetensors"
    shutil.copy(find_model("siamese"), model)
    detector = {"name": "siamese", "model": str(model), "min_area": 1000}
    job = write_job(tmp_path / "job.yaml", tmp_path / "scenes", detector=detector)
    assert compared(job) == 2
    assert compared(job) == 0
    shutil.copy(find_model("siamese-buildings"), model)
    assert compared(job) == 2
    assert weights_of(tmp_path / "out") == {model_hash("siamese-buildings")}
    assert compared(job) == 0
    # The same weights elsewhere and untouched content: nothing to do.
    model.touch()
    assert compared(job) == 0


def test_another_version_compares_again_once(site, tmp_path, monkeypatch):
    deliver(site, tmp_path / "scenes", dates_in(site)[:4])
    job = write_job(tmp_path / "job.yaml", tmp_path / "scenes")
    assert compared(job) == 3
    history = layers(tmp_path / "out")
    upgrade(monkeypatch, "99.0")
    assert compared(job) == 3
    assert compared(job) == 0
    versions = {
        json.loads(path.read_text())["machine"]["versions"]["rsdetect"]
        for path in tmp_path.glob("out/steps/*/run.json")
    }
    assert versions == {"99.0"}
    assert layers(tmp_path / "out") == history
    with closing(sqlite3.connect(tmp_path / "out" / ".monitor" / "journal.sqlite")) as journal:
        looks = journal.execute("SELECT content FROM looks").fetchall()
        steps = journal.execute("SELECT content FROM steps").fetchall()
    assert len({json.loads(content)["scoring"] for (content,) in [*looks, *steps]}) == 1


def test_a_step_that_cannot_be_repeated_is_kept(site, tmp_path, monkeypatch):
    stamps = dates_in(site)
    deliver(site, tmp_path / "scenes", stamps[:5])
    job = write_job(tmp_path / "job.yaml", tmp_path / "scenes")
    assert compared(job) == 4
    history = layers(tmp_path / "out")
    for stamp in stamps[:2]:
        (tmp_path / "scenes" / f"{stamp}.tif").unlink()
        (tmp_path / "scenes" / f"{stamp}_mask.tif").unlink()
    upgrade(monkeypatch, "99.0")
    assert compared(job) <= 3
    assert layers(tmp_path / "out") == history
    assert compared(job) == 0


def test_an_older_journal_uses_the_records_beside_it(site, tmp_path, monkeypatch):
    """Journals did not say who scored; the records of the comparisons always did."""
    deliver(site, tmp_path / "scenes", dates_in(site)[:4])
    job = write_job(tmp_path / "job.yaml", tmp_path / "scenes")
    assert compared(job) == 3
    history = layers(tmp_path / "out")

    def as_before():
        with closing(sqlite3.connect(tmp_path / "out" / ".monitor" / "journal.sqlite")) as journal, journal:
            for table in ("steps", "looks"):
                journal.execute(f"UPDATE {table} SET content = json_remove(content, '$.scoring')")

    def written():
        return {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/steps/*/run.json")}

    as_before()
    kept = written()
    compared(job)
    assert written() == kept
    as_before()
    upgrade(monkeypatch, "99.0")
    assert compared(job) == 3
    assert set(written().values()).isdisjoint(kept.values())
    assert layers(tmp_path / "out") == history


def test_the_identity_of_a_model_imports_no_torch():
    script = (
        "import sys\n"
        "from rsdetect.detectors import make_detector\n"
        "from rsdetect.detectors.identity import ScoringIdentity\n"
        "detector = make_detector('siamese', backend='openvino')\n"
        "assert ScoringIdentity.of(detector, 'auto').model_sha256\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- what fails -----------------------------------------------------------------------------------------


def test_a_scene_that_fails_stops_no_other_and_is_tried_again(site, whole, tmp_path):
    stamps = dates_in(site)
    scenes = tmp_path / "scenes"
    deliver(site, scenes, stamps)
    good = (scenes / f"{stamps[3]}.tif").read_bytes()
    (scenes / f"{stamps[3]}.tif").write_bytes(good[: len(good) // 2])
    job = write_job(tmp_path / "job.yaml", scenes)
    told = run(job, status=3)
    assert f"Error: {stamps[3]}.tif failed; the next run tries it again" in told.err
    status = json.loads(run_here("monitor", "status", job, "--json").out)
    states = {each["scene"]: each["state"] for each in status["scenes"]}
    assert states.pop(f"{stamps[3]}.tif") == "failed"
    assert states.pop(f"{stamps[0]}.tif") == "waits"
    assert set(states.values()) == {"done"}
    run(job, status=3)
    assert "(2 tries)" in run_here("monitor", "status", job, "--json").out
    deliver(site, scenes, [stamps[3]])
    run(job)
    assert layers(tmp_path / "out") == layers(whole[1])


def test_a_step_that_fails_is_reported_and_repeated(site, whole, tmp_path, monkeypatch):
    import rsdetect.monitoring.comparison as steps
    from rsdetect.errors import JobInterrupted

    job = write_job(tmp_path / "job.yaml", site)
    detect, calls = steps.run_detect, []

    def stumble(*arguments):
        calls.append(arguments)
        if len(calls) in (2, 3):
            raise JobInterrupted("the disk is full; fix that.")
        return detect(*arguments)

    monkeypatch.setattr(steps, "run_detect", stumble)
    told = run(job, status=3)
    assert told.err.count("the disk is full") == 2
    status = json.loads(run_here("monitor", "status", job, "--json").out)
    failed = [each for each in status["scenes"] if each["state"] == "failed"]
    assert [each["detail"] for each in failed] == ["the disk is full; fix that."] * 2
    run(job)
    assert layers(tmp_path / "out") == layers(whole[1])


def test_a_second_runner_leaves_or_waits(site, whole, tmp_path):
    job = write_job(tmp_path / "job.yaml", site)
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / LOCK):
        told = run_apart("monitor", "run", job)
        assert told.status == 3
        assert "another run is active" in told.err
        assert not (tmp_path / "out" / "events.gpkg").exists()
        waiting = subprocess.Popen([*COMMAND, "monitor", "run", str(job), "--wait", "120"])
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=5)
    assert waiting.wait(timeout=300) == 0
    assert layers(tmp_path / "out") == layers(whole[1])


def test_a_run_that_begins_while_the_folder_is_checked_makes_it_no_folder_of_others(tmp_path, monkeypatch):
    folder, checked = JobFolder(tmp_path / "out"), []
    genuine = Path.exists

    def exists(path):
        found = genuine(path)
        if not checked:  # the other run begins after the first file was found missing
            checked.append(path)
            for made in (folder.inner, folder.steps):
                made.mkdir(parents=True)
            for made in (folder.inner / MARK, folder.journal):
                made.touch()
        return found

    monkeypatch.setattr(Path, "exists", exists)
    with folder.held(0):
        assert checked


def test_status_before_the_first_run_and_after_it(site, whole, tmp_path):
    job = write_job(tmp_path / "job.yaml", site)
    told = run_here("monitor", "status", job)
    assert told.status == 0
    assert "never" in told.out
    assert listing(tmp_path) == ["job.yaml"]
    kept = contents(whole[1] / ".monitor")
    found = json.loads(run_here("monitor", "status", whole[0], "--json").out)
    assert contents(whole[1] / ".monitor") == kept
    assert [each["state"] for each in found["scenes"]] == ["waits"] + ["done"] * 7
    assert sum(found["events"].values()) == len(events_of(whole[1]))
    assert found["last_run"]["status"] == 0


def test_info_of_a_job_or_its_folder_is_its_status(site, whole, tmp_path):
    job, out = whole
    kept = contents(out)
    status = json.loads(run_here("monitor", "status", job, "--json").out)
    of_folder = json.loads(run_here("info", out, "--json").out)
    assert json.loads(run_here("info", job, "--json").out) == status
    assert of_folder == status | {"notes": []}, "its notes are on files of the source"
    told = run_here("info", out)
    assert (told.status, told.err) == (0, "")
    assert re.search(
        r"^scenes +8 scenes, 2024-\d\d-\d\d to 2024-\d\d-\d\d: 1 waits, 7 done$", told.out, re.M
    ), told.out
    assert re.search(r"^last run +\d{4}-.* UTC, ended with status 0$", told.out, re.M)
    for name in ("events.gpkg", "summary.json", ".monitor/journal.sqlite"):
        assert run_here("info", out / name).out == told.out
    assert contents(out) == kept
    fresh = write_job(tmp_path / "job.yaml", site)
    assert re.search(r"^last run +never$", run_here("info", fresh).out, re.M)
    assert listing(tmp_path) == ["job.yaml"]


def test_a_folder_may_move_with_its_job(site, tmp_path):
    deliver(site, tmp_path / "here" / "scenes", dates_in(site)[:4])
    write_job(tmp_path / "here" / "job.yaml", "scenes")
    run(tmp_path / "here" / "job.yaml")
    shutil.move(tmp_path / "here", tmp_path / "there")
    deliver(site, tmp_path / "there" / "scenes", dates_in(site)[4:5])
    job = tmp_path / "there" / "job.yaml"
    told = json.loads(run_here("monitor", "run", job, "--json").out)
    assert told["run"]["compared"] == [f"{dates_in(site)[4]}.tif"]


def test_another_least_area_makes_another_history_in_the_same_folder(site, tmp_path):
    job = write_job(tmp_path / "job.yaml", site, baseline=POLICIES[2])
    run(job)
    before = layers(tmp_path / "out")
    write_job(job, site, baseline=POLICIES[2], detector={"name": "cva", "min_area": 15_000, "threshold": 0.4})
    run(job)
    assert layers(tmp_path / "out")["events"] != before["events"]
    write_job(job, site, baseline=POLICIES[2])
    run(job)
    assert layers(tmp_path / "out") == before
