"""A STAC API on the loopback interface: rustac's server, and a door before it that can be shut."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import psutil
import pystac

from support.http_server import EndingServer, serving


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


class Door(EndingServer):
    """Proxy of a server that passes everything on; refuses the next `failures` requests with `status`."""

    def __init__(self):
        super().__init__(_Passing)
        self.behind = None  # port of the server
        self.failures, self.status, self.requests = 0, 503, []
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
        headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
        with closing(http.client.HTTPConnection("127.0.0.1", door.behind)) as connection:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self._answer(answer.status, answer.read(), answer.getheader("Content-Type", ""))

    def _answer(self, status, content, kind):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == self.server.status and self.server.retry_after is not None:
            self.send_header("Retry-After", str(self.server.retry_after))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def stac_api(folder, items):
    """A STAC API that holds `items`; yields the door before it, whose address is `door.url`."""
    file = Path(folder) / "items.json"
    file.write_text(json.dumps(pystac.ItemCollection(items).to_dict()))
    with serving(Door()) as door, tempfile.TemporaryFile() as log:
        door.url = f"http://127.0.0.1:{door.server_port}"
        program = Path(sys.executable).with_name("rustac")
        command = [program, "serve", "-a", door.url, "-b", "127.0.0.1:0", "--create-collections", file]
        with subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT) as api:
            try:
                door.behind = _port_of(api, log)
                yield door
            finally:
                api.terminate()


def _port_of(process, log):
    """The port that a process listens at, once it does; the system chose it, and no other process has it."""
    while True:
        if process.poll() is not None:
            log.seek(0)
            raise AssertionError(log.read().decode())
        for connection in psutil.Process(process.pid).net_connections():
            if connection.status == psutil.CONN_LISTEN:
                return connection.laddr.port
        time.sleep(0.05)
