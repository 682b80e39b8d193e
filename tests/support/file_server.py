"""A server of files on the loopback, with ranges, that can go down."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Server(ThreadingHTTPServer):
    """Serves the files of a folder; refuses everything once `is_down`."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Ranges)
        self.folder, self.is_down, self.bytes_sent, self.down_after = Path(folder), False, 0, None

    @property
    def place(self):
        return f"127.0.0.1:{self.server_port}"


class Ranges(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(send=False)

    def do_GET(self):
        self._answer(send=True)

    def _answer(self, send):
        server = self.server
        path = server.folder / self.path.split("?")[0].lstrip("/")
        if server.down_after is not None and server.bytes_sent > server.down_after:
            server.is_down = True
        if server.is_down or not path.is_file():
            self.send_response(503 if server.is_down else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        first, last = 0, len(content) - 1
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        if send:
            self.wfile.write(content[first : last + 1])
            server.bytes_sent += last - first + 1
