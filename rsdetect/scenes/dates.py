"""When a scene was taken, as far as its file tells."""

from __future__ import annotations

import re
from datetime import date, timedelta

from rsdetect.errors import InputError
from rsdetect.paths import file_name
from rsdetect.scenes.scene import Header

# Tags that name the acquisition, in the order of trust. TIFFTAG_DATETIME comes last, behind the file's
# name, because many programs write into it when they made the file.
_ACQUISITION_TAGS = (
    "ACQUISITIONDATETIME",
    "ACQUISITION_DATE",
    "DATE_ACQUIRED",
    "SENSING_TIME",
    "DATATAKE_1_DATATAKE_SENSING_START",
)
_YEAR = r"(?P<y>19[5-9]\d|20\d\d)"
_IN_NAMES = (
    re.compile(rf"(?<!\d){_YEAR}(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?!\d)"),
    re.compile(rf"(?<!\d){_YEAR}[-_.](?P<m>0[1-9]|1[0-2])[-_.](?P<d>0[1-9]|[12]\d|3[01])(?!\d)"),
    # Landsat's names before 2017: path and row, then year and day of year.
    re.compile(rf"^L[A-Z]\d{{7}}{_YEAR}(?P<j>[0-3]\d\d)"),
)


def acquisition_date(header: Header) -> str | None:
    """ISO date (YYYY-MM-DD) on which the scene was taken; None when the file does not tell."""
    if header.date is not None:
        return header.date
    for tag in _ACQUISITION_TAGS:
        if found := _leading_date(header.tags.get(tag, "")):
            return found
    if found := date_in_name(header.path):
        return found
    return _leading_date(header.tags.get("TIFFTAG_DATETIME", ""))


def date_in_name(path: str) -> str | None:
    """The date in a file's name.

    >>> date_in_name("/data/T32UPU_20210704T101031_B04.tif"), date_in_name("LE70220491999322EDC01.tif")
    ('2021-07-04', '1999-11-18')
    """
    name = file_name(path)
    for pattern in _IN_NAMES:
        if (match := pattern.search(name)) and (found := _as_iso(match.groupdict())):
            return found
    return None


def parse_dates(text: str | None) -> tuple[str, str] | None:
    """Read what `--dates` takes: two ISO dates with a comma between them.

    >>> parse_dates("2020-06-01,2021-06-03")
    ('2020-06-01', '2021-06-03')
    """
    if text is None:
        return None
    try:
        before, after = (date.fromisoformat(part.strip()).isoformat() for part in text.split(","))
    except ValueError:
        raise InputError(f"`dates` {text!r} is not two dates; write 2020-06-01,2021-06-03.") from None
    return before, after


def _leading_date(text: str) -> str | None:
    match = re.match(rf"\s*{_YEAR}[-:/]?(?P<m>\d\d)[-:/]?(?P<d>\d\d)", text)
    return _as_iso(match.groupdict()) if match else None


def _as_iso(parts: dict[str, str]) -> str | None:
    try:
        if "j" in parts:
            found = date(int(parts["y"]), 1, 1) + timedelta(days=int(parts["j"]) - 1)
        else:
            found = date(int(parts["y"]), int(parts["m"]), int(parts["d"]))
    except ValueError:
        return None
    return found.isoformat()
