"""The folders and locks of others are left alone, and a run holds its folder alone."""

from __future__ import annotations

import pytest

from rsdetect.errors import OutputError
from rsdetect.folders import LOCK, MARK, HeldFolder
from support.jobs import listing

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
