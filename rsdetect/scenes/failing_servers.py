"""Servers that fail: since when, and whether a thread has given one up, for all threads that read from it.

Several threads wait for the same server, some one after the other. Their patience is shared, or the last of
them would give up many times later than the first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

T = TypeVar("T")

_FORGOTTEN_S = 120.0  # after which a failure is no part of a new series


class GoneAway(Exception):
    """A server that does not answer, or only with transient errors; the text has no full stop."""


class FailingServers:
    """Failures by server, in s of the monotonic clock; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, float] = {}
        self._given_up: dict[str, tuple[float, str]] = {}
        self._thread = threading.local()

    def attempt(self, server: str, read: Callable[[], T]) -> T:
        """What `read` gives, which ends a series of failures and gives the server new hope.

        Not so an attempt within another one in the same thread, as to open a file that is read again.
        """
        is_outer = not getattr(self._thread, "attempts", False)
        self._thread.attempts = True
        try:
            found = read()
        finally:
            self._thread.attempts = not is_outer
        if is_outer and (self._since or self._given_up):
            with self._lock:
                self._since.pop(server, None)
                self._given_up.pop(server, None)
        return found

    def failed(self, server: str, began: float) -> float:
        """When the first of the server's failures in a row began; `began` is that of this one."""
        with self._lock:
            since = self._since.get(server, began)
            self._since[server] = since if began - since < _FORGOTTEN_S else began
            return self._since[server]

    def give_up(self, server: str, reason: str, error: Exception) -> NoReturn:
        """Raise `GoneAway`, here and in threads that wait for the server by now."""
        with self._lock:
            self._since.pop(server, None)
            self._given_up[server] = time.monotonic(), reason
        raise GoneAway(reason) from error

    def require_hope(self, server: str, began: float, error: Exception | None = None) -> None:
        """Raise `GoneAway` if the server has been given up since `began`, and has not answered since."""
        when, reason = self._given_up.get(server, (began, ""))
        if when > began:
            raise GoneAway(reason) from error
