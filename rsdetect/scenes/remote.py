"""Files on other machines: how long an answer is waited for, and when it is asked for again.

GDAL gives up a silent server by the settings below. Whether another try may help, the server itself is asked,
because GDAL's errors do not say: an address of HTTP gets a request for the first bytes, whose status,
`Retry-After` or silence decides. Other stores (S3, Google, Azure) are tried again as often.
"""

from __future__ import annotations

import functools
import http.client
import os
import random
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit
from xml.sax.saxutils import unescape

from rasterio.errors import RasterioIOError

from rsdetect.interruption import guard_from_outside
from rsdetect.scenes.failing_servers import FailingServers

T = TypeVar("T")

# GDAL reads these from the environment, that of pyogrio too. What the user has set there holds.
for _name, _value in {
    "GDAL_HTTP_CONNECTTIMEOUT": "10",  # s
    "GDAL_HTTP_LOW_SPEED_TIME": "10",  # s with less than
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",  # bytes/s
    "GDAL_HTTP_TIMEOUT": "100",  # s for one request
    "GDAL_HTTP_MAX_RETRY": "0",  # done here, where Retry-After is seen
}.items():
    os.environ.setdefault(_name, _value)

_NETWORK = re.compile(
    r"/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)(_streaming)?[/?]|(https?|ftp|s3|gs|az)://", re.I
)
_HTTP = re.compile(r"(/vsicurl/)?(?P<address>https?://.+)", re.I)
# Inside the XML of a VRT, as it is or as `gdal_name` spells it.
_WITHIN = re.compile(r"(?<=url=)https?%3A%2F%2F[^<&\s]+|https?://[^<\s\"']+", re.I)
_SPELLED = re.compile(r"(?<=url=)https?%3A%2F%2F[^<&\s]+", re.I)  # within a VRT, by `gdal_name`
_SIDECARS = (".msk", ".aux.xml")  # that change what is valid, or what is nodata
MAY_PASS = (408, 425, 429, 500, 502, 503, 504)  # statuses after which another try may succeed

_TRIES = 6
_PATIENCE_S = 45.0  # from the first failure; no try begins after it, and one may last as long again
_LONGEST_PAUSE_S = 30.0  # a server that asks for a longer one is not waited for
_SECONDS_TO_ANSWER = 10.0
_PAUSES_S = (0.2, 1.0)  # between requests for a sidecar
_JITTER = random.SystemRandom()  # a program that seeds `random` in each process would make all retry at once
_HEADER_BYTES = 16384  # that GDAL asks for first


@dataclass(frozen=True)
class _Answer:
    """Answer of a server to a request for the beginning of a file."""

    may_pass: str  # why another try may succeed; "" where nothing is wrong with the server
    pause_s: float = 0.0  # of its Retry-After


def is_remote(path: str) -> bool:
    """True for what GDAL reads over a network, also inside an archive or a VRT that is its own name."""
    return _NETWORK.search(path) is not None


def gdal_name(path: str) -> str:
    """Name under which GDAL opens a file without requesting its companions from the server.

    GDAL would request about forty names of metadata files. The two that decide which pixels are valid are
    requested here; if one of them exists, or GDAL_DISABLE_READDIR_ON_OPEN is set, the name stays.
    """
    if "<" in path:  # a VRT
        return _SPELLED.sub(lambda found: found[0] + _fragment(unquote(found[0])), path)
    found = _HTTP.fullmatch(path)
    if found is None:
        return path
    address = found["address"]
    if "GDAL_DISABLE_READDIR_ON_OPEN" in os.environ or _has_sidecars(address):
        return f"/vsicurl/{address}{unquote(_fragment(address))}"
    return f"/vsicurl?empty_dir=yes&url={quote(address, safe='')}{_fragment(address)}"


# Failures per address. GDAL remembers that an address could not be read; a fragment, which is not sent to the
# server, makes another address of it.
_failures: Counter[str] = Counter()
_failing = FailingServers()


def _fragment(address: str) -> str:
    failures = _failures[address]
    return f"%23{failures}" if failures and "#" not in address else ""


def forget(address: str) -> None:
    """Let GDAL read the file at an address again, and not what it has cached of it."""
    _failures[address] += 1
    _has_sidecars.cache_clear()


def addresses_in(path: str) -> list[str]:
    """Addresses of HTTP in a path, a name that GDAL opens, or the XML of a VRT; without fragments."""
    found = (unquote(each) if "://" not in each else unescape(each) for each in _WITHIN.findall(path))
    return [each.partition("#")[0] for each in found]


