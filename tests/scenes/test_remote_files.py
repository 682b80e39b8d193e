"""Scenes on servers that change during a job: ETag and length are compared at openings and the end."""

from __future__ import annotations

import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import rsdetect
from rsdetect.errors import SourceChanged, SourceUnavailable
from rsdetect.jobs.record import fingerprint
from rsdetect.scenes import remote_files
from rsdetect.scenes.remote import addresses_in, gdal_name
from rsdetect.scenes.remote_files import RemoteFile
from rsdetect.scenes.watched import require_unchanged, watch
from support.scenes import random_scene, write_scene


class _Stating(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        status, headers = (
            self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(remote_files, "_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(remote_files, "_SECONDS_TO_ANSWER", 60.0)  # every request is answered
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stating) as served:
        served.answers = []
        served.address = f"http://127.0.0.1:{served.server_port}/a.tif?sig=secret"
        threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield served
        served.shutdown()


def state(length=100, status=206, **more):
    ranges = {"Content-Range": f"bytes 0-0/{length}"} if status == 206 else {"Content-Length": str(length)}
    return status, ranges | {name.replace("_", "-"): value for name, value in more.items()}


FIRST = state(ETag='"a"', Last_Modified="Sat, 28 Nov 2026 10:00:00 GMT")


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (state(101, ETag='"a"'), "100 bytes before, 101 now"),
        (state(ETag='"b"', Last_Modified="Sat, 28 Nov 2026 10:00:00 GMT"), "another ETag"),
        (state(ETag='"a"', Last_Modified="Sat, 28 Nov 2026 11:00:00 GMT"), "another time of modification"),
        ((404, {}), "it is gone"),
        ((410, {}), "it is gone"),
    ],
)
def test_another_state_is_a_change_and_names_no_secret(server, later, reason):
    server.answers = [FIRST]
    watched = watch([server.address])
    server.answers = [later]
    with pytest.raises(SourceChanged, match=reason) as raised:
        require_unchanged(watched)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("later", [FIRST, (403, {})])  # a signature may have expired
def test_the_same_state_and_a_refusal_are_no_change(server, later):
    server.answers = [FIRST]
    watched = watch([server.address])
    server.answers = [later]
    require_unchanged(watched)


def test_one_bad_answer_is_asked_again_and_many_interrupt(server):
    server.answers = [FIRST]
    watched = watch([server.address])
    server.answers = [(503, {}), (429, {}), FIRST]
    require_unchanged(watched)
    server.answers = [(503, {})]
    with pytest.raises(SourceUnavailable, match="does not answer"):
        require_unchanged(watched)


def test_a_server_that_states_nothing_is_not_watched(server):
    server.answers = [(503, {})]
    assert watch([server.address]) == ()
    server.answers = [state(status=200)]
    assert [each.length for each in watch([server.address])] == ["100"]


def test_what_gdal_cached_of_an_earlier_file_is_not_read_for_the_later_one(server):
    server.answers = [FIRST]
    RemoteFile.of(server.address)
    before = gdal_name(server.address)
    RemoteFile.of(server.address)
    assert gdal_name(server.address) == before
    server.answers = [state(ETag='"b"')]
    RemoteFile.of(server.address)
    assert gdal_name(server.address) != before


def test_addresses_are_found_in_names_of_gdal_and_in_vrts():
    address = "http://host/a b.tif?x=1&y=2"
    name = "/vsicurl?empty_dir=yes&url=http%3A%2F%2Fhost%2Fa%20b.tif%3Fx%3D1%26y%3D2"
    assert addresses_in(name) == [address] == addresses_in(f"{name}%231")
    assert addresses_in("/vsicurl/http://host/a.tif#2") == ["http://host/a.tif"]
    assert addresses_in("/data/a.tif") == []


def test_the_fingerprint_of_a_job_has_the_state_of_its_files_on_servers(tmp_path):
    pair = rsdetect.open_pair(*(write_scene(tmp_path / f"{i}.tif", random_scene(i)) for i in range(2)))

    def of(etag):
        served = RemoteFile("http://host/0.tif?sig=1", "100", etag, "")
        return fingerprint({}, replace(pair, before=replace(pair.before, watched=(served,))), {}, None)

    assert of("a") == of("a") != of("b")
