"""Other bands of products than those of reflected light: thermal bands, quality masks and angles."""

from __future__ import annotations

import re

from rsdetect.scenes.header import Header
from rsdetect.scenes.known_bands import instrument_bands

_THERMAL = re.compile(
    r"st_b\d+|b6_vcid_[12]|(?:lwir|tirs?|bt|lst)[ _-]?\d*|(?:.*[ _-])?(?:thermal|lwir)(?![a-z]).*"
)
_THERMAL_CODES = {"OLI": {"10", "11"}, "TM": {"6"}}
_LONGEST = 3000.0  # nm, of reflected light
_QUALITY = frozenset(
    (
        "qa", "qc", "scl", "fmask", "cfmask", "quality", "cloud", "clouds", "cloudmask", "cldprb", "snwprb",
        "udm", "udm2", "mask", "msk", "bqa", "radsat", "state", "sza", "saa", "vza", "vaa", "zenith",
        "azimuth", "aot", "wvp",
    )
)  # fmt: skip


def other_bands(header: Header) -> dict[int, str]:
    """Other bands of a scene, {number: "thermal" or "quality"}, by their names and wavelengths."""
    instrument, codes = instrument_bands(header.names, header.path)
    found = {}
    for number in header.usable:
        name, length = header.names[number - 1], (header.wavelengths or (None,) * number)[number - 1]
        hot = codes[number - 1] in _THERMAL_CODES.get(instrument, set()) or (length or 0) > _LONGEST
        if hot or _THERMAL.fullmatch(name):
            found[number] = "thermal"
        elif _QUALITY & {re.sub(r"(?<=^qa)\d+$", "", word) for word in re.split(r"[^a-z0-9]+", name)}:
            found[number] = "quality"
    return found
