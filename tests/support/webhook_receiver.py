"""A webhook on this machine that keeps what it gets, and answers as it is asked to."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

from support.http_server import EndingServer


class Receiver(EndingServer):
    def __init__(self):
        super().__init__(_Receiving)
        self.answers, self.got = [], []  # statuses to answer with, 200 after the last
        self.is_silent = False  # until `over` is set

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hooks/key-in-the-path"


class _Receiving(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        if self.server.is_silent:
            self.server.over.wait()
            return
        self.send_response(self.server.answers.pop(0) if self.server.answers else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def joined_questions():
    """Wait at the end for the threads of questions that were given up: what they wait for must be over."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name == "ask":
            thread.join()
