"""Periods of time in options: 30m, 6h, 7d."""

from __future__ import annotations

import re
from datetime import timedelta

from rsdetect.errors import InputError

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_period(option: str, text: str) -> timedelta:
    """Parse a period of minutes, hours or days.

    >>> parse_period("every", "6h")
    datetime.timedelta(seconds=21600)

    Raises
    ------
    InputError
        It is no period; the message names the `option`.
    """
    match = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text)
    if match is None:
        raise InputError(f"`{option}` {text!r} is not a period; write 30m, 6h or 7d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
