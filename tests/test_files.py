"""Files appear whole or not at all, with the user's mode, and wait for a program that holds them open."""

from __future__ import annotations

import json
import os
import re
import stat
from hashlib import sha256
from pathlib import Path

import pytest

import rsdetect
from rsdetect import files
from rsdetect.errors import JobInterrupted
from rsdetect.files import (
    atomic_path,
    clear_unfinished,
    hash_json,
    move,
    scratch_folder,
    write_text,
)
from support.jobs import run_here

SOURCES = sorted(Path(rsdetect.__file__).parent.rglob("*.py"))


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited, without waiting them."""
    waited = []
    monkeypatch.setattr(files.time, "sleep", waited.append)
    return waited


@pytest.fixture
def held_open(monkeypatch):
    """Let Windows' refusal to rename over an open file stand for it: `held_open(name, times)`."""
    genuine = Path.replace

    def install(name, times):
        refused = []

        def replace(path, target):
            if Path(target).name == name and len(refused) < times:
                refused.append(target)
                raise PermissionError(13, "The process cannot access the file", str(path))
            return genuine(path, target)

        monkeypatch.setattr(Path, "replace", replace)
        return refused

    return install


def failing():
    """The block ends with this error; what it has done until then matters."""
    return pytest.raises(ZeroDivisionError)


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


# --- whole or not at all -----------------------------------------------------------------------------------


def test_a_file_appears_when_it_is_complete(tmp_path):
    with atomic_path(tmp_path / "a.txt") as unfinished:
        unfinished.write_text("new")
        assert unfinished.parent == tmp_path
        assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_after_an_error_the_older_file_stays_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with failing(), atomic_path(tmp_path / "a.txt") as unfinished:
        unfinished.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_appears_complete_instead_of_an_empty_one(tmp_path):
    (tmp_path / "set").mkdir()
    with atomic_path(tmp_path / "set") as unfinished:
        (unfinished / "inner").mkdir(parents=True)
        (unfinished / "inner" / "a").write_text("1")
    assert names(tmp_path) == ["a", "inner", "set"]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with failing(), atomic_path(tmp_path / "set") as unfinished:
        unfinished.mkdir()
        (unfinished / "a").write_text("1")
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a"
    with atomic_path(path) as one, atomic_path(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"  # the last to finish
    assert names(tmp_path) == ["a"]


def test_a_scratch_folder_goes_and_what_was_moved_out_of_it_stays(tmp_path):
    with failing(), scratch_folder(tmp_path) as scratch:
        (scratch / "a.tif").write_text("1")
        (scratch / "b.tif").write_text("2")
        move(scratch / "a.tif", tmp_path / "a.tif")
        raise ZeroDivisionError
    assert names(tmp_path) == ["a.tif"]


def test_what_a_killed_process_left_goes_and_nothing_else(tmp_path):
    for name in ("a[1].gpkg", "b.tif"):
        (tmp_path / f".{name}.0123456789ab.part").write_text("half")
    (tmp_path / "mine.part").write_text("of the user")
    (tmp_path / ".mine.part").write_text("of the user")
    clear_unfinished(tmp_path, "a[1].gpkg")
    assert names(tmp_path) == [".b.tif.0123456789ab.part", ".mine.part", "mine.part"]
    clear_unfinished(tmp_path)
    assert names(tmp_path) == [".mine.part", "mine.part"]
    clear_unfinished(tmp_path / "missing")


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_the_mode_is_that_of_any_file_the_user_makes(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "text", "x")
        with atomic_path(tmp_path / "folder") as unfinished:
            unfinished.mkdir()
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("text", "folder")]
    assert modes == [0o666 & ~mask, 0o777 & ~mask]


def test_what_lay_beside_the_older_file_does_not_lie_beside_the_new_one(tmp_path):
    for name in ("a.gpkg", "a.tif", "b.tif"):
        for suffix in ("", "-wal", "-shm", "-journal", ".aux.xml", ".ovr", ".msk"):
            (tmp_path / (name + suffix)).write_text("old")
    write_text(tmp_path / "a.gpkg", "new")
    write_text(tmp_path / "a.tif", "new")
    assert {path.name for path in tmp_path.glob("a.gpkg*")} == {
        "a.gpkg", "a.gpkg.aux.xml", "a.gpkg.msk", "a.gpkg.ovr"
    }  # fmt: skip
    assert {path.name for path in tmp_path.glob("a.tif*")} == {
        "a.tif", "a.tif-journal", "a.tif-shm", "a.tif-wal"
    }  # fmt: skip
    assert len(list(tmp_path.glob("b.tif*"))) == 7


