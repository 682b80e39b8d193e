"""A STAC API on the loopback interface: rustac's server, and a door before it that can be shut."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pystac


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def item(scene, day, assets, *, cloud=None, box=(8.9, 47.8, 9.2, 47.9), collection="s2", **properties):
    """A STAC item with an asset a band; `assets` is {key: (address, common name or None)}."""
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    taken = datetime.fromisoformat(day).replace(tzinfo=UTC)
    made = pystac.Item(
        id=scene,
        geometry={"type": "Polygon", "coordinates": [ring]},
        bbox=list(box),
        datetime=taken,
        properties=properties | ({} if cloud is None else {"eo:cloud_cover": cloud}),
        collection=collection,
    )
    for key, (address, common_name) in assets.items():
        bands = [{"name": key, "common_name": common_name}] if common_name else None
        extra = {"eo:bands": bands} if bands else {}
        made.add_asset(key, pystac.Asset(str(address), extra_fields=extra))
    return made


class Door(ThreadingHTTPServer):
    """Proxy of a server that passes everything on; refuses the next `failures` requests with `status`."""

    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind, self.failures, self.status, self.requests = port, 0, 503, []
        self.retry_after = None  # in s, with a refusal
        self.fails_after = None  # so many more requests are answered, and none after them


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._pass_on(None)

    def do_POST(self):
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, body):
        door = self.server
        door.requests.append((self.command, self.path, body))
        if door.fails_after is not None:
            door.fails_after -= 1
        if door.failures > 0 or (door.fails_after is not None and door.fails_after < 0):
            door.failures -= 1
            self._answer(door.status, b"{}", "application/json")
            return
        connection = http.client.HTTPConnection("127.0.0.1", door.behind, timeout=10)
        headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        self._answer(answer.status, answer.read(), answer.getheader("Content-Type", ""))
        connection.close()

    def _answer(self, status, content, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == self.server.status and self.server.retry_after is not None:
            self.send_header("Retry-After", str(self.server.retry_after))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(server):
    """Let an HTTP server answer in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def stac_api(folder, items):
    """A STAC API that holds `items`; yields the door before it, whose address is `door.url`."""
    file = Path(folder) / "items.json"
    file.write_text(json.dumps(pystac.ItemCollection(items).to_dict()))
    port = free_port()
    with serving(Door(port)) as door:
        door.url = f"http://127.0.0.1:{door.server_port}"
        program = Path(sys.executable).with_name("rustac")
        command = [program, "serve", "-a", door.url, "-b", f"127.0.0.1:{port}", "--create-collections", file]
        with subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as api:
            try:
                _wait_for(port, api)
                yield door
            finally:
                api.terminate()
                api.communicate()


def _wait_for(port, process):
    latest = time.monotonic() + 30
    while time.monotonic() < latest:
        assert process.poll() is None, process.stdout.read()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the STAC server did not start")
