"""Period of days, as `--before-period` takes it."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import date

from rsdetect.errors import InputError

_DAY = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?")


@dataclass(frozen=True)
class Period:
    """Period of days, the first and the last included."""

    first: date
    last: date

    @classmethod
    def parse(cls, option: str, text: str) -> Period:
        """Parse a period: two days, months or years with a slash between them, or one.

        >>> str(Period.parse("before_period", "2023-05/2024-02")), str(Period.parse("after_period", "2024"))
        ('2023-05-01 to 2024-02-29', '2024-01-01 to 2024-12-31')

        Raises
        ------
        InputError
            It is no period, or ends before it begins; the message names the `option`.
        """
        begin, slash, end = text.strip().partition("/")
        try:
            found = cls(_days(begin)[0], _days(end if slash else begin)[1])
        except ValueError:
            raise InputError(
                f"`{option}` {text!r} is not a period; write 2023-05/2023-09 or 2023-05-03/2023-09-20."
            ) from None
        if found.last < found.first:
            raise InputError(f"`{option}` {text} ends before it begins.")
        return found

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def _days(text: str) -> tuple[date, date]:
    """First and last day of a day, month or year of a period."""
    found = _DAY.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    last_month = month or 12
    last_day = day or calendar.monthrange(year, last_month)[1]
    return date(year, month or 1, day or 1), date(year, last_month, last_day)
