"""Acquisition dates of scenes, from tags and file names."""

from __future__ import annotations

import re
from datetime import date, timedelta

from rsdetect.errors import InputError
from rsdetect.paths import file_name
from rsdetect.scenes.band_files import without_query
from rsdetect.scenes.header import Header

# Tags of the acquisition, in order of reliability. TIFFTAG_DATETIME is last, after the file name, because
# many programs write the file's creation time into it.
_ACQUISITION_TAGS = (
    "ACQUISITIONDATETIME",
    "ACQUISITION_DATE",
    "ACQUISITION_TIME",  # of ENVI's header
    "DATE_ACQUIRED",
    "SENSING_TIME",
    "DATATAKE_1_DATATAKE_SENSING_START",
    "PRODUCT_START_TIME",
    "ACQUISITION_START_TIME",
    "IMAGING_DATE",
    "RANGEBEGINNINGDATE",
    "NITF_IDATIM",
    "EXIF_DATETIMEORIGINAL",
    "EXIF_DATETIMEDIGITIZED",
)
# Dates that may be those of production.
_LAST_TAGS = ("DATE", "EXIF_DATETIME", "TIFFTAG_DATETIME")
_YEAR = r"(?P<y>19[5-9]\d|20\d\d)"
_MONTH, _DAY = r"(?P<m>0[1-9]|1[0-2])", r"(?P<d>0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3])[0-5]\d"
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# In the order of the attempts: names with several dates come first.
_IN_NAMES = (
    # Sentinel-2 before December 2016: the date of production comes before that of sensing.
    re.compile(rf"^S2[A-D]_.*_V{_YEAR}{_MONTH}{_DAY}T"),
    # ASTER: month, day, year; then the date of production.
    re.compile(rf"^AST_.*?_00\d{_MONTH}{_DAY}{_YEAR}{_CLOCK}"),
    # Landsat's names before 2017: path and row, then year and day of year; as ESPA delivers them, the date.
    re.compile(rf"^L[A-Z]\d{{7}}{_YEAR}(?P<j>[0-3]\d\d)(?!\d)"),
    re.compile(rf"^L[A-Z]\d{{8}}{_YEAR}{_MONTH}{_DAY}\d\d(?:T\d|RT)"),
    # MODIS and VIIRS (A2021185), AppEEARS (doy2021185), HLS (2021185T102021): year and day of year.
    re.compile(rf"(?:(?<![A-Za-z0-9])A|doy){_YEAR}(?P<j>[0-3]\d\d)(?=\D|\d{{6}}(?!\d)|$)"),
    re.compile(rf"(?<!\d){_YEAR}(?P<j>[0-3]\d\d)T\d{{6}}"),
    re.compile(rf"(?<!\d){_YEAR}{_MONTH}{_DAY}(?!\d)"),
    re.compile(rf"(?<!\d){_YEAR}[-_.]{_MONTH}[-_.]{_DAY}(?!\d)"),
    # With the time behind it: drones, PRISMA, WorldView, Pléiades (a tenth of a second more).
    re.compile(rf"(?<!\d){_YEAR}{_MONTH}{_DAY}{_CLOCK}(?:[0-5]\d\d?)?(?!\d)"),
    # Maxar: 15JUL04101031.
    re.compile(rf"(?<![A-Za-z0-9])(?P<yy>\d\d)(?P<mon>{'|'.join(_MONTHS)}){_DAY}{_CLOCK}", re.IGNORECASE),
)
# Production alone: Sentinel-2's granules before December 2016.
_NO_DATE = re.compile(r"^S2[A-D]_(?:OPER|USER)_(?!.*_V\d{8}T)")


def acquisition_date(header: Header) -> str | None:
    """Acquisition date of a scene, ISO (YYYY-MM-DD); None if unknown."""
    if header.date is not None:
        return header.date
    tags = {key.upper(): value for key, value in header.tags.items()}
    for tag in _ACQUISITION_TAGS:
        if found := _leading_date(tags.get(tag, "")):
            return found
    if found := date_in_name(header.path):
        return found
    return next((found for tag in _LAST_TAGS if (found := _leading_date(tags.get(tag, "")))), None)


def date_in_name(path: str) -> str | None:
    """Date in a file name; of a URL without the query after `?`.

    >>> date_in_name("/data/T32UPU_20210704T101031_B04.tif"), date_in_name("LE70220491999322EDC01.tif")
    ('2021-07-04', '1999-11-18')
    """
    name = file_name(without_query(path))
    if _NO_DATE.match(name):
        return None
    for pattern in _IN_NAMES:
        if (match := pattern.search(name)) and (found := _as_iso(match.groupdict())):
            return found
    return None


def parse_dates(text: str | None) -> tuple[str, str] | None:
    """Parse `--dates`: two ISO dates, separated by a comma.

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
        if "mon" in parts:
            year = int(parts["yy"])
            month = _MONTHS.index(parts["mon"].upper()) + 1
            found = date(year + (1900 if year >= 90 else 2000), month, int(parts["d"]))
        elif "j" in parts:
            if not 1 <= int(parts["j"]) <= 366:
                return None
            found = date(int(parts["y"]), 1, 1) + timedelta(days=int(parts["j"]) - 1)
        else:
            found = date(int(parts["y"]), int(parts["m"]), int(parts["d"]))
    except ValueError:
        return None
    return found.isoformat()