def patiently(path: str, read: Callable[[], T], errors: tuple[type[Exception], ...]) -> T:
    """What `read` gives; of a file on another machine it is tried again after errors that may pass.

    Parameters
    ----------
    path
        The file that is read. One of this machine is tried once.
    read
        Must open the file again where an earlier try had it open.
    errors
        What it may raise where the file cannot be read; the last of them is raised.

    Raises
    ------
    GoneAway
        The server went silent, or refuses for now.
    """
    if not is_remote(path):
        return read()
    guard_from_outside()
    server = _server(path)
    began = time.monotonic()
    sound = 0  # tries that failed although the server answers: the file itself may be no raster
    for number in count(1):
        try:
            return _failing.attempt(server, read)
        except errors as error:
            _failing.require_hope(server, began, error)
            _failures.update(set(addresses_in(path)))
            since = _failing.failed(server, began)
            answer = _ask(path)
            sound += not answer.may_pass
            # A server that is well again by now gets one try more, however late it is.
            tries = number if answer.may_pass else 1
            pause = max(answer.pause_s, 0.25 * 2**tries * _JITTER.uniform(1, 2))
            late = time.monotonic() - since + pause > _PATIENCE_S or pause > _LONGEST_PAUSE_S
            is_last = sound > 1 or _is_final(error)
            if answer.may_pass and (is_last or late or number >= _TRIES):
                _failing.give_up(server, answer.may_pass, error)
            if is_last:
                raise
            time.sleep(pause)
    raise AssertionError("every try returns or raises")


def require_hope(path: str) -> None:
    """Raise `GoneAway` where another thread has just given up the server of a file, which is open."""
    if is_remote(path):
        _failing.require_hope(_server(path), time.monotonic() - _PATIENCE_S)


def _server(path: str) -> str:
    """Host and port, or the whole path where there is no address of HTTP."""
    return next((urlsplit(each).netloc for each in addresses_in(path)), path)


def _is_final(error: Exception) -> bool:
    """Statuses that no second try changes: not there, not allowed."""
    text = f"{error} {error.__cause__ or ''}"
    return any(f"code: {status}" in text for status in (400, 401, 403, 404, 410))


@functools.lru_cache(maxsize=256)
def _has_sidecars(address: str) -> bool:
    parts = urlsplit(address)
    if parts.query:  # signed for one name
        return False
    names = [urlunsplit(parts._replace(path=parts.path + suffix)) for suffix in _SIDECARS]
    return any(_exists(name, address) for name in names)


def _exists(sidecar: str, address: str) -> bool:
    """True if the server has a sidecar of the file at an address, which decides what pixels are valid.

    Raises
    ------
    RasterioIOError
        The server does not answer now. One that answers for the file has no such sidecar.
    """
    status, _ = _status(sidecar, "HEAD")
    for pause in _PAUSES_S:
        if status is not None and status not in MAY_PASS:
            break
        time.sleep(pause)
        status, _ = _status(sidecar, "HEAD")
    if (status is None or status in MAY_PASS) and (reason := _ask(address).may_pass):
        raise RasterioIOError(f"{sidecar} cannot be requested: {reason}")
    return status == 200


def _ask(path: str) -> _Answer:
    addresses = addresses_in(path)
    if not addresses:
        return _Answer("")
    address = addresses[0]
    status, pause = _status(address, "GET")
    if status is None:
        return _Answer("its server does not answer")
    if status in MAY_PASS:
        asked = f" and asks to wait {pause:.0f} s" if pause > _LONGEST_PAUSE_S else ""
        return _Answer(f"its server answers with status {status}{asked}", pause)
    return _Answer("")


def _status(address: str, method: str) -> tuple[int | None, float]:
    """Status of a request for the first bytes, and the pause in s that is asked for.

    None = no answer, or none that comes to its end; 0 = the question could not be put as GDAL puts it
    (certificates, proxies).
    """
    try:
        request = request_of(address, method, last_byte=_HEADER_BYTES - 1)
        with urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER) as answer:  # noqa: S310
            return (int(answer.status) if method == "HEAD" or _begins(answer) else None), 0.0
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, _pause(error.headers.get("Retry-After", ""))
    except urllib.error.URLError as error:
        return (None if isinstance(error.reason, OSError) and not _is_tls(error.reason) else 0), 0.0
    except (OSError, http.client.HTTPException):
        return None, 0.0
    except ValueError:
        return 0, 0.0


def request_of(address: str, method: str, *, last_byte: int) -> urllib.request.Request:
    """Request for the first bytes of the file at an address, with the user and password of the address."""
    parts = urlsplit(address)
    headers = {"Range": f"bytes=0-{last_byte}", "User-Agent": "rsdetect"}
    if parts.username is not None:
        import base64

        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urllib.request.Request(urlunsplit(parts), headers=headers, method=method)  # noqa: S310


def _begins(answer: http.client.HTTPResponse) -> bool:
    """True when the first bytes come, all and in time."""
    latest = time.monotonic() + _SECONDS_TO_ANSWER
    length = answer.length if answer.length is not None else _HEADER_BYTES
    left = min(length, _HEADER_BYTES)
    while left > 0 and time.monotonic() < latest:
        part = answer.read1(left)
        if not part:  # all of a file without a length, or broken off
            return answer.length is None
        left -= len(part)
    return left <= 0


def _is_tls(reason: OSError) -> bool:
    import ssl

    return isinstance(reason, ssl.SSLError)


def _pause(text: str) -> float:
    """Seconds of a `Retry-After`, which gives them or a date."""
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, float(int(text)))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return 0.0
