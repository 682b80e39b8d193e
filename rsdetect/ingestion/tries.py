"""Tries of a scene: how often one that fails is tried before it is set aside."""

from __future__ import annotations

from datetime import UTC, datetime

from rsdetect.errors import JobInterrupted, ResultMismatch, RsdetectError

MOST_TRIES = 10


def today() -> str:
    """ISO date of the tries of this run, UTC."""
    return datetime.now(UTC).date().isoformat()


def counts_as_try(error: RsdetectError, last_day: str | None) -> bool:
    """True if a failure counts as a try of a scene.

    What may pass (a server, a disk) counts once a day, so that hourly runs do not give up a scene while a
    server is down for the night.

    Parameters
    ----------
    last_day
        ISO date of its last failure; None = it never failed.
    """
    may_pass = isinstance(error, JobInterrupted) and not isinstance(error, ResultMismatch)
    return not may_pass or last_day != today()


def given_up(reason: str) -> str:
    """Reason of a scene that is set aside after its last try."""
    return f"it failed {MOST_TRIES} times and is tried again only with `retry`; the last time: {reason}"
