"""How often, and after which answers, a server is asked again: the same for catalogues and webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # of the extra `monitor`
    from urllib3 import Retry

MAY_PASS = (429, 500, 502, 503, 504)  # statuses after which another try may succeed
_RETRIES = 4
_BACKOFF_S = 0.5  # before the second retry; doubled with each


def patient(*, redirects: int | None = None) -> Retry:
    """Retries after any method; a server that says when is waited for, and the last answer is returned.

    Parameters
    ----------
    redirects
        How many are followed; None = as many as there are retries.
    """
    from urllib3 import Retry

    return Retry(
        total=_RETRIES,
        backoff_factor=_BACKOFF_S,
        status_forcelist=MAY_PASS,
        allowed_methods=None,
        redirect=redirects,
        raise_on_status=False,
    )
