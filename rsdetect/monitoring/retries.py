"""HTTP retries: how often and after which statuses requests are repeated, to catalogues and webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # of the extra `monitor`
    from urllib3 import Retry

TRANSIENT_STATUSES = (429, 500, 502, 503, 504)  # statuses after which a retry may succeed
_RETRIES = 4
_BACKOFF_S = 0.5  # before the second retry; doubled after each


def http_retries(*, redirects: int | None = None) -> Retry:
    """Retries of HTTP requests of any method; `Retry-After` is respected, the last response returned.

    Parameters
    ----------
    redirects
        Maximum number of redirects; None = the number of retries.
    """
    from urllib3 import Retry

    return Retry(
        total=_RETRIES,
        backoff_factor=_BACKOFF_S,
        status_forcelist=TRANSIENT_STATUSES,
        allowed_methods=None,
        redirect=redirects,
        raise_on_status=False,
    )
