"""Amounts as text for readers: areas in m², ha or km², counts with their noun, durations, shortened paths."""

from __future__ import annotations

import math
from collections.abc import Sequence

_HECTARE_M2, _KM2_M2 = 1e4, 1e6
_MOST_HECTARES = 1000  # from here on in km²


def area_text(area_m2: float) -> str:
    """Area in m² below a hectare, in km² from 1000 ha, in ha between them; never 0 unless it is.

    >>> [area_text(area) for area in (0, 0.04, 812, 12_345, 1_234_567, 98_765_432)]
    ['0 m²', '0.04 m²', '812 m²', '1.23 ha', '123 ha', '98.8 km²']
    """
    # Rounded before the unit is chosen, so that 9999.9 m² are 1 ha, not 10,000 m².
    rounded = _significant(area_m2)
    if rounded < _HECTARE_M2:
        return f"{number_text(area_m2)} m²"
    if rounded < _MOST_HECTARES * _HECTARE_M2:
        return f"{number_text(area_m2 / _HECTARE_M2)} ha"
    return f"{number_text(area_m2 / _KM2_M2)} km²"


def size_text(area_m2: float | None, pixels: int) -> str:
    """Area as text; the number of pixels where there is none, without a CRS.

    >>> size_text(None, 1), size_text(2500.0, 25)
    ('1 pixel', '2,500 m²')
    """
    return count_text(pixels, "pixel") if area_m2 is None else area_text(area_m2)


def number_text(number: float) -> str:
    """Number with three significant digits, and all digits of its integer part.

    >>> [number_text(number) for number in (0, 0.00123, 1.005, 20.04, 1234.5)]
    ['0', '0.00123', '1', '20', '1,234']
    """
    rounded = _significant(number)
    if rounded == 0 or abs(rounded) >= 100:
        return f"{number:,.0f}"
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    text = f"{rounded:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _significant(number: float) -> float:
    """Number rounded to three significant digits, for its amount as text."""
    return float(f"{number:.3g}")


def count_text(count: int, noun: str, plural: str = "") -> str:
    """Count with its noun in the singular or plural.

    >>> count_text(1, "region"), count_text(1200, "region"), count_text(0, "box", "boxes")
    ('1 region', '1,200 regions', '0 boxes')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def names_text(names: Sequence[str], most: int = 5) -> str:
    """First names of a list, and the number of the others.

    >>> names_text(["a.tif", "b.tif"]), names_text(["a.tif", "b.tif", "c.tif"], 1)
    ('a.tif, b.tif', 'a.tif and 2 more')
    """
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most:,} more"


def bytes_text(count: int) -> str:
    """Size of files, with a unit of powers of ten.

    >>> bytes_text(999), bytes_text(2_340_000), bytes_text(12_000_000_000)
    ('999 B', '2.3 MB', '12.0 GB')
    """
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 10**power:
            return f"{count / 10**power:.1f} {unit}"
    return f"{count} B"


def duration_text(seconds: float) -> str:
    """Duration in the two largest units, rounded up to seconds.

    >>> [duration_text(seconds) for seconds in (0.2, 59, 200, 7300, 200_000)]
    ['1 s', '59 s', '3 min 20 s', '2 h 1 min', '2 d 7 h']
    """
    whole = math.ceil(seconds)
    for unit, size, next_unit, next_size in (
        ("d", 86_400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // next_size
            return f"{whole // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{whole} s"


def shortened_text(text: str, room: int) -> str:
    """Text cut in the middle to at most `room` characters; a path keeps its beginning and its file.

    >>> shortened_text("/data/archive/2021/tile/changes.gpkg", 24)
    '/data/arch…/changes.gpkg'
    """
    if len(text) <= room or room < 1:
        return text
    tail = (room - 1) * 3 // 5
    return f"{text[: room - 1 - tail]}…{text[len(text) - tail :]}"
