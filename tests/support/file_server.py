"""A server of files on the loopback, with ranges, that can go down."""

from __future__ import annotations

import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DOWN = ".down"  # a file of this name in the folder takes the server down


class Server(ThreadingHTTPServer):
    """Serves the files of a folder; refuses everything while it is down."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Ranges)
        self.folder = Path(folder)

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
        is_down = (server.folder / DOWN).exists()
        if is_down or not path.is_file():
            self.send_response(503 if is_down else 404)
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


class ServerApart:
    """A server in a process of its own, as a context manager.

    rasterio holds the interpreter lock while GDAL waits for some answers; a server that needs this lock
    would wait for its own client.
    """

    def __init__(self, folder):
        self._down = Path(folder) / DOWN
        command = [sys.executable, __file__, str(folder)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.place = self._process.stdout.readline().strip()

    @property
    def is_down(self):
        return self._down.exists()

    @is_down.setter
    def is_down(self, down):
        self._down.touch() if down else self._down.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


if __name__ == "__main__":
    served = Server(sys.argv[1])
    print(served.place, flush=True)
    served.serve_forever()
