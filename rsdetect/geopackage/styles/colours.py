"""Colours of changes on a map: kinds, classes of probability, and the probability raster.

The colours of the kinds differ from each other by 20 or more in CIELAB, as seen with normal vision and with
protanopia, deuteranopia and tritanopia (simulated as by Machado et al. 2009), which
tests/geopackage/test_colours.py computes. No colour of the raster is one of the polygons.
"""

from __future__ import annotations

UNKNOWN = "unknown"
KIND_COLOURS = {  # in the order of the legend
    "vegetation loss": "#b76514",
    "vegetation gain": "#00d068",
    "water gain": "#0b3e8e",
    "water loss": "#4f9ff5",
    "built or sealed": "#bf0d59",
    "opened ground": "#eeb120",
    "burnt": "#0a0806",
    "snow or ice": "#c2d0ff",
    "other": "#762cd7",
    UNKNOWN: "#8a808a",
}

# From the least to the most probable. Magenta hardly occurs on the ground; the surest class is the darkest
# within its light halo, and has the widest line.
PROBABILITY_COLOURS = ("#dba4c8", "#d35fa9", "#c0248a", "#8a0064", "#430040")
RASTER_COLOURS = ("#04353b", "#0a6e6c", "#0aa093", "#1fd3bd", "#7dfff0")
BELOW_THRESHOLD = "#04353b"
# A grey veil. QGIS 3.22 takes it for a colour that was multiplied by its alpha.
NOT_OBSERVED, NOT_OBSERVED_ALPHA = "#3c3c3c", 120


def rgba(colour: str, alpha: int = 255) -> str:
    """Colour as QGIS writes it in symbols.

    >>> rgba("#df7109", 90)
    '223,113,9,90'
    """
    return ",".join(str(int(colour[start : start + 2], 16)) for start in (1, 3, 5)) + f",{alpha}"
