"""A file name with its date: `{date:%Y%m%d}_*.tif`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from rsdetect.errors import InputError

# What each of strptime's codes can look like; those that depend on the language are left out.
_CODES = {
    "Y": r"\d{4}", "m": r"\d{2}", "d": r"\d{2}", "j": r"\d{3}", "y": r"\d{2}",
    "H": r"\d{2}", "M": r"\d{2}", "S": r"\d{2}", "f": r"\d{1,6}", "z": r"(?:Z|[+-]\d{2}:?\d{2})", "%": "%",
}  # fmt: skip
_FIELD = re.compile(r"\{(?P<name>[^}:]*)(?::(?P<format>[^}]*))?\}")
_DAY = ({"Y", "m", "d"}, {"y", "m", "d"}, {"Y", "j"}, {"y", "j"})


@dataclass(frozen=True)
class NameMatch:
    """What a name says."""

    taken: datetime  # with a time zone; UTC where the name has none
    band: str | None  # what stands at {band}
    rest: str  # the name with {band} in the place of the band: the same for all files of one scene


@dataclass(frozen=True)
class NamePattern:
    """Names with a date in them.

    `{date:FORMAT}` stands for the date in `strptime`'s codes, `{band}` for a band's name, `*` for anything
    and `?` for one character, neither of them across folders.
    """

    text: str
    regex: re.Pattern[str]
    date_format: str
    has_band: bool

    @classmethod
    def parse(cls, text: str) -> NamePattern:
        """Read a pattern.

        Raises
        ------
        InputError
            It has no date, more than one, or a code or field that is not known.
        """
        date_format = None
        parts, fields, end = [], [], 0
        for match in _FIELD.finditer(text):
            parts.append(_wildcards(text[end : match.start()]))
            end = match.end()
            fields.append(match["name"])
            if match["name"] == "date":
                date_format = match["format"] or "%Y%m%d"
                parts.append(f"(?P<date>{_date_regex(text, date_format)})")
            else:
                parts.append("(?P<band>[^/]+?)")
        parts.append(_wildcards(text[end:]))
        unknown = [name for name in fields if name not in ("date", "band")]
        if unknown:
            raise InputError(
                f"the pattern {text!r} has a field {unknown[0]!r}; there are {{date:...}} and {{band}}."
            )
        if date_format is None:
            raise InputError(f"the pattern {text!r} has no date; write it as {{date:%Y%m%d}}_*.tif.")
        if len(set(fields)) < len(fields):
            raise InputError(f"the pattern {text!r} has a field twice.")
        return cls(text, re.compile("".join(parts)), date_format, "band" in fields)

    @property
    def has_folders(self) -> bool:
        """True when the names have folders before them."""
        return "/" in self.text

    def match(self, name: str) -> NameMatch | None:
        """What `name` (with / between folders) says; None where it does not fit or has no such day."""
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


def _wildcards(text: str) -> str:
    if "{" in text or "}" in text:
        raise InputError(f"the pattern has a brace without its other half in {text!r}.")
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(sign, re.escape(sign)) for sign in text)


def _date_regex(pattern: str, date_format: str) -> str:
    parts = re.split(r"%(.)", date_format)
    codes = parts[1::2]
    for code in codes:
        if code not in _CODES:
            raise InputError(
                f"the pattern {pattern!r} has a date with %{code}; there are %{', %'.join(_CODES)}."
            )
    if not any(day <= set(codes) for day in _DAY):
        raise InputError(f"the date in the pattern {pattern!r} is no whole day; write {{date:%Y%m%d}}.")
    texts = [re.escape(part) for part in parts[::2]]
    return texts[0] + "".join(_CODES[code] + text for code, text in zip(codes, texts[1:], strict=True))
