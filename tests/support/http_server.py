"""HTTP servers in a thread of the tests, of which nothing is left when they have ended."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer


class EndingServer(ThreadingHTTPServer):
    """Server on the loopback whose threads have ended when it is closed, with their connections.

    A thread that is left would print the traceback of its broken connection into a later test.
    """

    daemon_threads = False  # joined by `server_close`

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.over = threading.Event()  # set when the server closes, for handlers that wait
        self._open = set()

    def process_request(self, request, client_address):
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), OSError):  # a client that has gone is none of ours
            super().handle_error(request, client_address)

    def server_close(self):
        self.over.set()
        for request in list(self._open):  # a client may keep its connection for the next request
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        super().server_close()


@contextmanager
def serving(server):
    """Let an HTTP server answer in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def refusing_port():
    """A port without a listener, which no other process can take meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]
