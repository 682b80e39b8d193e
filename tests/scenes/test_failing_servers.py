"""Threads that read from one server share their patience with it."""

import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from rasterio.errors import RasterioIOError

from rsdetect.scenes import remote
from rsdetect.scenes.failing_servers import FailingServers, GoneAway
from rsdetect.scenes.handles import read_patiently

PATH = "http://127.0.0.1:9/a.tif"


@pytest.fixture
def silent(monkeypatch):
    """A server that never answers; gives the names of threads that have tried to read from it."""
    tried = []
    monkeypatch.setattr(remote, "_failing", FailingServers())
    monkeypatch.setattr(remote, "_failures", Counter())
    monkeypatch.setattr(remote, "_ask", lambda _: remote._Answer("its server does not answer"))
    monkeypatch.setattr(remote, "_TRIES", 2)
    monkeypatch.setattr(remote, "_JITTER", SimpleNamespace(uniform=lambda *_: 0))  # no pause
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


def test_a_server_that_is_well_again_at_the_end_of_the_patience_is_read_from_once_more(silent, monkeypatch):
    answers = iter([remote._Answer("its server answers with status 503"), remote._Answer("")])
    outcomes = iter([OSError("status 503"), OSError("status 503"), 7])

    def read():
        found = next(outcomes)
        if isinstance(found, OSError):
            raise found
        return found

    def ask(_):
        answer = next(answers)
        if not answer.may_pass:
            monkeypatch.setattr(remote, "_PATIENCE_S", -1.0)
        return answer

    monkeypatch.setattr(remote, "_ask", ask)
    assert remote.patiently(PATH, read, (OSError,)) == 7


def test_what_fails_although_its_server_answers_is_tried_twice(silent, monkeypatch):
    monkeypatch.setattr(remote, "_ask", lambda _: remote._Answer(""))
    monkeypatch.setattr(remote, "_PATIENCE_S", -1.0)
    with pytest.raises(ZeroDivisionError):
        remote.patiently(PATH, lambda: silent.append(1) or 1 / 0, (ZeroDivisionError,))
    assert len(silent) == 2


@pytest.fixture
def statuses(silent, monkeypatch):
    """What the server answers for the sidecars, one after the other; and then 404."""
    left = []
    monkeypatch.setattr(remote, "_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(remote, "_status", lambda *_: (left.pop(0) if left else 404, 0.0))
    monkeypatch.delenv("GDAL_DISABLE_READDIR_ON_OPEN", raising=False)
    remote._has_sidecars.cache_clear()
    yield left
    remote._has_sidecars.cache_clear()


@pytest.mark.parametrize("lost", [[503], [None], [429, None], [404, 500]])
def test_a_mask_is_found_although_the_first_answers_for_it_are_lost(statuses, lost):
    statuses += [*lost, 200]
    assert remote.gdal_name(PATH) == f"/vsicurl/{PATH}"


def test_a_server_that_goes_silent_is_not_taken_to_have_no_mask(statuses, silent, monkeypatch):
    statuses += [503] * 3
    with pytest.raises(RasterioIOError, match=r"a\.tif\.msk cannot be requested: its server does not answer"):
        remote.gdal_name(PATH)
    statuses += [200]
    assert remote.gdal_name(PATH) == f"/vsicurl/{PATH}", "the failure was not kept"


def test_a_server_that_fails_for_names_it_lacks_alone_has_no_mask(statuses, monkeypatch):
    monkeypatch.setattr(remote, "_ask", lambda _: remote._Answer(""))
    statuses += [500] * 6
    assert remote.gdal_name(PATH).startswith("/vsicurl?empty_dir=yes&url=")


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
