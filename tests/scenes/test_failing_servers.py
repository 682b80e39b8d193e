"""Threads that read from one server share their patience with it."""

import threading

import pytest

from rsdetect.scenes import remote
from rsdetect.scenes.failing_servers import FailingServers, GoneAway
from rsdetect.scenes.handles import read_patiently

PATH = "http://127.0.0.1:9/a.tif"


@pytest.fixture
def silent(monkeypatch):
    """A server that never answers; gives the names of threads that have tried to read from it."""
    tried = []
    monkeypatch.setattr(remote, "_failing", FailingServers())
    monkeypatch.setattr(remote, "_ask", lambda _: remote._Answer("its server does not answer"))
    monkeypatch.setattr(remote, "_TRIES", 2)
    monkeypatch.setattr(remote.random, "random", lambda: -1)  # no pause
    return tried


def test_threads_that_wait_for_each_other_do_not_try_again_what_one_has_given_up(silent):
    lock = threading.Lock()

    def read():
        silent.append(threading.current_thread().name)
        raise OSError("no answer")

    def reading():
        with lock, pytest.raises(GoneAway, match="does not answer"):
            read_patiently(PATH, "key", read, (OSError,))

    threads = [threading.Thread(target=reading) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(silent) == 2


def test_a_file_that_can_be_opened_gives_its_server_new_hope(silent):
    with pytest.raises(GoneAway):
        remote.patiently(PATH, lambda: 1 / 0, (ZeroDivisionError,))
    with pytest.raises(GoneAway):
        remote.require_hope(PATH)
    assert remote.patiently(PATH, lambda: 7, (OSError,)) == 7
    remote.require_hope(PATH)


def test_opening_within_a_read_that_fails_ends_no_series():
    failing = FailingServers()

    def read():
        failing.attempt("host", lambda: None)
        raise OSError("broken")

    began = [failing.failed("host", 10.0)]
    with pytest.raises(OSError, match="broken"):
        failing.attempt("host", read)
    began.append(failing.failed("host", 40.0))
    failing.attempt("host", lambda: None)
    began.append(failing.failed("host", 50.0))
    assert began == [10.0, 10.0, 50.0]
