"""What a job keeps on disk: copies, reports, comparisons; and space that it leaves free."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rsdetect.ingestion.ingested_scene import IngestedScene
from rsdetect.monitoring import prune as pruning
from rsdetect.monitoring import update as updates
from rsdetect.monitoring.job import Job
from rsdetect.monitoring.job_folder import JobFolder
from rsdetect.monitoring.journal import Journal
from support.jobs import contents, listing, run_here
from support.monitored import TEN_DAYS, dates_in, deliver, layers, small_series, write_job

COPIED = {"baseline": {"policy": "composite", "count": 2}}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Dates that the job copies, as it does those of a server."""
    folder = tmp_path_factory.mktemp("site")
    small_series(folder, size=96, dates=TEN_DAYS[:6], floods=0, cloudy=0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rsdetect.ingestion.ingest._needs_ingest_copy", lambda *_: True)
        yield folder


@pytest.fixture(scope="module")
def whole(site, tmp_path_factory):
    """A job that keeps everything, run over all dates."""
    folder = tmp_path_factory.mktemp("whole")
    done = run_here("monitor", "run", write_job(folder / "job.yaml", site, **COPIED))
    assert done.status == 0, done.err
    return folder


def copies(folder):
    return sorted(JobFolder(folder / "out").scenes.glob("*.tif"))


def needed(folder):
    with Journal(JobFolder(folder / "out").journal, write=False) as journal:
        return set(journal.fact(pruning.NEEDED))


def test_a_job_that_keeps_few_copies_finds_what_one_finds_that_keeps_all(site, whole, tmp_path):
    stamps = dates_in(site)
    deliver(site, tmp_path / "scenes", stamps[:4])
    keep = {"copies": 2, "history_days": 1}
    job = write_job(tmp_path / "job.yaml", tmp_path / "scenes", keep=keep, **COPIED)
    first = json.loads(run_here("monitor", "run", job, "--json").out)
    assert any("were removed (keep)" in note for note in first["run"]["notes"])
    kept = copies(tmp_path)
    assert 2 <= len(kept) <= 2 + len(needed(tmp_path)) and len(kept) < 4
    deliver(site, tmp_path / "scenes", stamps[4:])
    assert run_here("monitor", "run", job).status == 0
    assert layers(tmp_path / "out") == layers(whole / "out")
    again = json.loads(run_here("monitor", "run", job, "--json").out)["run"]
    assert (again["compared"], again["notes"], again["changed"]) == ([], [], [])  # nothing is copied again
    assert len(copies(tmp_path)) < len(copies(whole))
    steps = sorted(path.name[:10] for path in (tmp_path / "out" / "steps").iterdir())
    assert len(steps) <= 1 and len(list((whole / "out" / "steps").iterdir())) > 3


def test_prune_lists_first_and_removes_what_is_old(whole, tmp_path):
    shutil.copytree(whole / "out", tmp_path / "out")
    out = tmp_path / "out"
    (out / "reports" / "20230101T060000_0123abcd.html").write_text("old")
    (out / "reports" / "notes.html").write_text("not ours")
    job = write_job(tmp_path / "job.yaml", whole, **COPIED)
    text = job.read_text().replace(f"path: {whole}", f"path: {tmp_path}")
    job.write_text(text)
    before, files = listing(tmp_path), contents(out)
    assert run_here("monitor", "prune", job).err == "0 files or folders, 0 B were removed\n"
    assert listing(tmp_path) == before
    job.write_text(text + "keep: {copies_days: 30, thumbnails_days: 30, history_days: 30}\n")
    listed = json.loads(run_here("monitor", "prune", job, "--dry-run", "--json").out)
    assert listing(tmp_path) == [*before] and contents(out) == files
    kinds = [each["kind"] for each in listed["removed"]]
    assert kinds.count("report") == 1 and "comparison" in kinds and listed["bytes"] > 0
    assert "copy" not in kinds or len(copies(tmp_path)) > kinds.count("copy")
    done = json.loads(run_here("monitor", "prune", job, "--json").out)
    assert done == listed | {"dry_run": False}
    assert not any(Path(each["path"]).exists() for each in done["removed"])
    assert (out / "reports" / "notes.html").exists()
    assert json.loads(run_here("monitor", "prune", job, "--json").out)["removed"] == []


def test_a_dry_run_beside_a_run_that_removes_comparisons(whole, tmp_path, monkeypatch):
    out = shutil.copytree(whole / "out", tmp_path / "out")
    job = write_job(tmp_path / "job.yaml", whole, keep={"history_days": 1}, **COPIED)
    genuine, gone = os.scandir, []

    def scandir(path="."):
        if Path(path).parent == out / "steps":
            gone.append(Path(path).rename(tmp_path / Path(path).name))
        return genuine(path)

    monkeypatch.setattr(os, "scandir", scandir)
    told = run_here("monitor", "prune", job, "--dry-run", "--json")
    assert told.status == 0, told.err
    assert len(gone) > 1
    sizes = {each["bytes"] for each in json.loads(told.out)["removed"] if each["kind"] == "comparison"}
    assert sizes == {0}


def test_a_copy_whose_removal_was_killed_is_removed_later(whole, tmp_path, monkeypatch):
    genuine, died = Path.unlink, []

    def dying(path, **keywords):
        if path.suffix == ".tif":
            died.append(path)
            raise MemoryError("dying here")
        genuine(path, **keywords)

    kept = copies(whole)
    backup = shutil.copytree(whole / "out", tmp_path / "backup")
    try:
        own = write_job(whole / "pruned.yaml", whole, keep={"copies": 1}, **COPIED)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", dying)
            assert run_here("monitor", "prune", own).status == 3
        assert len(died) == 1 and copies(whole) == kept
        first = json.loads(run_here("monitor", "prune", own, "--json").out)["removed"]
        assert str(died[0]) in [each["path"] for each in first]
    finally:
        shutil.rmtree(whole / "out")
        shutil.move(backup, whole / "out")


def test_the_next_baseline_needs_what_its_clouds_are_filled_from():
    def scene(day, share, clouded=False):
        taken = datetime(2024, 5, day, tzinfo=UTC)
        return IngestedScene(f"s{day}", taken, f"{day}.tif", None, "f", share, clouded)

    latest = [scene(9, 0.0, True), scene(8, 0.6), scene(7, 1.0), scene(6, 0.5), scene(5, 1.0), scene(4, 1.0)]
    job = {"site": "s", "out": "o", "source": {"kind": "list", "path": "x.csv"}}
    for policy, wanted in (
        ({"policy": "previous"}, "87"),
        ({"policy": "composite", "count": 2}, "8765"),
        ({"policy": "fixed", "scene": "2024-05-04"}, "4"),
        ({"policy": "season"}, "87654"),
    ):
        found = pruning._of_next_baseline(Job(**job, baseline=policy), latest)
        assert found == {f"{day}.tif" for day in wanted}, policy


def test_a_run_stops_before_the_disk_is_full(site, tmp_path, monkeypatch):
    job = write_job(tmp_path / "job.yaml", site, keep={"free_space": "2GB"}, **COPIED)
    left = iter([5 * 10**9] * 3)
    monkeypatch.setattr(pruning, "free_bytes", lambda _: next(left, 10**9))
    done = run_here("monitor", "run", job)
    assert (done.status, done.err.count("\n")) == (3, 1)
    assert "1.0 GB are free, and the job leaves 2GB (keep.free_space)" in done.err
    assert len(copies(tmp_path)) <= 2 and not (tmp_path / "out" / "steps").exists()
    assert json.loads((tmp_path / "out" / "heartbeat.json").read_text())["state"] == "failed"
    assert updates.require_space is pruning.require_space


@pytest.mark.parametrize("keep", [{"copies": 0}, {"free_space": "much"}, {"copies_days": -1}])
def test_what_cannot_be_kept_is_refused(tmp_path, keep):
    done = run_here("monitor", "prune", write_job(tmp_path / "job.yaml", tmp_path, keep=keep))
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert f"keep.{next(iter(keep))}" in done.err
