"""HTTP retries: how often and after which statuses requests are repeated, to catalogues and webhooks."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rsdetect.errors import JobInterrupted

if TYPE_CHECKING:  # of the extra `monitor`
    from urllib3 import BaseHTTPResponse, Retry

TRANSIENT_STATUSES = (429, 500, 502, 503, 504)  # statuses after which a retry may succeed
_RETRIES = 4
_BACKOFF_S = 0.5  # before the second retry; doubled with each
_LONGEST_PAUSE_S = 30.0  # a server that asks for a longer one is not waited for
_MOST_S = 110.0  # for one question with all its retries
_JITTER = random.SystemRandom()  # a program that seeds `random` in each process would make all retry at once

T = TypeVar("T")


class _Question(threading.Thread):
    """The thread in which a server is asked; once it is given up, nothing is sent again."""

    is_given_up = False


def http_retries(*, redirects: int | None = None) -> Retry:
    """Retries of HTTP requests of any method; `Retry-After` is respected, the last response returned.

    A request of a question that `in_time` has given up is not repeated.

    Parameters
    ----------
    redirects
        Maximum number of redirects; None = the number of retries.
    """
    from urllib3 import Retry
    from urllib3.exceptions import MaxRetryError, ResponseError

    class Bounded(Retry):
        def increment(self, *arguments: Any, **keywords: Any) -> Bounded:
            answer = keywords.get("response")
            if answer is not None and (self.get_retry_after(answer) or 0) > _LONGEST_PAUSE_S:
                raise MaxRetryError(keywords.get("_pool"), "", ResponseError("asks to wait for long"))  # type: ignore[arg-type]
            return super().increment(*arguments, **keywords)

        def sleep(self, response: BaseHTTPResponse | None = None) -> None:
            super().sleep(response)
            if getattr(threading.current_thread(), "is_given_up", False):
                raise MaxRetryError(None, "", ResponseError("given up"))  # type: ignore[arg-type]

    return Bounded(
        total=_RETRIES,
        backoff_factor=_BACKOFF_S * _JITTER.uniform(1, 2),
        status_forcelist=TRANSIENT_STATUSES,
        allowed_methods=None,
        redirect=redirects,
        raise_on_status=False,
    )


def in_time(ask: Callable[[], T]) -> T:
    """What `ask` gives, or `JobInterrupted` where a server sends so slowly that it does not end.

    The time-outs of the libraries count from one byte to the next.
    """
    given: list[T] = []
    failed: list[BaseException] = []

    def asking() -> None:
        try:
            given.append(ask())
        except BaseException as error:
            failed.append(error)

    question = _Question(target=asking, name="ask", daemon=True)
    question.start()
    question.join(_MOST_S)
    question.is_given_up = question.is_alive()
    if failed:
        raise failed[0]
    if not given:
        raise JobInterrupted(f"a server has not answered to its end within {_MOST_S:.0f} s; try again later.")
    return given[0]
