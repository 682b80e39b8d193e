"""Pattern of file names with a date: `{date:%Y%m%d}_*.tif`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from rsdetect.errors import InputError

# Regular expressions of strptime's codes, without those that depend on the locale.
_CODES = {
    "Y": r"\d{4}", "m": r"\d{2}", "d": r"\d{2}", "j": r"\d{3}", "y": r"\d{2}",
    "H": r"\d{2}", "M": r"\d{2}", "S": r"\d{2}", "f": r"\d{1,6}", "z": r"(?:Z|[+-]\d{2}:?\d{2})", "%": "%",
}  # fmt: skip
_FIELD = re.compile(r"\{(?P<name>[^}:]*)(?::(?P<format>[^}]*))?\}")
_DAY = ({"Y", "m", "d"}, {"y", "m", "d"}, {"Y", "j"}, {"y", "j"})


@dataclass(frozen=True)
class NameMatch:
    """Match of a file name with a pattern."""

    taken: datetime  # with a time zone; UTC where the name has none
    band: str | None  # value of {band}
    rest: str  # the name with {band} instead of the band: equal for all files of a scene


@dataclass(frozen=True)
class NamePattern:
    """Pattern of file names that contain a date.

    `{date:FORMAT}` matches the date in `strptime` codes, `{band}` a band name, `*` any text and `?` one
    character, both within one folder.
    """

    text: str
    regex: re.Pattern[str]
    date_format: str
    has_band: bool

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """Parse a pattern of file names.

        Raises
        ------
        InputError
            It has no date, more than one, or an unknown code or field.
        """
        date_format = None
        parts, fields, end = [], [], 0
        for match in _FIELD.finditer(text):
            parts.append(_wildcard_regex(text[end : match.start()]))
            end = match.end()
            fields.append(match["name"])
            if match["name"] == "date":
                date_format = match["format"] or "%Y%m%d"
                parts.append(f"(?P<date>{_date_regex(text, date_format)})")
            else:
                parts.append("(?P<band>[^/]+?)")
        parts.append(_wildcard_regex(text[end:]))
        unknown = [name for name in fields if name not in ("date", "band")]
        if unknown:
            raise InputError(
                f"the pattern {text!r} has an unknown field {unknown[0]!r}; "
                f"known are {{date:...}} and {{band}}."
            )
        if date_format is None:
            raise InputError(f"the pattern {text!r} has no date; write it as {{date:%Y%m%d}}_*.tif.")
        if len(set(fields)) < len(fields):
            raise InputError(f"the pattern {text!r} has a field twice.")
        return cls(text, re.compile("".join(parts)), date_format, "band" in fields)

    @property
    def has_folders(self) -> bool:
        """True if the pattern contains folders."""
        return "/" in self.text

    def match(self, name: str) -> NameMatch | None:
        """Match `name` (folders separated by /) with the pattern; None without a match or valid date."""
        found = self.regex.fullmatch(name)
        if found is None:
            return None
        try:
            taken = datetime.strptime(found["date"], self.date_format)
        except ValueError:
            return None
        if taken.tzinfo is None:
            taken = taken.replace(tzinfo=UTC)
        if not self.has_band:
            return NameMatch(taken, None, name)
        start, stop = found.span("band")
        return NameMatch(taken, found["band"], f"{name[:start]}{{band}}{name[stop:]}")


def _wildcard_regex(text: str) -> str:
    """Regular expression of a pattern's text between fields."""
    if "{" in text or "}" in text:
        raise InputError(f"the pattern has an unmatched brace in {text!r}.")
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(sign, re.escape(sign)) for sign in text)


def _date_regex(pattern: str, date_format: str) -> str:
    """Regular expression of a pattern's date format."""
    parts = re.split(r"%(.)", date_format)
    codes = parts[1::2]
    for code in codes:
        if code not in _CODES:
            raise InputError(
                f"the pattern {pattern!r} has a date with %{code}; known are %{', %'.join(_CODES)}."
            )
    if not any(day <= set(codes) for day in _DAY):
        raise InputError(f"the date in the pattern {pattern!r} is not a full date; write {{date:%Y%m%d}}.")
    texts = [re.escape(part) for part in parts[::2]]
    return texts[0] + "".join(_CODES[code] + text for code, text in zip(codes, texts[1:], strict=True))
