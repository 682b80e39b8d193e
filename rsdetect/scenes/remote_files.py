"""Watched files on servers: ETag, length and time of modification, as their server states them."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from rsdetect.errors import SourceUnavailable
from rsdetect.scenes.remote import MAY_PASS, forget, request_of

_SECONDS_TO_ANSWER = 5.0
_PAUSES_S = (0.5, 2.0)  # between tries
_GONE = (404, 410)


@dataclass(frozen=True)
class RemoteFile:
    """State of a file on a server when its header was read, to detect a change."""

    path: str  # address
    length: str  # bytes; "" = not stated, as for the others
    etag: str
    modified: str

    @classmethod
    def of(cls, address: str) -> RemoteFile | None:
        """The current state of the file; None if its server does not state one now."""
        found = _ask(address)
        if not isinstance(found, cls):
            return None
        if _last_known.setdefault(address, found) != found:
            forget(address)  # GDAL has cached parts of the earlier file
            _last_known[address] = found
        return found

    def difference(self) -> str:
        """Difference from the current state of the file, as text; empty if there is none.

        A server that refuses the request gives no difference: a signature may have expired.

        Raises
        ------
        SourceUnavailable
            The server does not answer now, so that a change would not be noticed.
        """
        now: RemoteFile | int | None = None
        for pause in (*_PAUSES_S, 0.0):
            now = _ask(self.path)
            if now is not None and now not in MAY_PASS:
                break
            time.sleep(pause)
        if isinstance(now, RemoteFile):
            return self._difference_from(now)
        if now in _GONE:
            return "it is gone"
        if now is None or now in MAY_PASS:
            raise SourceUnavailable(
                f"{self.path} cannot be compared with what was read: its server does not answer; once it "
                "does, the same command resumes from here."
            )
        return ""

    def _difference_from(self, now: RemoteFile) -> str:
        if self == now:
            return ""
        forget(self.path)
        if self.length != now.length:
            return f"{self.length or 'unknown'} bytes before, {now.length or 'unknown'} now"
        return "its server states another " + ("ETag" if self.etag != now.etag else "time of modification")


# By address: a file of another state is read under another name, since GDAL caches what it has read.
_last_known: dict[str, RemoteFile] = {}


def _ask(address: str) -> RemoteFile | int | None:
    """State of a file on a server; else the status of the answer, or None without an answer."""
    try:
        with urllib.request.urlopen(  # noqa: S310
            request_of(address, "GET", last_byte=0), timeout=_SECONDS_TO_ANSWER
        ) as answer:
            return _state(address, answer)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, TimeoutError | ConnectionError) else 0
    except (OSError, http.client.HTTPException):
        return None
    except ValueError:
        return 0


def _state(address: str, answer: http.client.HTTPResponse) -> RemoteFile:
    total = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    length = total[1] if total else answer.headers.get("Content-Length", "") if answer.status == 200 else ""
    return RemoteFile(
        address, length, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
    )
