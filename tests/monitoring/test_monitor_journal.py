"""The journal: what is written comes back, a reader changes nothing, half a transaction is none."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from rsdetect.errors import JobInterrupted, OutputError
from rsdetect.ingestion.scene_row import SceneRow
from rsdetect.monitoring import journal_file
from rsdetect.monitoring.journal import Journal

TAKEN = datetime(2024, 5, 3, 10, 20, 30, 123456, tzinfo=UTC)
SCENE = SceneRow("a", TAKEN, "f1", "usable", "", {"path": "a.tif", "valid_share": 0.5}, 0, True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


@pytest.mark.parametrize("which", ["the journal", "the file of its transaction"])
def test_a_disk_without_room_for_another_file_interrupts(path, monkeypatch, which):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if which == "the journal":
        monkeypatch.setattr("pathlib.Path.touch", full)
    else:
        (path.parent / "journal.sqlite-journal").mkdir()  # SQLite cannot make a file of this name
    with pytest.raises(JobInterrupted, match=r"journal\.sqlite cannot be written"):
        Journal(path, write=True).__enter__()


def test_what_is_written_comes_back(path):
    with Journal(path, write=True) as journal:
        journal.put_fact("site", {"height": 3})
        journal.put_scene(SCENE)
        journal.put_baseline("r1", {"key": "k"})
        journal.begin_step("s1", "a", TAKEN, "b")
        journal.end_step("s1", {"level": 50}, [(b"one", 2.5, 0.75), (b"two", None, 0.5)])
        journal.put_recheck("l1", {"observed": 1.0}, b"shape")
        number = journal.begin_run()
        journal.end_run(number, 3, {"failed": ["a"]})
    with Journal(path, write=False) as journal:
        assert journal.fact("site") == {"height": 3}
        assert journal.fact("none") is None
        assert journal.scenes() == [SCENE]
        assert (journal.baseline("r1"), journal.baseline("r2")) == ({"key": "k"}, None)
        step = journal.steps()["s1"]
        assert (step.state, step.taken, step.content, step.attempts) == ("done", TAKEN, {"level": 50}, 0)
        assert journal.regions("s1") == [(b"one", 2.5, 0.75), (b"two", None, 0.5)]
        assert (journal.recheck("l1"), journal.recheck("l2")) == (({"observed": 1.0}, b"shape"), None)
        last = journal.last_run()
        assert (last["number"], last["status"], last["content"]) == (1, 3, {"failed": ["a"]})


def test_a_step_counts_its_failures_until_it_is_done(path):
    with Journal(path, write=True) as journal:
        for tries in (1, 2):
            journal.begin_step("s1", "a", TAKEN, "b")
            journal.fail_step("s1", "the disk is full")
            assert journal.steps()["s1"].attempts == tries
        journal.begin_step("s1", "a", TAKEN, "b")
        assert (journal.steps()["s1"].state, journal.steps()["s1"].reason) == ("begun", "")
        journal.end_step("s1", {}, [(b"x", 1.0, 1.0)])
        journal.end_step("s1", {}, [])
        assert journal.regions("s1") == []


def test_scenes_come_by_date_and_know_whether_they_are_listed(path):
    with Journal(path, write=True) as journal:
        for name, year in (("late", 2025), ("early", 2023)):
            taken = TAKEN.replace(year=year)
            journal.put_scene(SceneRow(name, taken, "f", "clouded", "why", {}, 1, True))
        journal.set_listed(["late"])
        assert [(row.id, row.listed) for row in journal.scenes()] == [("early", False), ("late", True)]


def test_a_reader_changes_nothing_and_makes_nothing(path):
    with pytest.raises(OutputError):
        Journal(path, write=False)
    assert not path.exists()
    with Journal(path, write=True):
        pass
    kept = path.read_bytes()
    with Journal(path, write=False) as journal, pytest.raises(JobInterrupted, match="readonly"), journal:
        journal.put_fact("site", 1)
    assert path.read_bytes() == kept


def test_a_transaction_that_was_killed_never_was(path):
    with Journal(path, write=True) as journal:
        journal.put_fact("site", "before")
    # A cache of one page, so that the half-written transaction is in the file when the process dies.
    script = (
        "import os, signal, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1])\n"
        "db.execute('PRAGMA cache_size = 1'); db.execute('PRAGMA cache_spill = 1')\n"
        "db.execute('BEGIN'); db.execute(\"UPDATE facts SET value = '\\\"after\\\"'\")\n"
        "db.executemany('INSERT INTO facts VALUES (?, ?)', [(f'n{i}', '1' * 3000) for i in range(200)])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert os.path.getsize(f"{path}-journal") > 0  # noqa: PTH202
    with Journal(path, write=False) as journal:  # `status` may come first
        assert journal.fact("site") == "before"
        assert journal.fact("n1") is None


def test_a_run_that_was_killed_before_the_first_word_left_an_empty_file(path):
    path.touch()
    with Journal(path, write=False) as journal:  # `status` and `serve` read it as that of no run
        assert (journal.scenes(), journal.steps(), journal.last_run(), journal.fact("site")) == (
            [],
            {},
            None,
            None,
        )
    assert path.read_bytes() == b""
    with Journal(path, write=True) as journal:
        assert journal.scenes() == []


def test_a_journal_is_read_while_its_first_run_creates_it(path, monkeypatch):
    connect, read = journal_file.sqlite3.connect, []

    def reading(*arguments, **keywords):
        """Read the journal between any two statements of the run that creates it."""
        database = connect(*arguments, **keywords)
        if "mode=rwc" in arguments[0]:
            database.set_trace_callback(lambda _: read.append(last_run(path)))
        return database

    def last_run(path):
        with Journal(path, write=False) as journal:
            return journal.last_run()

    monkeypatch.setattr(journal_file.sqlite3, "connect", reading)
    with Journal(path, write=True) as journal:
        journal.begin_run()
        assert journal.last_run()["number"] == 1
    # A callback that raises is silent, and has read nothing.
    assert len(read) > 10 and read[0] is None and last_run(path)["number"] == 1


def test_a_database_of_somebody_else_is_refused(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (x)")
        database.execute("PRAGMA user_version = 1")
    database.close()
    kept = path.read_bytes()
    with pytest.raises(OutputError, match="is not a journal"):
        Journal(path, write=True)
    assert path.read_bytes() == kept


def test_a_step_is_found_by_its_very_key(path):
    with Journal(path, write=True) as journal:
        for key in ("a%", "ab", "a_"):
            journal.begin_step(key, key, TAKEN, "b")
        assert set(journal.steps("a%")) == {"a%"}
        assert set(journal.steps("a_")) == {"a_"}
        assert journal.steps("%") == {}
        assert journal.steps("AB") == {}
        assert set(journal.steps()) == {"a%", "ab", "a_"}
