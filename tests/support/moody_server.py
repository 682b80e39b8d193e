"""A server of files on the loopback that misbehaves, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

SILENT = ("silent", "silent in the middle", "drips")  # that GDAL gives up
WHOLE = ("well", "no ranges", "slow", "redirects", "no length")  # from which a scene can be read
REFUSING = ("403", "404", "410")
FAILING = ("429", "500", "502", "503", "504", "drops", "closes", "garbage")


class _Moody(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer(send=False)

    def do_GET(self):
        self._answer(send=True)

    def _answer(self, send):
        server = self.server
        with server.lock:
            server.asked += 1
            number = server.asked
            sys.stdout.write(f"{time.monotonic_ns()} {self.command} {self.path}\n")
            sys.stdout.flush()
        is_bad = server.first <= number <= server.last
        mood = server.mood if is_bad else "well"
        path = server.folder / self.path.split("?")[0].lstrip("/")
        if mood == "silent":
            time.sleep(3600)
        if mood == "closes":
            self.close_connection = True
            self.connection.close()
            return
        if mood == "garbage":
            self.wfile.write(b"this is no HTTP\r\n" * 99)
            self.close_connection = True
            return
        if mood == "slow":
            time.sleep(0.2)
        if mood == "redirects" and not self.path.endswith("?moved"):
            self._refuse(302, Location=f"{self.path}?moved")
            return
        if mood.isdigit() or not path.is_file():
            self._refuse(int(mood) if mood.isdigit() else 404, **server.headers)
            return
        self._send(path.read_bytes(), mood, send)

    def _refuse(self, status, **headers):
        self.send_response(status)
        for name, value in ({"Content_Length": "0"} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _send(self, content, mood, send):
        asked = (
            None
            if mood == "no ranges"
            else re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        )
        first, last = 0, len(content) - 1
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or last), last)
        body = content[first : last + 1]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        if mood == "no length":
            self.close_connection = True
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if not send:
            return
        half = len(body) // 2
        if mood in ("drops", "silent in the middle"):
            self.wfile.write(body[:half])
            self.wfile.flush()
            time.sleep(3600 if mood.startswith("silent") else 0)
            self.close_connection = True
            self.connection.close()
            return
        if mood == "drips":
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.2)
        self.wfile.write(body)


class MoodyServer:
    """Serves a folder; requests number `first` to `last` (1 = the first) meet the mood. A context manager."""

    def __init__(self, folder, mood, first=1, last=10**9, **headers):
        told = [f"{name}={value}" for name, value in headers.items()]
        command = [sys.executable, __file__, str(folder), mood, str(first), str(last), *told]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.place = self._process.stdout.readline().strip()

    def address(self, name):
        return f"http://{self.place}/{name}"

    def __enter__(self):
        return self

    def wait_for_request(self, number):
        """Return when as many requests have come."""
        for _ in range(number):
            self._process.stdout.readline()

    def requests(self):
        """(time in ns, method, path) of every request, once all is over."""
        self._process.kill()
        lines = self._process.stdout.read().splitlines()
        return [(int(when), method, path) for when, method, path in map(str.split, lines)]

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


if __name__ == "__main__":
    served = ThreadingHTTPServer(("127.0.0.1", 0), _Moody)
    served.daemon_threads = True
    served.folder, served.mood = Path(sys.argv[1]), sys.argv[2]
    served.first, served.last = int(sys.argv[3]), int(sys.argv[4])
    served.headers = dict(each.split("=") for each in sys.argv[5:])
    served.asked, served.lock = 0, Lock()
    print(f"127.0.0.1:{served.server_port}", flush=True)
    served.serve_forever()
