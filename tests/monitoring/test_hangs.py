"""Catalogues with cycles, hooks that leave processes, and webhooks without an end hang no job."""

import itertools
import json
import os
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from rsdetect.monitoring.hooks import HookFailed, call_hook
from rsdetect.monitoring.job import CommandHook, NewsSection, WebhookHook
from support.http_server import EndingServer, serving
from support.stac_server import item
from support.webhook_receiver import joined_questions

pytest.importorskip("pystac_client")
from rsdetect.feeds.stac_client import StacCatalogue, _once

NEWS = {"files": {"report": "r.html", "events": "e.gpkg"}, "site": "s", "news_id": "1"}


def catalogue(path, **links):
    """A static catalogue that links the named files."""
    found = [{"rel": rel, "href": f"./{name}"} for rel, names in links.items() for name in names]
    content = {
        "type": "Catalog",
        "id": path.stem,
        "description": "x",
        "stac_version": "1.0.0",
        "links": found,
    }
    path.write_text(json.dumps(content))


def test_a_static_catalogue_with_cycles_gives_each_item_once(tmp_path):
    catalogue(tmp_path / "catalog.json", child=["a.json", "catalog.json"], item=["i.json"])
    catalogue(tmp_path / "a.json", child=["b.json", "a.json"], item=["i.json", "j.json"])
    catalogue(tmp_path / "b.json", child=["a.json", "catalog.json"], item=["j.json"])
    for name in "ij":
        made = item(name, "2024-05-03", {"B04": ("a.tif", "red")}).to_dict(include_self_link=False)
        (tmp_path / f"{name}.json").write_text(json.dumps(made))
    found = StacCatalogue(str(tmp_path / "catalog.json")).items([], None, (None, None))
    assert sorted(each.id for each in found) == ["i", "j"]


def test_a_search_whose_pages_are_a_cycle_ends():
    pages = [item(str(number), "2024-05-03", {}) for number in range(150)]
    assert [each.id for each in _once(itertools.cycle(pages))] == [each.id for each in pages]


def call(hook, folder):
    (folder / "summary.json").write_text("{}")
    call_hook(NewsSection(hook=hook), folder / "summary.json", NEWS, folder)


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_command_that_leaves_a_process_is_not_waited_for(tmp_path):
    call(CommandHook(kind="command", command=["sh", "-c", "sleep 3600 & echo $! > pid"]), tmp_path)
    child = int((tmp_path / "pid").read_text())
    assert is_running(child)  # it may be wanted
    os.kill(child, 9)


def test_a_command_that_does_not_end_is_killed_with_its_processes(tmp_path, monkeypatch):
    hook = CommandHook(kind="command", command=["sh", "-c", "sleep 3600 & echo $! > pid; wait"])
    for seconds in (1, 10, 100):  # a busy machine may not start the command within the first
        monkeypatch.setattr("rsdetect.monitoring.hooks._COMMAND_S", float(seconds))
        with pytest.raises(HookFailed, match=f"did not finish within {seconds} s"):
            call(hook, tmp_path)
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
    child = int((tmp_path / "pid").read_text())
    while is_running(child):  # without an end, the suite's time-out
        time.sleep(0.01)


class _Dripping(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        self.server.posts += 1
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.server.over.wait(0.05):
            self.wfile.write(b"x")


def test_a_webhook_whose_answer_has_no_end_is_given_up_and_not_sent_again(tmp_path, monkeypatch):
    monkeypatch.setattr("rsdetect.feeds.retries._MOST_S", 1.0)
    monkeypatch.setattr("rsdetect.feeds.retries._BACKOFF_S", 0.01)
    server = EndingServer(_Dripping)
    server.posts = 0
    with serving(server), joined_questions():
        hook = WebhookHook(kind="webhook", url=f"http://127.0.0.1:{server.server_port}/key")
        with pytest.raises(HookFailed, match="does not answer to the end"):
            call(hook, tmp_path)
        server.over.set()  # the answer breaks off, after which a request is repeated in general
    assert server.posts == 1