# --- to the disk -------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch):
    """What was synced (its name) and renamed (the target's), in order."""
    seen = []
    fsync, replace = os.fsync, Path.replace

    def syncing(descriptor):
        seen.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def renaming(path, target):
        seen.append(("rename", Path(target).name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", renaming)
    return seen


def test_the_file_is_synced_before_the_rename_and_its_folder_after_it(tmp_path, calls):
    with atomic_path(tmp_path / "a") as unfinished:
        unfinished.write_text("x")
    assert calls == [("sync", unfinished.name), ("rename", "a"), ("sync", tmp_path.name)]


def test_a_folder_is_synced_with_all_that_it_holds(tmp_path, calls):
    with atomic_path(tmp_path / "set") as unfinished:
        (unfinished / "inner").mkdir(parents=True)
        (unfinished / "inner" / "a").write_text("1")
    assert calls == [
        ("sync", "a"),
        ("sync", "inner"),
        ("sync", unfinished.name),
        ("rename", "set"),
        ("sync", tmp_path.name),
    ]


def test_what_carries_a_checksum_need_not_be_synced(tmp_path, calls):
    with atomic_path(tmp_path / "a", sync=False) as unfinished:
        unfinished.write_text("x")
    assert calls == [("rename", "a")]


def test_where_folders_cannot_be_synced_files_are_written_all_the_same(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files.os, "open", refuse)  # as on Windows
    write_text(tmp_path / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


def test_a_disk_that_fails_while_syncing_is_not_passed_over(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_text(tmp_path / "a", "x")
    assert names(tmp_path) == []


# --- held open by another program --------------------------------------------------------------------------


def test_a_file_that_is_held_open_for_a_moment_is_replaced(tmp_path, held_open, waits):
    refused = held_open("a.gpkg", 3)
    write_text(tmp_path / "a.gpkg", "new")
    assert (tmp_path / "a.gpkg").read_text() == "new"
    assert len(refused) == len(waits) == 3


def test_a_file_that_stays_open_is_named(tmp_path, held_open, waits):
    held_open("a.gpkg", 1000)
    (tmp_path / "a.gpkg").write_text("old")
    with pytest.raises(JobInterrupted, match="another program probably holds it open") as caught:
        write_text(tmp_path / "a.gpkg", "new")
    assert str(tmp_path / "a.gpkg") in str(caught.value)
    assert 1 < sum(waits) < 5
    assert names(tmp_path) == ["a.gpkg"]
    assert (tmp_path / "a.gpkg").read_text() == "old"


def test_a_journal_that_stays_open_names_its_file(tmp_path, monkeypatch, waits):
    def refuse(path, missing_ok=False):
        raise PermissionError(13, "The process cannot access the file")

    (tmp_path / "new").write_text("new")
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(JobInterrupted, match=r"a\.gpkg cannot be replaced"):
        move(tmp_path / "new", tmp_path / "a.gpkg")


@pytest.mark.parametrize("number", [5, 32, 33])
def test_windows_numbers_count_where_python_has_no_class_for_them(tmp_path, monkeypatch, waits, number):
    def refuse(path, target):
        error = OSError(22, "The process cannot access the file")
        error.winerror = number
        raise error

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(JobInterrupted):
        write_text(tmp_path / "a", "new")


def test_other_failures_are_raised_at_once(tmp_path, waits):
    with pytest.raises(FileNotFoundError):
        move(tmp_path / "missing", tmp_path / "a")
    assert waits == []


@pytest.mark.parametrize("name", ["changes.gpkg", "change_probability.tif"])
def test_a_result_that_is_held_open_ends_the_job_with_3_and_the_same_command_resumes_it(
    tmp_path, held_open, waits, name
):
    sample = Path(__file__).parents[1] / "data" / "sample"
    command = ("detect", sample / "before.tif", sample / "after.tif", "--detector", "cva", "--quiet")
    command = (*command, "--out", tmp_path / "out")
    refused = held_open(name, 6)
    told = run_here(*command)
    assert (told.status, told.out, told.err.count("\n")) == (3, "", 1)
    assert str(tmp_path / "out" / name) in told.err
    assert "another program probably holds it open" in told.err
    assert len(refused) == 6
    assert run_here(*command).status == 0
    assert (tmp_path / "out" / name).exists()


# --- names -------------------------------------------------------------------------------------------------


def test_hashes_are_those_that_journals_hold_already():
    content = [1, ["a", None], {"b": 2.5, "a": "ü"}]
    assert hash_json(content) == sha256(json.dumps(content).encode()).hexdigest()[:16]
    assert hash_json({"b": 1, "a": 2}, sort_keys=True) == hash_json({"a": 2, "b": 1}, sort_keys=True)
    assert hash_json({"b": 1, "a": 2}) != hash_json({"a": 2, "b": 1})


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "/".join(path.parts[-2:]))
def test_no_other_module_names_unfinished_files_or_shortens_hashes(path):
    own = r"""\.part\b["'}]|os\.(replace|rename)\(|"-wal"|fsync\(|hexdigest\(\)\[:16\]"""
    found = re.findall(own, path.read_text(encoding="utf-8"))
    assert bool(found) == (path == Path(files.__file__)), "rsdetect.files is the home of that"
