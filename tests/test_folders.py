"""The folders and locks of others are left alone, and a run holds its folder alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from rsdetect.errors import OutputError
from rsdetect.folders import LOCK, MARK, HeldFolder, refuse_place
from support.jobs import changed_pair, listing, run_here

BUSY = OutputError("another run")


def hold(folder, **options):
    return HeldFolder.hold(folder, ".work", busy=BUSY, **options)


def test_a_folder_is_made_held_and_gone_without_a_trace(tmp_path):
    held = hold(tmp_path / "a" / "out")
    assert listing(tmp_path / "a" / "out") == [LOCK, ".work", f".work/{MARK}"]
    with pytest.raises(OutputError, match="another run"):
        hold(tmp_path / "a" / "out")
    held.release(trace=False)
    assert listing(tmp_path) == []


def test_a_run_that_begins_while_another_command_asks_whether_one_has_the_folder_is_not_refused(
    tmp_path, monkeypatch
):
    hold(tmp_path).release(trace=True)
    asking = FileLock(tmp_path / LOCK)
    asking.acquire()
    monkeypatch.setattr("time.sleep", lambda _: asking.release())
    hold(tmp_path).release(trace=True)


def test_a_folder_that_its_run_removes_while_another_waits_for_it_was_busy(tmp_path, monkeypatch):
    held = hold(tmp_path / "out")
    monkeypatch.setattr("time.sleep", lambda _: held.release(trace=False))
    with pytest.raises(OutputError, match="another run"):
        hold(tmp_path / "out", wait_s=60)


def test_what_others_keep_in_our_work_folder_stays(tmp_path):
    held = hold(tmp_path / "out")
    (tmp_path / "out" / ".work" / "notes.txt").write_text("mine")
    held.release(trace=False)
    assert (tmp_path / "out" / ".work" / "notes.txt").read_text() == "mine"
    hold(tmp_path / "out").release(trace=False)


@pytest.mark.parametrize("what", ["folder", "empty folder", "file", "link", "dangling link"])
def test_a_work_folder_that_is_not_ours_is_refused_and_left_as_it_is(tmp_path, what):
    work, other = tmp_path / "out" / ".work", tmp_path / "other"
    work.parent.mkdir()
    other.mkdir()
    (other / MARK).write_text("")
    if what == "file":
        work.write_text("mine")
    elif what == "link":
        work.symlink_to(other)
    elif what == "dangling link":
        work.symlink_to(tmp_path / "nothing")
    else:
        work.mkdir()
        if what == "folder":
            (work / "thesis.txt").write_text("mine")
    before = listing(tmp_path)
    with pytest.raises(OutputError, match="move it away"):
        hold(tmp_path / "out")
    assert listing(tmp_path) == before


@pytest.mark.parametrize("what", ["file", "link", "folder"])
def test_a_lock_that_is_not_ours_is_refused_and_left_as_it_is(tmp_path, what):
    lock, other = tmp_path / LOCK, tmp_path / "thesis.txt"
    other.write_text("mine")
    if what == "file":
        lock.write_text("mine")
    elif what == "link":
        lock.symlink_to(other)
    else:
        lock.mkdir()
    before = listing(tmp_path)
    with pytest.raises(OutputError, match="not a lock of rsdetect"):
        hold(tmp_path)
    assert (listing(tmp_path), other.read_text()) == (before, "mine")


def test_only_names_of_ours_are_cleared(tmp_path):
    (tmp_path / ".thesis.txt.0123456789ab.part").write_text("mine")
    (tmp_path / "..work.0123456789ab.part").mkdir()
    hold(tmp_path).release(trace=False)
    assert listing(tmp_path) == [".thesis.txt.0123456789ab.part"]


def test_the_lock_of_a_run_that_was_killed_is_noticed(tmp_path):
    (tmp_path / LOCK).touch()
    held = hold(tmp_path)
    assert held.was_left
    held.release(trace=False)
    held = hold(tmp_path)
    assert not held.was_left
    held.release(trace=False)


@pytest.mark.parametrize(
    "text",
    [
        *("http://host/out", "HTTPS://host/out", "s3://bucket/out", "file:///data/out", "sftp://host/out"),
        *("/vsicurl/http://host/out", "/vsimem/out", "/vsizip/out.zip/out"),
    ],
)
def test_an_address_is_no_place_for_results(text):
    with pytest.raises(OutputError, match="is an address"):
        refuse_place(Path(text))


@pytest.mark.parametrize("text", ["out", "C:/out", "2024-01-01T10:30:00/out", "./http", "/data/vsicurl/out"])
def test_other_paths_are_places_for_results(text):
    refuse_place(Path(text), "changes.gpkg")


def test_a_folder_with_the_name_of_a_result_is_refused(tmp_path):
    (tmp_path / "linked").symlink_to(tmp_path)  # which a rename replaces
    (tmp_path / "changes.gpkg").mkdir()
    refuse_place(tmp_path, "linked")
    with pytest.raises(OutputError, match=r"changes\.gpkg is a folder"):
        refuse_place(tmp_path, "linked", "changes.gpkg")


def test_no_command_writes_to_an_address_or_over_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scenes = changed_pair(tmp_path, height=32, width=32)
    Path("pairs.csv").write_text(f"before,after\n{scenes.before},{scenes.after}\n")
    Path("in/changes.qgz").mkdir(parents=True)
    before = listing(tmp_path)
    pair, cva = (scenes.before, scenes.after), ("--detector", "cva", "--quiet")
    for command in (
        ("detect", *pair, "--out", "http://host/out", *cva),
        ("detect", *pair, "--out", "in", "--overwrite", *cva),
        ("batch", "pairs.csv", "--out", "s3://bucket/out", *cva),
        ("simulate", "--out", "file:///out", "--size", 64),
        ("images", "list.toml", "--out", "http://host/out"),
    ):
        told = run_here(*command)
        assert (told.status, told.err.count("\n")) == (2, 1), told.err
    assert listing(tmp_path) == before
